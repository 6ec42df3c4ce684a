"""The headline report: its figures whole and by any one dimension."""

from dataclasses import dataclass
from typing import Literal

from core.period import Period
from finops.selectors.measures import DIMENSIONS
from finops.selectors.reports import Figures, figures, figures_by
from finops.selectors.scope import Scope

Precision = Literal["exact", "±1 %"]

__all__ = ["DIMENSIONS", "Group", "HeadlineReport", "Precision", "headline_report"]


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
    found = figures_by(scope, period, by) if by else {}
    groups = [Group(key, of_key) for key, of_key in found.items()]
    groups.sort(key=lambda group: (-group.figures.cost, -group.figures.runs, group.key))
    return HeadlineReport(figures(scope, period), tuple(groups), "exact")
