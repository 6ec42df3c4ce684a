"""A comparison of kinds of run or models in words: what it shows, and what not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from core.money import show
from finops.modes import LEAST_TASKS, MODES, Comparison, Difference

_NOT_BY_CHANCE = (
    "Tasks came to one side or the other by an agent's choice, not by chance: this is "
    "a difference between tasks that used the same tools; its cause is not shown."
)


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a comparison, in words."""

    name: str
    one: str
    other: str
    difference: str
    interval: str
    says: str


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A comparison in words; ``says`` is what can be concluded and what cannot."""

    title: str
    one: str
    other: str
    coverage: str
    says: str
    measures: tuple[Measure, ...]
    enough: bool


def comparison_rows(found: Sequence[Comparison]) -> list[ComparisonRow]:
    """The comparisons as the page shows them."""
    return [comparison_row(one) for one in found]


def comparison_row(found: Comparison) -> ComparisonRow:
    """One comparison in words."""
    within = f", {found.within}" if found.within else ""
    return ComparisonRow(
        title=f"{found.one} against {found.other.lower()}{within}"
        if found.one in MODES.values()
        else f"{found.one} against {found.other}",
        one=found.one,
        other=found.other,
        coverage=_coverage(found),
        says=says(found),
        measures=tuple(_measures(found)),
        enough=found.enough,
    )


def _coverage(found: Comparison) -> str:
    (one, other), (like, unlike) = found.whole, found.like
    sets = f"{found.tool_sets:,} set{'s' if found.tool_sets != 1 else ''} of tools"
    return (
        f"Comparable: {like.tasks:,} of {one.tasks:,} tasks of {found.one} and "
        f"{unlike.tasks:,} of {other.tasks:,} of {found.other}, by {sets} that both "
        "used."
    )


def says(found: Comparison) -> str:
    """What can be concluded, and what cannot."""
    one, other = found.like
    if not one.tasks:
        return (
            "Nothing can be said: no task of the one used the same tools as a task of "
            "the other. Let both do the same work for a while."
        )
    if not found.enough:
        return (
            f"Too few tasks to conclude anything: {one.tasks:,} against "
            f"{other.tasks:,} can be compared, and at least {LEAST_TASKS} of each are "
            "needed. The figures are shown for what they are."
        )
    return " ".join([*filter(None, _sentences(found)), _NOT_BY_CHANCE])


def _sentences(found: Comparison) -> list[str]:
    """One for each figure; empty where its spread is not known."""
    return [
        _sentence(
            found,
            found.first_try,
            "first-try success",
            "succeeded at first try {} often",
            ("more", "less"),
            percent,
            _points,
        ),
        _sentence(
            found,
            found.completed,
            "completed tasks",
            "completed tasks in the end {} often",
            ("more", "less"),
            percent,
            _points,
        ),
        _sentence(
            found,
            found.tokens,
            "tokens",
            "needed {} tokens a task",
            ("more", "fewer"),
            _count,
            _relative,
        ),
        _sentence(
            found,
            found.cost,
            "cost",
            "cost {} a task",
            ("more", "less"),
            lambda value: f"{_money(value)} {settings.CURRENCY}",
            _relative,
        ),
    ]


def _sentence(
    found: Comparison,
    difference: Difference | None,
    name: str,
    what: str,
    degrees: tuple[str, str],
    words: Callable[[float], str],
    by: Callable[[Difference], tuple[str, str]],
) -> str:
    """One figure: more, less, or no difference that can be shown."""
    if difference is None or difference.low is None:
        return ""
    values = f"{words(difference.one)} against {words(difference.other)}"
    amount, bounds = by(difference)
    if not difference.shown:
        return (
            f"No difference in {name} can be shown: {values}; the interval of the "
            f"difference, {bounds}, includes none."
        )
    degree = what.format(degrees[difference.value < 0])
    return f"{found.one} {degree}: {values}, a difference of {amount} ({bounds})."


def _measures(found: Comparison) -> list[Measure]:
    asked: list[tuple[str, Difference | None, Any, Any]] = [
        ("First-try success", found.first_try, percent, _points),
        ("Completed in the end", found.completed, percent, _points),
        ("Tokens a task", found.tokens, _count, _relative),
        (f"Cost a task in {settings.CURRENCY}", found.cost, _money, _relative),
    ]
    return [_measure(found, *one) for one in asked]


def _measure(
    found: Comparison,
    name: str,
    difference: Difference | None,
    words: Callable[[float], str],
    by: Callable[[Difference], tuple[str, str]],
) -> Measure:
    if difference is None:
        return Measure(name, "–", "–", "–", "–", "nothing alike")
    amount, bounds = by(difference)
    if not found.enough:
        verdict = "too few tasks"
    elif difference.low is None:
        verdict = "spread unknown"
    else:
        verdict = "a difference" if difference.shown else "no difference shown"
    return Measure(
        name,
        words(difference.one),
        words(difference.other),
        amount,
        bounds,
        verdict,
    )


def percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _money(value: float) -> str:
    return show(Decimal(repr(value)))


def _signed(value: float, unit: str) -> str:
    return f"{value:+,.1f} {unit}".replace("-", "−")


def _points(difference: Difference) -> tuple[str, str]:
    """The difference of two shares and its interval, in points."""
    amount = _signed(difference.value * 100, "points")
    if difference.low is None or difference.high is None:
        return amount, "–"
    low, high = (_signed(end * 100, "") for end in (difference.low, difference.high))
    return amount, f"{low.strip()} to {high.strip()} points"


def _relative(difference: Difference) -> tuple[str, str]:
    """The difference of two means and its interval, in per cent of the other."""
    base = difference.other
    if not base:
        return "–", "–"
    amount = _signed(difference.value / base * 100, "%")
    if difference.low is None or difference.high is None:
        return amount, "–"
    ends = (difference.low / base * 100, difference.high / base * 100)
    low, high = (_signed(end, "").strip() for end in ends)
    return amount, f"{low} to {high} %"
