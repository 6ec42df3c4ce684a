"""Which rows a report may and shall count, as conditions of a query."""

from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from core.period import Period


@dataclass(frozen=True, slots=True)
class Scope:
    """The teams a person may see (None: all) and the filters chosen; "" is no filter.

    ``project`` is written ``team/project``, since two teams may use one name.
    """

    teams: frozenset[str] | None
    team: str = ""
    cost_centre: str = ""
    project: str = ""
    environment: str = ""
    principal: str = ""
    mode: str = ""
    language: str = ""
    model: str = ""
    server: str = ""
    tool: str = ""
    token_kind: str = ""
    sku: str = ""

    @property
    def narrows_tools(self) -> bool:
        """Whether it asks for the use of tools rather than for whole runs."""
        return bool(self.server or self.tool)


@dataclass(frozen=True, slots=True)
class Conditions:
    """SQL of a WHERE clause over columns that are fixed here, and its parameters."""

    sql: str
    parameters: dict[str, Any]


_OF_USAGE = ("server", "tool", "token_kind", "sku")
_SHARED = ("team", "cost_centre", "environment", "principal", "model")
_OF_RUNS = ("mode", "language")


def of_facts(scope: Scope, period: Period) -> Conditions:
    """Conditions on ``finops_runfact f``: runs that ended within the period.

    Tools and servers are left to ``of_calls``.
    """
    return _conditions(scope, period, table="f", time="ended_at", columns=_OF_RUNS)


def of_tasks(scope: Scope, period: Period, time: str) -> Conditions:
    """Conditions on ``finops_taskfact f`` by ``first_ended_at`` or ``ended_at``."""
    return _conditions(scope, period, table="f", time=time, columns=_OF_RUNS)


def of_calls(scope: Scope) -> Conditions:
    """Conditions on the calls ``c (tool, server)`` of a fact."""
    parts, parameters = ["true"], {}
    for column in ("server", "tool"):
        if value := getattr(scope, column):
            parts.append(f"c.{column} = %({column})s")
            parameters[column] = value
    return Conditions(" AND ".join(parts), parameters)


def of_usage(scope: Scope, period: Period) -> Conditions:
    """Conditions on ``finops_usageevent u``: what was booked within the period."""
    found = _conditions(scope, period, table="u", time="at", columns=_OF_USAGE)
    asked = {name: value for name in _OF_RUNS if (value := getattr(scope, name))}
    if not asked:
        return found
    same = "".join(f" AND m.{name} = %({name})s" for name in asked)
    fact = f"EXISTS (SELECT 1 FROM finops_runfact m WHERE m.run = u.run{same})"  # noqa: S608
    return Conditions(f"{found.sql} AND {fact}", found.parameters | asked)


def of_loose_usage(scope: Scope, period: Period) -> Conditions:
    """Conditions on usage that belongs to no run, such as definitions shown.

    It has neither mode nor language, so a filter by one leaves it out.
    """
    found = of_usage(replace(scope, mode="", language=""), period)
    none = " AND false" if scope.mode or scope.language else ""
    return Conditions(f"{found.sql} AND u.run = ''{none}", found.parameters)


def _conditions(
    scope: Scope, period: Period, *, table: str, time: str, columns: tuple[str, ...]
) -> Conditions:
    parts = [f"{table}.{time} >= %(start)s", f"{table}.{time} < %(end)s"]
    parameters: dict[str, Any] = {
        "start": period.start,
        "end": period.end,
        "zone": period.zone,
        "unit": period.unit,
        "currency": settings.CURRENCY,
    }
    if scope.teams is not None:
        parts.append(f"{table}.team = ANY(%(teams)s)")
        parameters["teams"] = sorted(scope.teams)
    for column in (*_SHARED, *columns):
        if value := getattr(scope, column):
            parts.append(f"{table}.{column} = %({column})s")
            parameters[column] = value
    if scope.project:
        owner, _, name = scope.project.rpartition("/")
        parts.append(f"{table}.project = %(project)s")
        parameters["project"] = name
        if owner:
            parts.append(f"{table}.team = %(project_team)s")
            parameters["project_team"] = owner
    return Conditions(" AND ".join(parts), parameters)
