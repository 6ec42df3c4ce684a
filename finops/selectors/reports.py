"""The headline figures of a period, whole and by bucket. docs/metrics.md says how."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from core.period import Period
from finops.selectors.rows import UNRATED, rows
from finops.selectors.scope import Scope, of_facts, of_loose_usage
from finops.statistics import wilson

# A task counts for first-try success once any of its runs made two calls: a script
# that failed before its second call must not drop out of the figure.
_MULTI_CALL = """f.attempt = 1 AND (f.tool_calls >= 2 OR EXISTS (
  SELECT 1 FROM finops_runfact o WHERE o.task = f.task AND o.tool_calls >= 2))"""

# What was spent outside a run is part of all tokens and of all cost.
_LOOSE = """
  SELECT coalesce(sum(u.quantity) FILTER (WHERE u.kind = 'tokens'), 0) AS tokens,
    coalesce(sum(u.cost) FILTER (WHERE u.currency = %(currency)s), 0) AS cost,
    {unrated} AS unrated
  FROM finops_usageevent u WHERE {loose_where}"""
_LOOSE_BY_TIME = """
  SELECT date_trunc(%(unit)s, u.at, %(zone)s) AS bucket,
    sum(u.quantity) FILTER (WHERE u.kind = 'tokens') AS tokens,
    sum(u.cost) FILTER (WHERE u.currency = %(currency)s) AS cost
  FROM finops_usageevent u WHERE {loose_where} GROUP BY 1"""

_FIGURES = """
WITH f AS MATERIALIZED (
  SELECT f.task, f.succeeded, f.status, f.tokens, f.tokens_avoided, f.unrated,
    f.successful_calls, f.queue_seconds, f.hold_seconds, f.run_seconds,
    f.total_seconds, f.ended_at, {multi_call} AS tried,
    CASE WHEN f.currency = %(currency)s THEN f.cost ELSE 0 END AS cost
  FROM finops_runfact f WHERE {where}
), p AS (
  SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total_seconds) AS p50,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY total_seconds) AS p95,
    percentile_disc(0.925) WITHIN GROUP (ORDER BY total_seconds) AS low,
    percentile_disc(0.975) WITHIN GROUP (ORDER BY total_seconds) AS high
  FROM f WHERE status <> 'cancelled'
), near AS (
  SELECT avg(queue_seconds) AS queue, avg(hold_seconds) AS hold,
    avg(run_seconds) AS run, count(*) AS runs
  FROM f, p WHERE status <> 'cancelled' AND total_seconds BETWEEN low AND high
), loose AS ({loose}
), a AS (
  SELECT count(*) AS runs, count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE tried) AS tried,
    count(*) FILTER (WHERE tried AND succeeded) AS first_try,
    coalesce(sum(tokens), 0) AS tokens,
    count(DISTINCT task) FILTER (WHERE succeeded) AS completed_tasks,
    coalesce(sum(cost), 0) AS cost, coalesce(sum(unrated), 0) AS unrated,
    coalesce(sum(successful_calls), 0)::bigint AS actions,
    coalesce(sum(tokens_avoided), 0)::bigint AS avoided, max(ended_at) AS newest
  FROM f
)
SELECT a.runs, a.failed, a.cancelled, a.tried, a.first_try, a.completed_tasks,
  a.actions, a.avoided, a.newest, a.cost + loose.cost AS cost,
  (a.tokens + loose.tokens)::bigint AS tokens,
  (a.unrated + loose.unrated)::bigint AS unrated,
  p.p50, p.p95, near.queue, near.hold, near.run, near.runs AS near
FROM a, p, near, loose
"""

_SERIES = """
WITH f AS (
  SELECT f.*, {multi_call} AS is_tried FROM finops_runfact f WHERE {where}
), r AS (
  SELECT date_trunc(%(unit)s, f.ended_at, %(zone)s) AS bucket, count(*) AS runs,
    count(*) FILTER (WHERE is_tried) AS tried,
    count(*) FILTER (WHERE is_tried AND succeeded) AS first_try,
    sum(tokens) AS tokens,
    count(DISTINCT task) FILTER (WHERE succeeded) AS completed_tasks,
    sum(cost) FILTER (WHERE currency = %(currency)s) AS cost,
    sum(successful_calls) AS actions,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY total_seconds)
      FILTER (WHERE status <> 'cancelled') AS p95
  FROM f GROUP BY 1
), loose AS ({loose}
)
SELECT bucket, coalesce(r.runs, 0) AS runs, coalesce(r.tried, 0) AS tried,
  coalesce(r.first_try, 0) AS first_try,
  (coalesce(r.tokens, 0) + coalesce(loose.tokens, 0))::bigint AS tokens,
  coalesce(r.completed_tasks, 0) AS completed_tasks,
  coalesce(r.cost, 0) + coalesce(loose.cost, 0) AS cost,
  coalesce(r.actions, 0)::bigint AS actions, r.p95
FROM r FULL JOIN loose USING (bucket)
"""


@dataclass(frozen=True, slots=True)
class Split:
    """Mean parts, in seconds, of the runs near a percentile; ``runs`` says how many."""

    queue: float
    hold: float
    run: float
    runs: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened in a period. Seconds; ``cost`` in ``currency``, not rounded."""

    runs: int
    failed: int
    cancelled: int
    tried: int
    first_try: int
    tokens: int
    completed_tasks: int
    cost: Decimal
    unrated: int
    actions: int
    avoided: int
    newest: datetime | None
    p50: float | None
    p95: float | None
    near_p95: Split | None
    currency: str

    @property
    def first_try_share(self) -> float | None:
        return self.first_try / self.tried if self.tried else None

    @property
    def first_try_interval(self) -> tuple[float, float] | None:
        return wilson(self.first_try, self.tried)

    @property
    def tokens_per_task(self) -> float | None:
        return self.tokens / self.completed_tasks if self.completed_tasks else None

    @property
    def cost_per_action(self) -> Decimal | None:
        return per(self.cost, self.actions)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The headline figures of one hour or day; None where there is none."""

    at: datetime
    runs: int = 0
    first_try_share: float | None = None
    tokens_per_task: float | None = None
    cost_per_action: Decimal | None = None
    p95: float | None = None


def figures(scope: Scope, period: Period) -> Figures:
    """The figures of the runs that ended in ``period``, in one query."""
    row = _rows(_FIGURES, _LOOSE, scope, period)[0]
    parts = [row.pop(name) for name in ("queue", "hold", "run", "near")]
    return Figures(
        **row,
        near_p95=Split(*parts) if parts[-1] else None,
        currency=settings.CURRENCY,
    )


def series(scope: Scope, period: Period) -> tuple[Bucket, ...]:
    """The headline figures by hour or day of the report's zone, gaps included."""
    found_rows = _rows(_SERIES, _LOOSE_BY_TIME, scope, period)
    buckets = [_bucket(period, row) for row in found_rows]
    found = {bucket.at: bucket for bucket in buckets}
    return tuple(found.get(at) or Bucket(at) for at in period.buckets())


def _rows(
    query: str, loose_query: str, scope: Scope, period: Period
) -> list[dict[str, Any]]:
    where, loose = of_facts(scope, period), of_loose_usage(scope, period)
    text = query.format(
        multi_call=_MULTI_CALL,
        where=where.sql,
        loose=loose_query.format(loose_where=loose.sql, unrated=UNRATED),
    )
    return rows(text, loose.parameters | where.parameters)


def _bucket(period: Period, row: dict[str, Any]) -> Bucket:
    tried, tasks = row["tried"], row["completed_tasks"]
    return Bucket(
        at=period.bucket_of(row["bucket"]),
        runs=row["runs"],
        first_try_share=row["first_try"] / tried if tried else None,
        tokens_per_task=row["tokens"] / tasks if tasks else None,
        cost_per_action=per(row["cost"], row["actions"]),
        p95=row["p95"],
    )


def per(cost: Decimal, count: int) -> Decimal | None:
    """A ratio of sums, to 12 places; None when there is nothing to divide by."""
    return (cost / count).quantize(Decimal("1E-12")) if count else None
