"""What the templates of the cost pages get."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from core.money import places, show
from core.period import Period, custom
from finops.compare import NEITHER, Delta, relative
from finops.figures import Figure, Stack, stacked_bars
from finops.forms import PeriodFilter
from finops.labels import LABELS, group_label, group_query, report_url, runs_url
from finops.selectors.breakdown import Breakdown, Group, by_time, totals_by_time
from finops.selectors.scope import Scope

PERIODS = (
    ("24h", "24 hours"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("90d", "90 days"),
    ("month", "This month"),
    ("last-month", "Last month"),
)
_STACKS = 6
# A column need not show the last digits of what hardly matters to its total.
_MORE_PLACES = 4
_COLUMNS = (
    ("cost", "Cost"),
    ("calls", "Tool calls"),
    ("tokens", "Tokens"),
    ("model_tokens", "Model tokens"),
    ("runs", "Runs"),
    ("success", "Successful runs"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A group with its words and links ("" for none)."""

    group: Group
    label: str
    cost: str
    url: str
    runs_url: str
    share: float | None
    delta: Delta


@dataclass(frozen=True, slots=True)
class Tab:
    """A link among others of its kind."""

    label: str
    url: str
    current: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the table can be sorted by; ``order`` is what aria-sort says."""

    label: str
    url: str
    order: str


def rows(report: Breakdown, period: Period, chosen: Mapping[str, str]) -> list[Row]:
    """The groups of a report as its table shows them."""
    return [_row(report, group, period, chosen) for group in report.groups]


def _row(
    report: Breakdown, group: Group, period: Period, chosen: Mapping[str, str]
) -> Row:
    query = group_query(report.dimension, group.key, chosen)
    window = period
    if report.dimension == "day":
        day = date.fromisoformat(group.key)
        window = custom(day, day, zone=period.zone)
    return Row(
        group=group,
        label=group_label(report.dimension, group.key),
        cost=show(group.cost, decimals=decimals(report)),
        url=report_url(report.dimension, query) if query else "",
        runs_url=runs_url(query, window) if query and group.runs else "",
        share=group.share_of(report.total.cost),
        delta=relative(group.cost, group.before, better=NEITHER),
    )


def group_urls(
    dimension: str,
    key: str,
    period: Period,
    chosen: Mapping[str, str],
    *,
    page: str = "costs",
    slug: str = "",
) -> tuple[str, str]:
    """Where a group is taken apart, and the runs behind it ("" for none)."""
    query = group_query(dimension, key, chosen)
    if not query:
        return "", ""
    return report_url(dimension, query, page=page, slug=slug), runs_url(query, period)


def query(chosen: Mapping[str, str]) -> str:
    """The filters in force as an address has them."""
    return urlencode({name: value for name, value in chosen.items() if value})


@dataclass(frozen=True, slots=True)
class Saved:
    """What the form that keeps a report gets."""

    page: str
    query: str
    teams: Sequence[tuple[str, str]]


def saved(form: PeriodFilter, page: str, chosen: Mapping[str, str]) -> Saved:
    """The report of a form, and the teams that it can be shared with."""
    return Saved(page, query(chosen), form.team_choices)


def decimals(report: Breakdown) -> int:
    """Decimals of the cost column: enough for its smallest rows, within reason."""
    most = places(report.total.cost) + _MORE_PLACES
    return min(most, max((places(group.cost) for group in report.groups), default=2))


def tabs(
    chosen: Mapping[str, str], current: str, dimensions: Collection[str] = LABELS
) -> list[Tab]:
    """One tab a dimension, with the same filters."""
    kept = {name: value for name, value in chosen.items() if value}
    return [
        Tab(label, f"?{urlencode({**kept, 'by': name})}", name == current)
        for name, label in LABELS.items()
        if name in dimensions
    ]


def periods(chosen: Mapping[str, str], current: str) -> list[Tab]:
    """The presets, each without the custom dates."""
    kept = {
        name: value
        for name, value in chosen.items()
        if value and name not in {"first", "last"}
    }
    return [
        Tab(label, f"?{urlencode({**kept, 'period': name})}", name == current)
        for name, label in PERIODS
    ]


def columns(chosen: Mapping[str, str], sort: str) -> list[Column]:
    """The sortable columns; the first click sorts the largest first."""
    kept = {name: value for name, value in chosen.items() if value}
    found = []
    for name, label in _COLUMNS:
        down = sort == f"-{name}"
        url = f"?{urlencode({**kept, 'sort': name if down else f'-{name}'})}"
        order = "descending" if down else "ascending" if sort == name else ""
        found.append(Column(label, url, order))
    return found


def ordered(found: list[Row], sort: str) -> list[Row]:
    """Rows by a column; an unknown name leaves them as the report has them."""
    name = sort.removeprefix("-")
    if name not in dict(_COLUMNS):
        return found

    def value(row: Row) -> Decimal | float:
        figure: Decimal | float | None = getattr(row.group, name)
        return -1 if figure is None else figure

    return sorted(found, key=value, reverse=sort.startswith("-"))


def figure(
    scope: Scope,
    period: Period,
    against: Period,
    report: Breakdown,
    chosen: Mapping[str, str],
) -> Figure:
    """Cost by day or hour, stacked by the largest groups.

    A window in other units than the period's is not laid over it.
    """
    names = [period.local(bucket) for bucket in period.buckets()]
    same = against.unit == period.unit
    before = totals_by_time(scope, against) if same else []
    return stacked_bars(
        buckets=names,
        stacks=list(_stacks(scope, period, report, chosen, names)),
        before=(before + [Decimal(0)] * len(names))[: len(names)] if same else [],
        unit=report.currency,
        ghost=ghost(chosen),
    )


def ghost(chosen: Mapping[str, str]) -> str:
    """What the window that a report is compared with is called."""
    own = chosen.get("against_first") or chosen.get("against_last")
    return "Days to compare" if own else "Previous period"


def _stacks(
    scope: Scope,
    period: Period,
    report: Breakdown,
    chosen: Mapping[str, str],
    names: Sequence[str],
) -> Iterator[Stack]:
    days = [name[:10] for name in names]
    if report.dimension == "day":
        totals = totals_by_time(scope, period)
        yield Stack("Cost", totals, [_day_url("day", day, chosen) for day in days])
        return
    keys = [group.key for group in report.groups[:_STACKS]]
    costs = by_time(scope, period, report.dimension, keys)
    for key in keys:
        query = group_query(report.dimension, key, chosen) or dict(chosen)
        links = [_day_url(report.dimension, day, query) for day in days]
        yield Stack(group_label(report.dimension, key), costs[key], links)
    if any(costs[None]):
        links = [_day_url(report.dimension, day, chosen) for day in days]
        yield Stack("All others", costs[None], links, others=True)


def _day_url(dimension: str, day: str, query: Mapping[str, Any]) -> str:
    return report_url(dimension, group_query("day", day, query) or {})
