"""Which days of a period are read from sums, and which rows those are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from core.period import DAY, Period
from finops.models import DirtyDay, RollupState
from finops.selectors.measures import BUCKET, COUNTED, SHARED, Part
from finops.selectors.measures import Query as Raw
from finops.selectors.rows import rows
from finops.selectors.scope import Conditions, Scope

_COLUMNS = (*SHARED, "mode", "language")


@dataclass(frozen=True, slots=True)
class Plan:
    """A period in whole days that are made (``first`` to before ``upto``, without the
    ``dirty``) and the rest of it, to be read raw."""

    period: Period
    first: date
    upto: date
    dirty: tuple[date, ...] = ()
    rest: tuple[Period, ...] = field(default=())
    # Whether percentiles come from sketches; sums are exact either way.
    sketched: bool = False

    @property
    def sums(self) -> bool:
        """Whether any day is read from sums."""
        return (self.upto - self.first).days > len(self.dirty)


def raw_plan(period: Period) -> Plan:
    """All of it raw."""
    day = period.start.date()
    return Plan(period, day, day, (), (period,))


def plan(scope: Scope, period: Period, by: str) -> Plan:
    """How to read a period: days that are made from sums, the rest raw.

    From ``settings.EXACT_RUNS`` runs on, percentiles come from sketches as well.
    """
    raw = raw_plan(period)
    if scope.sku or (by == BUCKET and period.unit != DAY):
        return raw
    found = days_made(period)
    if found is None or not found.sums:
        return raw
    many = _runs_in(found, scope) >= settings.EXACT_RUNS
    return replace(found, sketched=many)


def days_made(period: Period) -> Plan | None:
    """The days of a period that stand in sums; None where there are none."""
    state = RollupState.objects.filter(zone=period.zone).first()
    if state is None or state.first is None or state.upto is None:
        return None
    zone = ZoneInfo(period.zone)
    start, end = period.start.astimezone(zone), period.end.astimezone(zone)
    first = start.date() + timedelta(days=start.time() != time())
    first, upto = max(first, state.first), min(end.date(), state.upto)
    if first >= upto:
        return None
    days = DirtyDay.objects.filter(day__gte=first, day__lt=upto)
    dirty = tuple(days.order_by("day").values_list("day", flat=True).distinct())
    return Plan(period, first, upto, dirty, _rest(period, first, upto, dirty))


def _rest(
    period: Period, first: date, upto: date, dirty: tuple[date, ...]
) -> tuple[Period, ...]:
    """What is not made: before, after, and each day that changed since."""
    zone = ZoneInfo(period.zone)

    def midnight(day: date) -> datetime:
        return datetime.combine(day, time(), zone)

    edges = [(period.start, midnight(first)), (midnight(upto), period.end)]
    edges += [(midnight(day), midnight(day + timedelta(days=1))) for day in dirty]
    found: list[Period] = []
    for start, end in sorted(edges):
        if start >= end:
            continue
        if found and found[-1].end == start:
            found[-1] = replace(found[-1], end=end)
        else:
            found.append(Period(start, end, period.zone))
    return tuple(found)


def _runs_in(found: Plan, scope: Scope) -> int:
    where = of_days(found, replace(scope, server="", tool=""), "")
    query = (
        "SELECT coalesce(sum(d.runs), 0)::bigint AS runs "  # noqa: S608
        f"FROM finops_dayfigures d WHERE {where.sql}"
    )
    return int(rows(query, where.parameters)[0]["runs"])


def of_days(found: Plan, scope: Scope, by: str) -> Conditions:
    """Conditions on ``finops_dayfigures d``."""
    parts = ["d.day >= %(first_day)s", "d.day < %(upto_day)s"]
    values: dict[str, Any] = {"first_day": found.first, "upto_day": found.upto}
    if found.dirty:
        parts.append("d.day <> ALL(%(dirty)s)")
        values["dirty"] = list(found.dirty)
    if scope.teams is not None:
        parts.append("d.team = ANY(%(teams)s)")
        values["teams"] = sorted(scope.teams)
    for column in (*_COLUMNS, "server", "tool"):
        value = getattr(scope, column)
        if column == "project" and value:
            owner, _, value = value.rpartition("/")
            if owner:
                parts.append("d.team = %(project_team)s")
                values["project_team"] = owner
        if value:
            parts.append(f"d.{column} = %({column})s")
            values[column] = value
    parts += [_level(scope, by), "d.thin" if _thin(scope, by) else "NOT d.thin"]
    return Conditions(" AND ".join(parts), values)


def _thin(scope: Scope, by: str) -> bool:
    """Whether sums of teams, servers and tools have all that is asked for."""
    asked = {name for name in (*_COLUMNS, by) if name == by or getattr(scope, name)}
    return asked <= {"", "team", "server", "tool", BUCKET}


def _level(scope: Scope, by: str) -> str:
    if by == "tool" or scope.tool:
        return "NOT (d.tool = '')"
    if by == "server" or scope.server:
        return "NOT (d.server = '') AND d.tool = ''"
    return "d.server = ''"


def with_sums(found: Plan, scope: Scope, by: str, raw: Mapping[Period, Raw]) -> Raw:
    """One query of the days that are made and of the rest, ``raw`` for each of it."""
    where = of_days(found, scope, by)
    values = {name: f"sum(d.{name})" for name in (*COUNTED, "cost")}
    values["newest"] = "max(d.newest)"
    key = _key(by)
    source = f"finops_dayfigures d WHERE {where.sql}"
    if by == BUCKET:
        # Once a day, not once a row: it is dear.
        days = ", ".join(f"{value} AS {name}" for name, value in values.items())
        source = f"(SELECT d.day, {days} FROM {source} GROUP BY d.day) d"  # noqa: S608
    made = Part([key], values, source)
    shared = {
        "zone": found.period.zone,
        "unit": found.period.unit,
        "currency": settings.CURRENCY,
    }
    parts, parameters = [made.sql], {**where.parameters, **shared}
    for number, (window, query) in enumerate(raw.items()):
        parameters |= {k: v for k, v in query.parameters.items() if k not in shared}
        parameters |= {f"start{number}": window.start, f"end{number}": window.end}
        parts += [renamed(part, number) for part in query.parts]
    return Raw(tuple(parts), parameters)


def bucket_of_day(alias: str) -> str:
    """The bucket of a made day, as raw rows have it."""
    midnight = f"({alias}.day::timestamp AT TIME ZONE %(zone)s)"
    return f"date_trunc(%(unit)s, {midnight}, %(zone)s)"


def renamed(part: str, number: int) -> str:
    """A part of a query over the window of that number."""
    part = part.replace("%(start)s", f"%(start{number})s")
    return part.replace("%(end)s", f"%(end{number})s")


def _key(by: str) -> str:
    if by == BUCKET:
        return bucket_of_day("d")
    if by == "project":
        return "d.team || '/' || d.project"
    return f"d.{by}" if by else "''"
