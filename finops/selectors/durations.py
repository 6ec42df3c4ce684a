"""How long runs took to finish: percentiles, and the parts of the runs near p95."""

from typing import Any

from core.period import Period
from finops.models.rollups import EVERY_TEAM
from finops.selectors.measures import (
    BUCKET,
    OF_RUNS,
    OF_TOOLS,
    SHARED,
    calls_of,
    key_of,
)
from finops.selectors.rollups import Plan, bucket_of_day, renamed
from finops.selectors.rows import rows
from finops.selectors.scope import Conditions, Scope, of_calls, of_facts
from finops.sketch import GAMMA, LOG_GAMMA, SMALLEST, ZERO

_EXACT = """
WITH f AS MATERIALIZED (
  SELECT {key} AS key, f.queue_seconds, f.hold_seconds, f.run_seconds, f.total_seconds
  FROM finops_runfact f {calls} WHERE {where} AND f.status <> 'cancelled'
), p AS (
  SELECT key, percentile_cont(0.5) WITHIN GROUP (ORDER BY total_seconds) AS p50,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY total_seconds) AS p95,
    percentile_disc(0.925) WITHIN GROUP (ORDER BY total_seconds) AS low,
    percentile_disc(0.975) WITHIN GROUP (ORDER BY total_seconds) AS high
  FROM f GROUP BY key
)
SELECT key, min(p50) AS p50, min(p95) AS p95, avg(queue_seconds) AS queue,
  avg(hold_seconds) AS hold, avg(run_seconds) AS run, count(*) AS near
FROM f JOIN p USING (key) WHERE total_seconds BETWEEN low AND high GROUP BY key
"""

# The bin of a run, as finops.sketch has it.
BIN = (
    f"CASE WHEN f.total_seconds < {SMALLEST} THEN {ZERO} "
    f"ELSE ceil(ln(f.total_seconds) / {LOG_GAMMA!r})::int END"
)
_RAW_BINS = """
  SELECT {key}, {bin}, 1, round(f.queue_seconds * 1e6)::bigint,
    round(f.hold_seconds * 1e6)::bigint, round(f.run_seconds * 1e6)::bigint
  FROM finops_runfact f {calls} WHERE {where} AND f.status <> 'cancelled'
"""
_RANK = "({share} * (whole - 1))"
_AT = "min(value) FILTER (WHERE upto > {side}(({share} * (whole - 1))))"


def _between(share: str) -> str:
    """A percentile of the bins, between two ranks in proportion."""
    low, high = (_AT.format(side=side, share=share) for side in ("floor", "ceil"))
    rank = _RANK.format(share=share)
    return f"{low} + ({high} - {low}) * ({rank} - floor({rank}))"


_NEAR = """FILTER (WHERE upto > floor(0.925 * (whole - 1))
    AND upto - n <= ceil(0.975 * (whole - 1)))"""
_SKETCHED = f"""
WITH b (key, bin, n, queue, hold, run) AS (
  SELECT d.key, u.* FROM (
    SELECT {{key}} AS key, s.bins, s.counts, s.queue, s.hold, s.run
    FROM finops_daysketch s WHERE {{where}} OFFSET 0) d
  CROSS JOIN LATERAL unnest(d.bins, d.counts, d.queue, d.hold, d.run) u
{{rest}}
), m AS (
  SELECT key, bin, sum(n) AS n, sum(queue) AS queue, sum(hold) AS hold, sum(run) AS run
  FROM b GROUP BY key, bin
), c AS (
  SELECT m.*, sum(n) OVER (PARTITION BY key ORDER BY bin) AS upto,
    sum(n) OVER (PARTITION BY key) AS whole,
    CASE WHEN bin = {ZERO} THEN 0
      ELSE 2 * exp(bin * {LOG_GAMMA!r}::float8) / {GAMMA + 1!r} END AS value
  FROM m
)
SELECT key, {_between("0.5")} AS p50, {_between("0.95")} AS p95,
  (sum(queue) {_NEAR} / sum(n) {_NEAR} / 1e6)::float8 AS queue,
  (sum(hold) {_NEAR} / sum(n) {_NEAR} / 1e6)::float8 AS hold,
  (sum(run) {_NEAR} / sum(n) {_NEAR} / 1e6)::float8 AS run,
  (sum(n) {_NEAR})::bigint AS near
FROM c GROUP BY key, whole
"""  # noqa: S608 - constants of this module


def exact_durations(scope: Scope, period: Period, by: str) -> list[dict[str, Any]]:
    """p50 and p95 under each key, and the mean parts of the runs near p95."""
    where, narrow = of_facts(scope, period), scope.narrows_tools or by in OF_TOOLS
    [key] = key_of(by)("f", "f.ended_at")
    calls = calls_of(scope, by) if narrow else ""
    query = _EXACT.format(key=key, calls=calls, where=where.sql)
    return rows(query, where.parameters | of_calls(scope).parameters)


def sketched_durations(
    scope: Scope, found: Plan, by: str
) -> list[dict[str, Any]] | None:
    """The same within 1 %, from sketches of days and the rest raw.

    None where no sketch has what is asked for: they are kept by team and one other
    dimension.
    """
    dimension = _dimension(scope, by)
    if dimension is None:
        return None
    where = _of_sketches(scope, found, dimension, by)
    rest, parameters = [], dict(where.parameters)
    narrow = scope.narrows_tools or by in OF_TOOLS
    for number, window in enumerate(found.rest):
        raw = of_facts(scope, window)
        [key] = key_of(by)("f", "f.ended_at")
        calls = calls_of(scope, by) if narrow else ""
        part = _RAW_BINS.format(key=key, bin=BIN, calls=calls, where=raw.sql)
        rest.append(f"UNION ALL {renamed(part, number)}")
        parameters |= raw.parameters | of_calls(scope).parameters
        parameters |= {f"start{number}": window.start, f"end{number}": window.end}
    parameters |= {"zone": found.period.zone, "unit": found.period.unit}
    query = _SKETCHED.format(key=_sketch_key(by), where=where.sql, rest="\n".join(rest))
    return rows(query, parameters)


def _dimension(scope: Scope, by: str) -> str | None:
    """The one dimension that the sketches have to be of; "" for teams alone."""
    names = (*SHARED, *OF_RUNS, *OF_TOOLS)
    wanted = {name for name in names if name != "team" and getattr(scope, name)}
    wanted |= {by} - {"", "team", BUCKET}
    if len(wanted) > 1 or (scope.project and "/" not in scope.project):
        return None
    return wanted.pop() if wanted else ""


def _sketch_key(by: str) -> str:
    if by == BUCKET:
        return bucket_of_day("s")
    if by == "team":
        return "s.team"
    return "s.key" if by else "''"


def _of_sketches(scope: Scope, found: Plan, dimension: str, by: str) -> Conditions:
    parts = ["s.dimension = %(dimension)s", "s.day >= %(first_day)s"]
    parts.append("s.day < %(upto_day)s")
    values: dict[str, Any] = {
        "dimension": dimension,
        "first_day": found.first,
        "upto_day": found.upto,
    }
    if found.dirty:
        parts.append("s.day <> ALL(%(dirty)s)")
        values["dirty"] = list(found.dirty)
    if scope.teams is not None:
        parts.append("s.team = ANY(%(teams)s)")
        values["teams"] = sorted(scope.teams)
    merged = scope.teams is None and not scope.team and by != "team"
    if scope.team or merged:
        parts.append("s.team = %(team)s")
        values["team"] = scope.team or EVERY_TEAM
    else:
        parts.append("s.team <> %(every)s")
        values["every"] = EVERY_TEAM
    if dimension and getattr(scope, dimension):
        parts.append("s.key = %(key)s")
        values["key"] = getattr(scope, dimension)
    return Conditions(" AND ".join(parts), values)
