"""Makes the sums and sketches of days, each whole from raw facts."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction

from core.period import Period
from finops.models import (
    DayFigures,
    DaySketch,
    DirtyDay,
    RollupState,
    RunFact,
    UsageEvent,
)
from finops.models.rollups import EVERY_TEAM
from finops.selectors.durations import BIN
from finops.selectors.measures import MEASURES, all_keys, tool_use, whole_runs
from finops.selectors.rows import rows
from finops.selectors.scope import Scope
from finops.services.dirty import MADE_AFTER

LOCK = 7103
_KEYS = (
    *("team", "cost_centre", "project", "environment", "principal", "model"),
    *("mode", "language", "server", "tool"),
)
_THIN_KEYS = ("team", "server", "tool")
_BY = ("cost_centre", "project", "environment", "principal", "model", "mode")
_SKETCHES = f"""
INSERT INTO finops_daysketch (
  day, team, dimension, key, bins, counts, queue, hold, run)
WITH f AS MATERIALIZED (
  SELECT f.team, f.cost_centre, f.team || '/' || f.project AS project, f.environment,
    f.principal, f.model, f.mode, f.language, f.tools, {BIN} AS bin, count(*) AS n,
    sum(round(f.queue_seconds * 1e6))::bigint AS queue,
    sum(round(f.hold_seconds * 1e6))::bigint AS hold,
    sum(round(f.run_seconds * 1e6))::bigint AS run
  FROM finops_runfact f
  WHERE f.ended_at >= %(start)s AND f.ended_at < %(end)s AND f.team = ANY(%(teams)s)
    AND f.status <> 'cancelled'
  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
), k AS (
  SELECT f.team, d.dimension, d.key, f.bin, f.n, f.queue, f.hold, f.run
  FROM f CROSS JOIN LATERAL (
    VALUES ('', ''), {", ".join(f"('{name}', f.{name})" for name in _BY)},
      ('language', f.language)
    UNION ALL SELECT 'tool', tool FROM unnest(f.tools) AS tool
    UNION ALL SELECT DISTINCT 'server', split_part(tool, '.', 1)
      FROM unnest(f.tools) AS tool) d (dimension, key)
), b AS (
  SELECT team, dimension, key, bin, sum(n)::bigint AS n, sum(queue)::bigint AS queue,
    sum(hold)::bigint AS hold, sum(run)::bigint AS run
  FROM k GROUP BY 1, 2, 3, 4
)
SELECT %(day)s, team, dimension, key, array_agg(bin ORDER BY bin),
  array_agg(n ORDER BY bin), array_agg(queue ORDER BY bin),
  array_agg(hold ORDER BY bin), array_agg(run ORDER BY bin)
FROM b GROUP BY team, dimension, key
"""  # noqa: S608 - constants of this module

_MERGED = """
INSERT INTO finops_daysketch (
  day, team, dimension, key, bins, counts, queue, hold, run)
WITH b AS (
  SELECT s.dimension, s.key, u.bin, sum(u.n)::bigint AS n,
    sum(u.queue)::bigint AS queue, sum(u.hold)::bigint AS hold,
    sum(u.run)::bigint AS run
  FROM finops_daysketch s
  CROSS JOIN LATERAL unnest(s.bins, s.counts, s.queue, s.hold, s.run)
    u (bin, n, queue, hold, run)
  WHERE s.day = %(day)s GROUP BY 1, 2, 3
)
SELECT %(day)s, %(every)s, dimension, key, array_agg(bin ORDER BY bin),
  array_agg(n ORDER BY bin), array_agg(queue ORDER BY bin),
  array_agg(hold ORDER BY bin), array_agg(run ORDER BY bin)
FROM b GROUP BY dimension, key
"""
_THIN = f"""
INSERT INTO finops_dayfigures (day, {", ".join((*_KEYS, *MEASURES))}, thin)
SELECT d.day, {", ".join(f"d.{k}" if k in _THIN_KEYS else "''" for k in _KEYS)},
  {", ".join(f"max(d.{m})" if m == "newest" else f"sum(d.{m})" for m in MEASURES)}, true
FROM finops_dayfigures d WHERE d.day = %(day)s AND d.team = ANY(%(teams)s)
GROUP BY d.day, {", ".join(f"d.{k}" for k in _THIN_KEYS)}
"""  # noqa: S608 - constants of this module


def keep_up(*, at: datetime, most: int = 400, wait: bool = False) -> int:
    """Make days that are over, and again those that changed; how many were made.

    Each day is a transaction, so that a stop half-way leaves whole days. One process
    at a time does it; a second one leaves it to the first, or waits for each day.
    """
    made = 0
    while made < most and _make_one(at, wait):
        made += 1
    return made


@transaction.atomic
def _make_one(at: datetime, wait: bool) -> bool:
    state = _state(at, wait)
    if state is None or state.upto is None or state.first is None:
        return False
    zone = ZoneInfo(state.zone)
    today = (at - MADE_AFTER).astimezone(zone).date()
    if state.upto < today:
        # Before it is made: what is noted after this is in it, or makes it anew.
        DirtyDay.objects.filter(day=state.upto).delete()
        _make(state.upto, _teams(state.upto, zone), zone)
        state.upto += timedelta(days=1)
        state.save(update_fields=["upto"])
        return True
    changed = DirtyDay.objects.filter(day__lt=state.upto).order_by("day").first()
    if changed is None:
        return False
    if changed.day < state.first:
        # Something older than all before: back to it, day by day.
        state.first -= timedelta(days=1)
        state.save(update_fields=["first"])
        DirtyDay.objects.filter(day=state.first).delete()
        _make(state.first, _teams(state.first, zone), zone)
        return True
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM finops_dirtyday WHERE day = %s RETURNING team", [changed.day]
        )
        teams = sorted({team for (team,) in cursor.fetchall()})
    _make(changed.day, teams, zone)
    return True


def _state(at: datetime, wait: bool) -> RollupState | None:
    """The state under its lock; None where another process has it and none waits."""
    lock = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {lock}(%s, 0)", [LOCK])
        if cursor.fetchone()[0] is False:
            return None
    state = RollupState.objects.filter(pk=1).first()
    if state is None or state.zone != settings.REPORT_TIME_ZONE:
        # Days of another zone are other days.
        DayFigures.objects.all().delete()
        DaySketch.objects.all().delete()
        first = first_day(at)
        zone = settings.REPORT_TIME_ZONE
        state = RollupState(pk=1, zone=zone, first=first, upto=first)
        state.save()
    return state


def first_day(at: datetime) -> date:
    """The day of the oldest fact; that of ``at`` where there is none."""
    zone = ZoneInfo(settings.REPORT_TIME_ZONE)
    fact = RunFact.objects.order_by("ended_at").values_list("ended_at", flat=True)
    usage = UsageEvent.objects.order_by("at").values_list("at", flat=True)
    oldest = [one for one in (fact.first(), usage.first()) if one is not None]
    return min([*oldest, at]).astimezone(zone).date()


def _window(day: date, zone: ZoneInfo) -> Period:
    start = datetime.combine(day, time(), zone)
    end = datetime.combine(day + timedelta(days=1), time(), zone)
    return Period(start, end, zone.key)


def _teams(day: date, zone: ZoneInfo) -> list[str]:
    window = _window(day, zone)
    found = rows(
        "SELECT team FROM finops_runfact WHERE ended_at >= %(start)s "
        "AND ended_at < %(end)s UNION SELECT team FROM finops_taskfact "
        "WHERE first_ended_at >= %(start)s AND first_ended_at < %(end)s "
        "UNION SELECT team FROM finops_taskfact WHERE ended_at >= %(start)s "
        "AND ended_at < %(end)s UNION SELECT team FROM finops_usageevent "
        "WHERE at >= %(start)s AND at < %(end)s",
        {"start": window.start, "end": window.end},
    )
    return sorted(row["team"] for row in found)


def _make(day: date, teams: Sequence[str], zone: ZoneInfo) -> None:
    """Make a day of some teams anew, in the running transaction."""
    DayFigures.objects.filter(day=day, team__in=teams).delete()
    DaySketch.objects.filter(day=day, team__in=[*teams, EVERY_TEAM]).delete()
    if not teams:
        return
    window, scope = _window(day, zone), Scope(teams=frozenset(teams))
    columns = ", ".join((*_KEYS, *MEASURES))
    for of in ("", "server", "tool"):
        keys = all_keys(of)
        query = (
            tool_use(scope, window, keys, of) if of else whole_runs(scope, window, keys)
        )
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO finops_dayfigures (day, {columns}, thin) "  # noqa: S608
                f"SELECT %(day)s, {columns}, false FROM ({query.sql(_KEYS)}) sums",
                {**query.parameters, "day": day},
            )
    values: dict[str, Any] = {"day": day, "teams": list(teams), "every": EVERY_TEAM}
    values |= {"start": window.start, "end": window.end}
    with connection.cursor() as cursor:
        for text in (_THIN, _SKETCHES, _MERGED):
            cursor.execute(text, values)


def rebuild(*, at: datetime, start: date | None = None, end: date | None = None) -> int:
    """Make days anew, from ``start`` to before ``end``; all where neither is given.

    The days that are made are noted as changed, and then kept up. How many were made.
    """
    with transaction.atomic():
        state = _state(at, wait=True)
        if state is None or state.first is None or state.upto is None:
            return 0
        if start is None and end is None:
            RollupState.objects.filter(pk=1).delete()
            DayFigures.objects.all().delete()
            DaySketch.objects.all().delete()
            DirtyDay.objects.all().delete()
        else:
            _note_all(max(start or state.first, state.first), end or state.upto, state)
    return keep_up(at=at, most=100_000, wait=True)


def _note_all(first: date, end: date, state: RollupState) -> None:
    zone = ZoneInfo(state.zone)
    day = first
    while state.upto and day < min(end, state.upto):
        made = DayFigures.objects.filter(day=day).values_list("team", flat=True)
        teams = {*made, *_teams(day, zone)}
        DirtyDay.objects.bulk_create(DirtyDay(day=day, team=team) for team in teams)
        day += timedelta(days=1)
