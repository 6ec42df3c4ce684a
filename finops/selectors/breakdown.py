"""Costs, tokens, calls, runs and success by any one dimension, from the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from core.money import total
from core.period import Period
from finops.selectors.rows import UNRATED, rows
from finops.selectors.scope import Conditions, Scope, of_usage

# The only texts that reach a query as a column.
DIMENSIONS = {
    "team": "u.team",
    "cost_centre": "u.cost_centre",
    "project": "u.team || '/' || u.project",
    "environment": "u.environment",
    "server": "u.server",
    "tool": "u.tool",
    "model": "u.model",
    "token_kind": "u.token_kind",
    "mode": "coalesce(m.mode, '')",
    "language": "coalesce(m.language, '')",
    "day": "to_char(u.at AT TIME ZONE %(zone)s, 'YYYY-MM-DD')",
    "principal": "u.principal",
    "sku": "u.sku",
}
# These stand with the run, not with what it booked.
_OF_RUNS = frozenset({"mode", "language"})
_USAGE = "finops_usageevent u"
_USAGE_WITH_RUNS = f"{_USAGE} LEFT JOIN finops_runfact m ON m.run = u.run"
MOST_GROUPS = 100

# By run first: then a run is counted once a group and once in the total without
# count(DISTINCT …), which sorts and took twice as long.
_GROUPS = """
WITH g AS MATERIALIZED (
  SELECT {key} AS key, u.run, {unrated} AS unrated,
    sum(u.cost) FILTER (WHERE u.currency = %(currency)s) AS cost,
    sum(u.quantity) FILTER (WHERE u.kind = 'tokens') AS tokens,
    sum(u.quantity) FILTER (WHERE u.kind = 'tokens' AND u.known = 'estimated')
      AS estimated,
    sum(u.quantity) FILTER (WHERE u.kind = 'model_tokens') AS model_tokens,
    sum(u.quantity) FILTER (WHERE u.kind = 'tool_call') AS calls,
    max(u.at) AS newest
  FROM {usage} WHERE {where} GROUP BY 1, 2
), r AS MATERIALIZED (
  SELECT d.run, f.succeeded
  FROM (SELECT DISTINCT run FROM g WHERE run <> '') d
  LEFT JOIN finops_runfact f ON f.run = d.run
), k AS (
  SELECT g.key, coalesce(sum(g.cost), 0) AS cost,
    sum(g.unrated)::bigint AS unrated, coalesce(sum(g.tokens), 0)::bigint AS tokens,
    coalesce(sum(g.estimated), 0)::bigint AS estimated_tokens,
    coalesce(sum(g.model_tokens), 0)::bigint AS model_tokens,
    coalesce(sum(g.calls), 0)::bigint AS calls, count(r.run) AS runs,
    count(r.succeeded) AS ended, count(*) FILTER (WHERE r.succeeded) AS succeeded,
    max(g.newest) AS newest
  FROM g LEFT JOIN r ON r.run = g.run GROUP BY g.key
)
SELECT true AS whole, '' AS key, coalesce(sum(cost), 0) AS cost,
  coalesce(sum(unrated), 0)::bigint AS unrated,
  coalesce(sum(tokens), 0)::bigint AS tokens,
  coalesce(sum(estimated_tokens), 0)::bigint AS estimated_tokens,
  coalesce(sum(model_tokens), 0)::bigint AS model_tokens,
  coalesce(sum(calls), 0)::bigint AS calls,
  (SELECT count(*) FROM r) AS runs, (SELECT count(succeeded) FROM r) AS ended,
  (SELECT count(*) FROM r WHERE succeeded) AS succeeded, max(newest) AS newest
FROM k
UNION ALL (SELECT false, k.* FROM k ORDER BY {order} LIMIT %(limit)s)
ORDER BY whole DESC, {order}
"""

_BEFORE = """
SELECT CASE WHEN {key} = ANY(%(keys)s) THEN {key} END AS key,
  coalesce(sum(u.cost) FILTER (WHERE u.currency = %(currency)s), 0) AS cost
FROM {usage} WHERE {where} GROUP BY 1
"""

_BY_TIME = """
SELECT date_trunc(%(unit)s, u.at, %(zone)s) AS bucket,
  CASE WHEN {key} = ANY(%(keys)s) THEN {key} END AS key,
  sum(u.cost) FILTER (WHERE u.currency = %(currency)s) AS cost
FROM {usage} WHERE {where} GROUP BY 1, 2
"""

_TOTAL_BY_TIME = """
SELECT date_trunc(%(unit)s, u.at, %(zone)s) AS bucket,
  sum(u.cost) FILTER (WHERE u.currency = %(currency)s) AS cost
FROM {usage} WHERE {where} GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Group:
    """A row of the report. ``ended`` counts its runs that are over."""

    key: str
    cost: Decimal
    unrated: int
    tokens: int
    estimated_tokens: int
    model_tokens: int
    calls: int
    runs: int
    ended: int
    succeeded: int
    newest: datetime | None
    before: Decimal | None = None

    @property
    def success(self) -> float | None:
        return self.succeeded / self.ended if self.ended else None

    def share_of(self, total: Decimal) -> float | None:
        """Its part of a cost, as a share of 1."""
        return float(self.cost / total) if total else None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Groups by falling cost (days in order), and the total of all of them.

    ``others`` is what groups beyond the limit add to the total, or None.
    """

    dimension: str
    groups: tuple[Group, ...]
    total: Group
    others: Group | None
    currency: str


def breakdown(
    scope: Scope,
    period: Period,
    dimension: str,
    *,
    against: Period | None = None,
    limit: int = MOST_GROUPS,
) -> Breakdown:
    """The report of ``period`` with each cost of ``against`` beside it.

    It is the previous period where none is given.

    ``dimension`` is one of DIMENSIONS. Days have no cost before: the total has.
    """
    whole, *groups = _groups(scope, period, dimension, limit)
    keys = [group.key for group in groups if dimension != "day"]
    before, whole_before = _costs_before(
        scope, against or period.previous, dimension, keys
    )
    return Breakdown(
        dimension=dimension,
        groups=tuple(
            group if dimension == "day" else replace(group, before=before[group.key])
            for group in groups
        ),
        total=replace(whole, before=whole_before),
        others=_others(whole, groups) if len(groups) == limit else None,
        currency=settings.CURRENCY,
    )


def by_time(
    scope: Scope, period: Period, dimension: str, keys: Sequence[str]
) -> dict[str | None, list[Decimal]]:
    """The cost of each of ``keys`` by bucket; under None what all others cost."""
    found = usage_by(_BY_TIME, dimension, of_usage(scope, period), keys=list(keys))
    buckets = {at: index for index, at in enumerate(period.buckets())}
    result: dict[str | None, list[Decimal]] = {
        key: [Decimal(0)] * len(buckets) for key in (*keys, None)
    }
    for row in found:
        index = buckets[period.bucket_of(row["bucket"])]
        result[row["key"]][index] += row["cost"] or 0
    return result


def totals_by_time(scope: Scope, period: Period) -> list[Decimal]:
    """The whole cost by bucket."""
    found = usage_by(_TOTAL_BY_TIME, "team", of_usage(scope, period))
    costs = {
        period.bucket_of(row["bucket"]): row["cost"] or Decimal(0) for row in found
    }
    return [costs.get(at, Decimal(0)) for at in period.buckets()]


def _groups(scope: Scope, period: Period, dimension: str, limit: int) -> list[Group]:
    """The total first, then at most ``limit`` groups."""
    order = "key" if dimension == "day" else "cost DESC, key"
    found = usage_by(
        _GROUPS.replace("{order}", order),
        dimension,
        of_usage(scope, period),
        limit=limit,
    )
    return [
        Group(**{name: value for name, value in row.items() if name != "whole"})
        for row in found
    ]


def _costs_before(
    scope: Scope, against: Period, dimension: str, keys: Sequence[str]
) -> tuple[dict[str, Decimal], Decimal]:
    """What each of ``keys`` cost in the other period, and what everything cost."""
    found = usage_by(_BEFORE, dimension, of_usage(scope, against), keys=list(keys))
    known = {row["key"]: row["cost"] for row in found if row["key"] is not None}
    costs = dict.fromkeys(keys, Decimal(0)) | known
    return costs, total(row["cost"] for row in found)


def _others(whole: Group, groups: Sequence[Group]) -> Group:
    """What the groups that are not shown add. Runs may lie in several: no count."""
    return Group(
        key="",
        cost=whole.cost - total(group.cost for group in groups),
        unrated=whole.unrated - sum(group.unrated for group in groups),
        tokens=whole.tokens - sum(group.tokens for group in groups),
        estimated_tokens=whole.estimated_tokens
        - sum(group.estimated_tokens for group in groups),
        model_tokens=whole.model_tokens - sum(group.model_tokens for group in groups),
        calls=whole.calls - sum(group.calls for group in groups),
        runs=0,
        ended=0,
        succeeded=0,
        newest=None,
    )


def usage_by(
    query: str, dimension: str, where: Conditions, **more: object
) -> list[dict[str, Any]]:
    """Rows of a query over ``{usage}`` with ``{key}``, the dimension's column."""
    source = _USAGE_WITH_RUNS if dimension in _OF_RUNS else _USAGE
    text = query.replace("{usage}", source).replace("{key}", DIMENSIONS[dimension])
    text = text.replace("{where}", where.sql).replace("{unrated}", UNRATED)
    return rows(text, where.parameters | more)
