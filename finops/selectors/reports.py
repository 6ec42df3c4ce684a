"""The headline figures of a period, whole and by bucket. docs/metrics.md says how."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from django.conf import settings

from core.period import Period
from finops.selectors.durations import exact_durations, sketched_durations
from finops.selectors.measures import (
    BUCKET,
    MEASURES,
    OF_TOOLS,
    Query,
    key_of,
    tool_use,
    whole_runs,
)
from finops.selectors.rollups import plan, with_sums
from finops.selectors.rows import rows
from finops.selectors.scope import Scope
from finops.statistics import wilson

Precision = Literal["exact", "±1 %"]
EXACT: Precision = "exact"
NEARLY: Precision = "±1 %"


@dataclass(frozen=True, slots=True)
class Split:
    """Mean parts, in seconds, of the runs near a percentile; ``runs`` says how many."""

    queue: float
    hold: float
    run: float
    runs: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How the tokens of tasks are known, as shares of 1."""

    measured: float
    reported: float
    estimated: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened in a period. Seconds; ``cost`` in ``currency``, not rounded.

    Runs count where they ended; tasks where their first run ended (``tried``,
    ``first_try``) and otherwise where their last did. ``loose_tokens`` are those of
    definitions shown, which belong to no task.
    """

    runs: int
    failed: int
    cancelled: int
    tried: int
    first_try: int
    tasks: int
    completed_tasks: int
    abandoned_tasks: int
    pending_tasks: int
    measured_tasks: int
    reported_tasks: int
    task_tokens: int
    loose_tokens: int
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
    def failed_tasks(self) -> int:
        """Tasks whose last run failed, and that may still be tried again."""
        gone = self.completed_tasks + self.abandoned_tasks + self.pending_tasks
        return self.tasks - gone

    @property
    def coverage(self) -> Coverage | None:
        """How sure the tokens are; None without tasks."""
        if not self.tasks:
            return None
        measured, reported = self.measured_tasks, self.reported_tasks
        return Coverage(
            measured / self.tasks,
            reported / self.tasks,
            (self.tasks - measured - reported) / self.tasks,
        )

    @property
    def tokens(self) -> int:
        """All tokens. Those that models tell hold the definitions they were shown."""
        if not self.tasks:
            return self.task_tokens + self.loose_tokens
        estimated = self.tasks - self.measured_tasks - self.reported_tasks
        return self.task_tokens + self.loose_tokens * estimated // self.tasks

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


@dataclass(frozen=True, slots=True)
class Reading:
    """Figures under their keys, and how sure their percentiles are."""

    figures: Mapping[Any, Figures]
    precision: Precision


def figures(scope: Scope, period: Period) -> Figures:
    """The figures of the runs that ended in ``period``."""
    return read(scope, period, "").figures.get("") or NOTHING


def series(scope: Scope, period: Period) -> tuple[Bucket, ...]:
    """The headline figures by hour or day of the report's zone, gaps included."""
    found = {
        period.bucket_of(at): figures
        for at, figures in read(scope, period, BUCKET).figures.items()
    }
    return tuple(
        _bucket(at, found[at]) if at in found else Bucket(at) for at in period.buckets()
    )


def read(scope: Scope, period: Period, by: str) -> Reading:
    """The figures under each key that has any (finops.selectors.measures)."""
    found = plan(scope, period, by)
    raw = {window: _raw(scope, window, by) for window in found.rest}
    query = with_sums(found, scope, by, raw) if found.sums else raw[period]
    sketched = sketched_durations(scope, found, by) if found.sketched else None
    exact = sketched is None
    times = exact_durations(scope, period, by) if sketched is None else sketched
    timed = {row.pop("key"): row for row in times}
    return Reading(
        {
            (key := row.pop("key")): _figures(row, timed.get(key))
            for row in rows(query.sql(["key"]), query.parameters)
        },
        EXACT if exact else NEARLY,
    )


def _raw(scope: Scope, period: Period, by: str) -> Query:
    if scope.narrows_tools or by in OF_TOOLS:
        return tool_use(scope, period, key_of(by), by if by in OF_TOOLS else "")
    return whole_runs(scope, period, key_of(by))


def _figures(row: dict[str, Any], timed: dict[str, Any] | None) -> Figures:
    near = None
    if timed:
        near = Split(timed["queue"], timed["hold"], timed["run"], timed["near"])
    return Figures(
        **row,
        p50=timed["p50"] if timed else None,
        p95=timed["p95"] if timed else None,
        near_p95=near,
        currency=settings.CURRENCY,
    )


_NONE: dict[str, Any] = dict.fromkeys(MEASURES, 0)
NOTHING = _figures(_NONE | {"cost": Decimal(0), "newest": None}, None)


def _bucket(at: datetime, found: Figures) -> Bucket:
    return Bucket(
        at=at,
        runs=found.runs,
        first_try_share=found.first_try_share,
        tokens_per_task=found.tokens_per_task,
        cost_per_action=found.cost_per_action,
        p95=found.p95,
    )


def per(cost: Decimal, count: int) -> Decimal | None:
    """A ratio of sums, to 12 places; None when there is nothing to divide by."""
    return (cost / count).quantize(Decimal("1E-12")) if count else None
