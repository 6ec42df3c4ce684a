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
    model: str = ""
    tool: str = ""
    sku: str = ""


@dataclass(frozen=True, slots=True)
class Conditions:
    """SQL of a WHERE clause over columns that are fixed here, and its parameters."""

    sql: str
    parameters: dict[str, Any]


_SHARED = ("team", "cost_centre", "environment", "principal", "model")


def of_facts(scope: Scope, period: Period) -> Conditions:
    """Conditions on ``finops_runfact f``: runs that ended within the period."""
    return _conditions(scope, period, table="f", time="ended_at", columns=("mode",))


def of_usage(scope: Scope, period: Period) -> Conditions:
    """Conditions on ``finops_usageevent u``: what was booked within the period."""
    found = _conditions(scope, period, table="u", time="at", columns=("tool", "sku"))
    if not scope.mode:
        return found
    mode = (
        "EXISTS (SELECT 1 FROM finops_runfact m "
        "WHERE m.run = u.run AND m.mode = %(mode)s)"
    )
    return Conditions(
        f"{found.sql} AND {mode}", found.parameters | {"mode": scope.mode}
    )


def of_loose_usage(scope: Scope, period: Period) -> Conditions:
    """Conditions on usage that belongs to no run, such as definitions shown.

    It has no mode, so a filter by mode leaves it out.
    """
    found = of_usage(replace(scope, mode=""), period)
    none = " AND false" if scope.mode else ""
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
