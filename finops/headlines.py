"""The four headline figures in words, each against the previous period."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.money import show
from core.templatetags.tollgate import seconds
from finops.compare import DOWN, UP, Delta, points, relative
from finops.selectors.reports import Bucket, Figures
from finops.sparkline import Sparkline, sparkline


@dataclass(frozen=True, slots=True)
class Headline:
    """A figure as the overview shows it. ``value`` is "–" where there is none."""

    key: str
    title: str
    value: str
    unit: str
    detail: str
    delta: Delta
    before: str
    spark: Sparkline
    spark_label: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a duration as a bar shows it; ``start`` and ``width`` in per cent."""

    name: str
    seconds: float
    start: float
    width: float


def headlines(
    now: Figures, before: Figures, buckets: Sequence[Bucket], *, unit: str, pending: int
) -> tuple[Headline, ...]:
    """First-try success, tokens per task, time to finish, cost per action.

    ``pending`` counts first runs that are not over; ``unit`` is a bucket's length.
    """
    return (
        _first_try(now, before, buckets, unit, pending),
        _tokens(now, before, buckets, unit),
        _time(now, before, buckets, unit),
        _cost(now, before, buckets, unit),
    )


def split(figures: Figures) -> tuple[Part, ...]:
    """Queue, hold and run of the runs near the 95th percentile."""
    near = figures.near_p95
    if near is None:
        return ()
    total = near.queue + near.hold + near.run
    found: list[Part] = []
    start = 0.0
    for name, part in (("queue", near.queue), ("hold", near.hold), ("run", near.run)):
        if not part:
            continue
        width = 100 * part / total
        found.append(Part(name, part, round(start, 2), round(width, 2)))
        start += width
    return tuple(found)


def _first_try(
    now: Figures, before: Figures, buckets: Sequence[Bucket], unit: str, pending: int
) -> Headline:
    interval = now.first_try_interval
    detail = "No task with two or more tool calls ended its first run."
    if interval:
        low, high = interval
        detail = (
            f"{now.first_try:,} of {now.tried:,} tasks with two or more tool calls; "
            f"95 % sure of {low * 100:.0f} to {high * 100:.0f} %."
        )
    if pending:
        share = 100 * pending / (pending + now.runs)
        runs = "first run is" if pending == 1 else "first runs are"
        detail += f" {pending:,} {runs} still open ({share:.1f} % pending)."
    return Headline(
        key="first-try",
        title="First-try success",
        value=_percent(now.first_try_share),
        unit="of tasks" if interval else "",
        detail=detail,
        delta=points(now.first_try_share, before.first_try_share, better=UP),
        before=_percent(before.first_try_share),
        spark=sparkline([bucket.first_try_share for bucket in buckets]),
        spark_label=f"First-try success by {unit}",
    )


def _tokens(
    now: Figures, before: Figures, buckets: Sequence[Bucket], unit: str
) -> Headline:
    detail = "No task was completed."
    if now.completed_tasks:
        detail = (
            f"{now.tokens:,} tokens, failures included, ÷ {now.completed_tasks:,} "
            f"completed tasks; {_known(now)}."
        )
    return Headline(
        key="tokens",
        title="Tokens per completed task",
        value=_count(now.tokens_per_task),
        unit="tokens" if now.completed_tasks else "",
        detail=detail,
        delta=relative(now.tokens_per_task, before.tokens_per_task, better=DOWN),
        before=_count(before.tokens_per_task),
        spark=sparkline([bucket.tokens_per_task for bucket in buckets]),
        spark_label=f"Tokens per completed task by {unit}",
    )


def _time(
    now: Figures, before: Figures, buckets: Sequence[Bucket], unit: str
) -> Headline:
    near = now.near_p95
    detail = "No run ended."
    if near:
        hold = f"{seconds(near.hold)} on hold, " if near.hold else ""
        detail = (
            f"Near p95: {seconds(near.queue)} in the queue, {hold}"
            f"{seconds(near.run)} running (mean of {near.runs:,} "
            f"run{'' if near.runs == 1 else 's'})."
        )
    return Headline(
        key="time",
        title="Time to finish, p95",
        value=seconds(now.p95),
        unit=f"p50 is {seconds(now.p50)}" if now.p50 is not None else "",
        detail=detail,
        delta=relative(now.p95, before.p95, better=DOWN),
        before=seconds(before.p95),
        spark=sparkline([bucket.p95 for bucket in buckets]),
        spark_label=f"95th percentile of the time to finish by {unit}",
    )


def _cost(
    now: Figures, before: Figures, buckets: Sequence[Bucket], unit: str
) -> Headline:
    detail = "No tool call succeeded."
    if now.actions:
        detail = (
            f"{show(now.cost)} {now.currency}, failures included, ÷ {now.actions:,} "
            "successful tool calls."
        )
    if now.unrated:
        detail += f" {now.unrated:,} quantities have no price and are left out."
    return Headline(
        key="cost",
        title="Cost per successful action",
        value=_money(now.cost_per_action),
        unit=now.currency if now.actions else "",
        detail=detail,
        delta=relative(now.cost_per_action, before.cost_per_action, better=DOWN),
        before=_money(before.cost_per_action),
        spark=sparkline([bucket.cost_per_action for bucket in buckets]),
        spark_label=f"Cost per successful action by {unit}",
    )


def _known(now: Figures) -> str:
    """How the tokens are known, in words."""
    shares = now.coverage
    if shares is None or shares.estimated == 1:
        return "estimated"
    named = (
        (shares.measured, "measured"),
        (shares.reported, "reported"),
        (shares.estimated, "estimated"),
    )
    return ", ".join(f"{share:.0%} {word}" for share, word in named if share)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f} %"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _money(amount: Decimal | None) -> str:
    return "–" if amount is None else show(amount)
