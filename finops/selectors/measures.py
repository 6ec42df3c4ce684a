"""The sums that every report is made of, by any one key. docs/metrics.md says how."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.period import Period
from finops.selectors.rows import UNRATED, rows
from finops.selectors.scope import Scope, of_calls, of_facts, of_loose_usage, of_usage

# The only texts that reach a query as a column; {t} is the alias of its table.
_KEYS = {
    "": "''",
    "team": "{t}.team",
    "cost_centre": "{t}.cost_centre",
    "project": "{t}.team || '/' || {t}.project",
    "environment": "{t}.environment",
    "principal": "{t}.principal",
    "model": "{t}.model",
}
_OF_RUNS = {"mode": "{t}.mode", "language": "{t}.language"}
_OF_TOOLS = {"tool": "c.tool", "server": "c.server"}
BUCKET = "bucket"
DIMENSIONS = tuple(name for name in (*_KEYS, *_OF_RUNS, *_OF_TOOLS) if name)

# A task counts for first-try success once any of its runs made two calls: a script
# that failed before its second call must not drop out of the figure.
_MULTI_CALL = """f.attempt = 1 AND (f.tool_calls >= 2 OR EXISTS (
  SELECT 1 FROM finops_runfact o WHERE o.task = f.task AND o.tool_calls >= 2))"""

_CALLS = """CROSS JOIN LATERAL (
  SELECT {key} AS key, sum(c.ok) AS ok FROM (
    SELECT tool, split_part(tool, '.', 1) AS server, ok
    FROM unnest(f.tools, f.tool_successes) AS used (tool, ok)) c
  WHERE {where} GROUP BY 1) c"""

_SUMS = """
WITH f AS (
  SELECT {run_key} AS key, f.*, {actions} AS actions, {multi_call} AS multi
  FROM finops_runfact f {calls} WHERE {where}
), parts AS (
  SELECT key, count(*) AS runs, count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE multi) AS tried,
    count(*) FILTER (WHERE multi AND succeeded) AS first_try,
    sum(tokens) AS tokens,
    count(DISTINCT task) FILTER (WHERE succeeded) AS completed_tasks,
    {run_cost} AS cost, {run_unrated} AS unrated, sum(actions) AS actions,
    sum(tokens_avoided) AS avoided, max(ended_at) AS newest
  FROM f GROUP BY key
  UNION ALL
  SELECT {usage_key}, 0, 0, 0, 0, 0,
    sum(u.quantity) FILTER (WHERE u.kind = 'tokens'), 0,
    sum(u.cost) FILTER (WHERE u.currency = %(currency)s), {unrated}, 0, 0, NULL
  FROM finops_usageevent u WHERE {usage_where} GROUP BY 1
)
SELECT key, sum(runs)::bigint AS runs, sum(failed)::bigint AS failed,
  sum(cancelled)::bigint AS cancelled, sum(tried)::bigint AS tried,
  sum(first_try)::bigint AS first_try, coalesce(sum(tokens), 0)::bigint AS tokens,
  sum(completed_tasks)::bigint AS completed_tasks, coalesce(sum(cost), 0) AS cost,
  sum(unrated)::bigint AS unrated, sum(actions)::bigint AS actions,
  sum(avoided)::bigint AS avoided, max(newest) AS newest
FROM parts GROUP BY key
"""

_DURATIONS = """
WITH f AS MATERIALIZED (
  SELECT {run_key} AS key, f.queue_seconds, f.hold_seconds, f.run_seconds,
    f.total_seconds
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


@dataclass(frozen=True, slots=True)
class _Parts:
    """What differs between queries over whole runs and over the use of tools."""

    texts: Mapping[str, str]
    parameters: Mapping[str, Any]


def sums(scope: Scope, period: Period, by: str) -> list[dict[str, Any]]:
    """The additive figures of ``period`` under each ``key``.

    ``by`` is one of DIMENSIONS, BUCKET for hours or days, or "" for the total.
    """
    return _read(_SUMS, scope, period, by)


def durations(scope: Scope, period: Period, by: str) -> list[dict[str, Any]]:
    """Percentiles of the time to finish, and the mean parts of the runs near p95."""
    return _read(_DURATIONS, scope, period, by)


def _read(query: str, scope: Scope, period: Period, by: str) -> list[dict[str, Any]]:
    parts = _of_tools if scope.narrows_tools or by in _OF_TOOLS else _of_whole_runs
    found = parts(scope, period, by)
    return rows(query.format_map(found.texts), found.parameters)


def _of_whole_runs(scope: Scope, period: Period, by: str) -> _Parts:
    where, loose = of_facts(scope, period), of_loose_usage(scope, period)
    texts = {
        "run_key": _key(by, "f", "f.ended_at"),
        "calls": "",
        "actions": "f.successful_calls",
        "run_cost": "sum(cost) FILTER (WHERE currency = %(currency)s)",
        "run_unrated": "sum(unrated)",
        # What was spent outside a run is part of all tokens and of all cost.
        "usage_key": "''" if by in _OF_RUNS else _key(by, "u", "u.at"),
        "usage_where": loose.sql,
    }
    return _parts(texts, where.sql, loose.parameters | where.parameters)


def _of_tools(scope: Scope, period: Period, by: str) -> _Parts:
    """Runs count where they called the tool; the cost is that of its own usage."""
    where, usage, calls = (
        of_facts(scope, period),
        of_usage(scope, period),
        of_calls(scope),
    )
    of_tool = _OF_TOOLS.get(by)
    lateral = _CALLS.format(key=of_tool or "''", where=calls.sql)
    if of_tool:
        usage_key = f"u.{by}"
    elif by in _OF_RUNS:
        usage_key = f"(SELECT m.{by} FROM finops_runfact m WHERE m.run = u.run)"  # noqa: S608
    else:
        usage_key = _key(by, "u", "u.at")
    texts = {
        "run_key": "c.key" if of_tool else _key(by, "f", "f.ended_at"),
        "calls": lateral,
        "actions": "c.ok",
        "run_cost": "0",
        "run_unrated": "0",
        "usage_key": usage_key,
        "usage_where": f"{usage.sql} AND u.kind = 'tool_call'",
    }
    return _parts(
        texts, where.sql, usage.parameters | where.parameters | calls.parameters
    )


def _parts(texts: dict[str, str], where: str, parameters: Mapping[str, Any]) -> _Parts:
    shared = {"multi_call": _MULTI_CALL, "unrated": UNRATED, "where": where}
    return _Parts(texts | shared, parameters)


def _key(by: str, alias: str, time: str) -> str:
    if by == BUCKET:
        return f"date_trunc(%(unit)s, {time}, %(zone)s)"
    return (_KEYS | _OF_RUNS)[by].format(t=alias)
