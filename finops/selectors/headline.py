"""The headline report: its figures whole and by any one dimension."""

from dataclasses import dataclass

from core.period import Period
from finops.selectors.measures import DIMENSIONS
from finops.selectors.reports import (
    EXACT,
    NEARLY,
    NOTHING,
    Figures,
    Precision,
    Reading,
    read,
)
from finops.selectors.scope import Scope

__all__ = [
    "DIMENSIONS",
    "Group",
    "HeadlineReport",
    "Precision",
    "headline_report",
    "precision_of",
]


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of one key. ``key`` is "" where the dimension is not known."""

    key: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class HeadlineReport:
    """``precision`` is that of the percentiles: every other figure is exact."""

    total: Figures
    groups: tuple[Group, ...]
    precision: Precision


def headline_report(scope: Scope, period: Period, by: str = "") -> HeadlineReport:
    """The report of ``period``, its groups by falling cost; ``by`` is in DIMENSIONS.

    By tool or server a run counts with each one that it called, so that groups do not
    add up; cost and actions are the tool's own.
    """
    total = read(scope, period, "")
    found = read(scope, period, by) if by else None
    groups = [Group(*pair) for pair in found.figures.items()] if found else []
    groups.sort(key=lambda group: (-group.figures.cost, -group.figures.runs, group.key))
    precision = precision_of(total, found or total)
    return HeadlineReport(total.figures.get("") or NOTHING, tuple(groups), precision)


def precision_of(*found: Reading | HeadlineReport) -> Precision:
    """How sure a page is that shows all of these."""
    return EXACT if all(one.precision == EXACT for one in found) else NEARLY
