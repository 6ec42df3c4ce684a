"""The headline reports: what each shows of the same figures (docs/metrics.md)."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.money import show
from core.templatetags.tollgate import percent, seconds
from finops.compare import DOWN, UP, Delta, Number, points, relative
from finops.selectors.reports import Figures

Value = Number | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column beside the figure itself: its name in files, heading, value, words."""

    name: str
    heading: str
    value: Callable[[Figures], Any]
    words: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Kind:
    """A headline report. ``scale`` turns the figure into what its chart's axis says."""

    slug: str
    title: str
    lead: str
    name: str
    heading: str
    axis: str
    scale: float
    better: str
    value: Callable[[Figures], Value]
    words: Callable[[Value], str]
    columns: tuple[Column, ...]
    about: str
    empty: str
    failed: bool = False

    def delta(self, now: Figures, before: Figures | None) -> Delta:
        """The change of the figure against another window."""
        new, old = self.value(now), self.value(before) if before else None
        if self.slug == "first-try":
            return points(_share(new), _share(old), better=self.better)
        return relative(new, old, better=self.better)


def count(value: Value) -> str:
    """A whole number as people read it."""
    return "–" if value is None else f"{value:,.0f}"


def _amount(value: Value) -> str:
    return "–" if value is None else show(Decimal(value))


def _share(value: Value) -> float | None:
    return None if value is None else float(value)


def _percent(value: Value) -> str:
    return percent(_share(value))


def _seconds(value: Value) -> str:
    return seconds(_share(value))


def _column(name: str, heading: str) -> Column:
    return Column(name, heading, lambda figures: getattr(figures, name), count)


def _bound(index: int) -> Callable[[Figures], float | None]:
    def bound(figures: Figures) -> float | None:
        found = figures.first_try_interval
        return found[index] if found else None

    return bound


def _part(name: str) -> Callable[[Figures], float | None]:
    def part(figures: Figures) -> float | None:
        return getattr(figures.near_p95, name) if figures.near_p95 else None

    return part


def _avoided_each(figures: Figures) -> float | None:
    return figures.avoided / figures.runs if figures.runs else None


FIRST_TRY = Kind(
    slug="first-try",
    title="First-try success",
    lead="Of the tasks with two or more tool calls, those whose first run succeeded.",
    name="first_try_share",
    heading="First-try success",
    axis="% of tasks",
    scale=100,
    better=UP,
    value=lambda figures: figures.first_try_share,
    words=_percent,
    columns=(
        Column("interval_low", "95 % from", _bound(0), _percent),
        Column("interval_high", "to", _bound(1), _percent),
        _column("first_try", "Succeeded at once"),
        _column("tried", "Tasks"),
    ),
    about="The interval is Wilson's: with few tasks it is wide. Cancelled first runs "
    "count as not succeeded.",
    empty="No task with two or more tool calls ended its first run.",
    failed=True,
)
TOKENS = Kind(
    slug="tokens",
    title="Tokens per completed task",
    lead="All tokens, those of failed and abandoned work included, for each task that "
    "was completed.",
    name="tokens_per_task",
    heading="Tokens per task",
    axis="tokens per completed task",
    scale=1,
    better=DOWN,
    value=lambda figures: figures.tokens_per_task,
    words=count,
    columns=(
        _column("tokens", "Tokens"),
        _column("completed_tasks", "Completed tasks"),
        _column("runs", "Runs of any outcome"),
    ),
    about="Input already holds what was read from and written to a cache, output holds "
    "reasoning: no part is added to its whole.",
    empty="No task was completed.",
)
TIME = Kind(
    slug="time",
    title="Time to finish",
    lead="How long runs take from the queue to their end, held for approval included.",
    name="p95_seconds",
    heading="p95",
    axis="seconds, p95",
    scale=1,
    better=DOWN,
    value=lambda figures: figures.p95,
    words=_seconds,
    columns=(
        Column("p50_seconds", "p50", lambda figures: figures.p50, _seconds),
        Column("queue_seconds", "In the queue", _part("queue"), _seconds),
        Column("hold_seconds", "On hold", _part("hold"), _seconds),
        Column("run_seconds", "Running", _part("run"), _seconds),
        Column("runs_near_p95", "Runs near p95", _part("runs"), count),
        _column("runs", "Runs"),
    ),
    about="Queue, hold and run are the means among the runs near p95: percentiles of "
    "parts do not add up. Cancelled runs are left out.",
    empty="No run ended.",
)
COST = Kind(
    slug="cost-per-action",
    title="Cost per successful action",
    lead="All cost, that of failures included, for each tool call that succeeded.",
    name="cost_per_action",
    heading="Cost per action",
    axis="per successful action",
    scale=1,
    better=DOWN,
    value=lambda figures: figures.cost_per_action,
    words=_amount,
    columns=(
        Column("cost", "Cost", lambda figures: figures.cost, _amount),
        _column("actions", "Successful actions"),
        _column("unrated", "Unrated"),
        _column("runs", "Runs"),
    ),
    about="A ratio of sums, not a mean of ratios; empty where nothing succeeded. "
    "Quantities without a price are in no cost and are counted beside it.",
    empty="No tool call succeeded.",
)
CONTEXT = Kind(
    slug="context",
    title="Context tokens avoided",
    lead="What the agents' context was spared against calling the same tools one by "
    "one with their definitions loaded. It may be negative.",
    name="tokens_avoided",
    heading="Tokens avoided",
    axis="tokens avoided",
    scale=1,
    better=UP,
    value=lambda figures: figures.avoided if figures.runs else None,
    words=count,
    columns=(
        Column("avoided_a_run", "A run", _avoided_each, count),
        _column("runs", "Runs"),
        _column("tokens", "Tokens used"),
    ),
    about="Definitions not loaded + results kept in the sandbox − script − search − "
    "returned result; estimated.",
    empty="No run ended.",
)
KINDS = {kind.slug: kind for kind in (FIRST_TRY, TOKENS, TIME, COST, CONTEXT)}
