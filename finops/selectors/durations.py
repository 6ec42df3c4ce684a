"""How long runs took to finish: percentiles, and the parts of the runs near p95."""

from typing import Any

from core.period import Period
from finops.selectors.measures import OF_TOOLS, calls_of, key_of
from finops.selectors.rows import rows
from finops.selectors.scope import Scope, of_calls, of_facts

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


def exact_durations(scope: Scope, period: Period, by: str) -> list[dict[str, Any]]:
    """p50 and p95 under each key, and the mean parts of the runs near p95."""
    where, narrow = of_facts(scope, period), scope.narrows_tools or by in OF_TOOLS
    [key] = key_of(by)("f", "f.ended_at")
    calls = calls_of(scope, by) if narrow else ""
    query = _EXACT.format(key=key, calls=calls, where=where.sql)
    return rows(query, where.parameters | of_calls(scope).parameters)
