"""What the page, the file and the mail of the efficiency report get."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from core.money import show
from core.period import Period
from core.templatetags.tollgate import percent
from finops.compare import DOWN, Row, relative
from finops.contexts import ghost
from finops.figure_groups import Bar, group_bars
from finops.figures import Figure, Stack, stacked_bars
from finops.labels import (
    LABELS,
    group_label,
    group_query,
    in_words,
    report_url,
    runs_by_day,
)
from finops.labels import runs_url as runs_address
from finops.report_table import Table
from finops.selectors.efficiency import NOTHING, Efficiency, Group, Waste, over_time
from finops.selectors.scope import Scope

SLUG, TITLE = "efficiency", "Efficiency"
MOST_ROWS = 100
_MOST_BARS = 12
# The reasons of waste, and the same filter of the list of runs.
REASONS = (
    ("attempts", "Failed attempts"),
    ("failed", "Failed tasks"),
    ("abandoned", "Abandoned tasks"),
)
_WINDOWS = ("currency", "period_start", "period_end", "compared_start", "compared_end")


@dataclass(frozen=True, slots=True)
class Column:
    """A column beside the waste: its name in files, heading, value, words."""

    name: str
    heading: str
    value: Callable[[Waste], Any]
    words: Callable[[Any], str]


def _count(value: int) -> str:
    return f"{value:,}"


# Shorter than the reasons: the table is wide.
_HEADINGS = {"attempts": "Attempts", "failed": "Failed", "abandoned": "Abandoned"}


def _money(name: str, heading: str) -> Column:
    return Column(name, heading, lambda waste: getattr(waste, name), show)


COLUMNS = (
    Column("wasted_share", "Share", lambda waste: waste.share, percent),
    *(_money(name, heading) for name, heading in _HEADINGS.items()),
    _money("cost", "All cost"),
    _money("retries", "Retries"),
    Column("wasted_runs", "Wasted", lambda waste: waste.wasted_runs, _count),
    Column("runs", "Runs", lambda waste: waste.runs, _count),
    Column("unrated_share", "Unrated", lambda waste: waste.unrated_share, percent),
)


def whole(now: Efficiency, before: Efficiency) -> Row:
    """The figures of all groups."""
    return _row("All", now.total, before.total, "", "")


def rows(
    by: str,
    now: Efficiency,
    before: Efficiency,
    period: Period,
    chosen: Mapping[str, str],
) -> list[Row]:
    """The groups as the table shows them."""
    old = {group.key: group.waste for group in before.groups}
    found = []
    for group in now.groups[:MOST_ROWS]:
        query = group_query(by, group.key, chosen)
        url = report_url(by, query, page=SLUG) if query else ""
        runs = runs_address(query, period, waste="any") if query else ""
        label = group_label(by, group.key)
        shown = runs if group.waste.wasted_runs else ""
        found.append(_row(label, group.waste, old.get(group.key), url, shown))
    return found


def _row(label: str, now: Waste, before: Waste | None, url: str, runs: str) -> Row:
    old = (before or NOTHING).wasted
    return Row(
        label=label,
        value=show(now.wasted),
        before=show(old) if old else "–",
        delta=relative(now.wasted, old, better=DOWN),
        cells=tuple(column.words(column.value(now)) for column in COLUMNS),
        url=url,
        runs_url=runs,
        runs=now.wasted_runs,
    )


def reasons(
    now: Waste, period: Period, chosen: Mapping[str, str]
) -> list[tuple[str, Decimal, float | None, str]]:
    """Why cost was wasted: heading, amount, its share of the cost, the runs."""
    kept = {name: value for name, value in chosen.items() if name != "by"}
    amounts = [*REASONS, ("retries", "Retries")]
    return [
        (
            heading,
            (cost := getattr(now, name)),
            float(cost / now.cost) if now.cost else None,
            runs_address(kept, period, waste=name) if cost else "",
        )
        for name, heading in amounts
    ]


def by_time(
    scope: Scope, period: Period, against: Period, chosen: Mapping[str, str]
) -> Figure:
    """Waste by bucket, stacked by reason; a click leads to the runs of the day."""
    names = [period.local(bucket) for bucket in period.buckets()]
    found = over_time(scope, period)
    before: list[Decimal] = []
    if against.unit == period.unit:
        old = [waste.wasted for waste in over_time(scope, against)]
        before = (old + [Decimal(0)] * len(names))[: len(names)]
    return stacked_bars(
        buckets=names,
        stacks=[
            Stack(
                heading,
                [getattr(waste, name) for waste in found],
                runs_by_day(names, chosen, period.zone, waste=name),
            )
            for name, heading in REASONS
        ],
        before=before,
        unit=settings.CURRENCY,
        ghost=ghost(chosen),
    )


def by_group(
    now: Efficiency,
    before: Efficiency,
    shown: Iterable[Row],
    chosen: Mapping[str, str],
) -> Figure:
    """The waste of the first groups, with what it was."""
    old = {group.key: group.waste for group in before.groups}
    bars = [
        Bar(
            name=row.label,
            value=float(group.waste.wasted),
            before=float(old.get(group.key, NOTHING).wasted),
            link=row.url,
        )
        for group, row in list(zip(now.groups, shown, strict=False))[:_MOST_BARS]
    ]
    return group_bars(
        bars=bars, unit=settings.CURRENCY, name="Waste", ghost=ghost(chosen)
    )


def table(
    by: str, now: Efficiency, before: Efficiency, period: Period, against: Period
) -> Table:
    """The report as a file and a mail have it: groups, else the whole alone."""
    groups: Sequence[Group] = now.groups if by else [Group("all", now.total)]
    old = {group.key: group.waste for group in before.groups}
    if not by:
        old = {"all": before.total}
    all_of_it = whole(now, before)
    windows = (period.start, period.end, against.start, against.end, period.zone)
    shown = [
        _row(
            group_label(by, group.key) if by else "All",
            group.waste,
            old.get(group.key),
            "",
            "",
        )
        for group in groups
    ]
    return Table(
        title=f"Waste by {in_words(by)}" if by else "Waste",
        summary=f"Waste: {all_of_it.value} {settings.CURRENCY} "
        f"({all_of_it.cells[0]} of the cost)",
        caption=f"{period.label}, compared with {against.label}. Exact.",
        names=(
            *(by or "all", "wasted", "compared_wasted"),
            *(column.name for column in COLUMNS),
            *(*_WINDOWS, "zone"),
        ),
        rows=[
            (
                *(group.key, group.waste.wasted, old.get(group.key, NOTHING).wasted),
                *(column.value(group.waste) for column in COLUMNS),
                *(settings.CURRENCY, *windows),
            )
            for group in groups
        ],
        headings=(
            *(LABELS[by] if by else "All", f"Waste, {settings.CURRENCY}", "Change"),
            *(column.heading for column in COLUMNS),
        ),
        shown=[(row.label, row.value, row.delta.text, *row.cells) for row in shown],
    )
