"""What a page, a file and a mail of a headline report get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from core.period import Period
from finops.compare import Row
from finops.contexts import ghost, group_urls
from finops.figure_groups import Bar, group_bars
from finops.figures import Figure, Line, lines
from finops.headline_kinds import COST, FIRST_TRY, Kind
from finops.labels import LABELS, group_label, in_words, runs_by_day
from finops.report_table import Table
from finops.selectors.headline import (
    Group,
    HeadlineReport,
    headline_report,
    precision_of,
)
from finops.selectors.measures import BUCKET
from finops.selectors.reports import EXACT, Figures, Precision, read
from finops.selectors.scope import Scope

MOST_ROWS = 100
_MOST_BARS = 12
_WINDOWS = (
    "currency",
    "precision",
    "period_start",
    "period_end",
    "compared_start",
    "compared_end",
    "zone",
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A report and the same of the window that it is compared with."""

    kind: Kind
    by: str
    now: HeadlineReport
    before: HeadlineReport

    @property
    def precision(self) -> Precision:
        """That of both windows."""
        return precision_of(self.now, self.before)

    def figures_before(self, key: str) -> Figures | None:
        """A group's figures in the other window."""
        found = {group.key: group.figures for group in self.before.groups}
        return found.get(key)


def compared(
    kind: Kind, by: str, scope: Scope, period: Period, against: Period
) -> Compared:
    """The report of both windows; ``by`` is "" for the whole alone."""
    now, before = (headline_report(scope, one, by) for one in (period, against))
    return Compared(kind, by, now, before)


def unit_of(kind: Kind) -> str:
    """What the axis of its chart says."""
    return f"{settings.CURRENCY} {kind.axis}" if kind is COST else kind.axis


def rows(found: Compared, period: Period, chosen: Mapping[str, str]) -> list[Row]:
    """The groups of a report as its table shows them."""
    before = {group.key: group.figures for group in found.before.groups}
    return [
        _row(found, group, before.get(group.key), period, chosen)
        for group in found.now.groups[:MOST_ROWS]
    ]


def whole(found: Compared) -> Row:
    """The figures of all groups."""
    kind, now, before = found.kind, found.now.total, found.before.total
    return Row(
        label="All",
        value=kind.words(kind.value(now)),
        before=kind.words(kind.value(before)),
        delta=kind.delta(now, before),
        cells=_cells(kind, now),
        url="",
        runs_url="",
        runs=now.runs,
    )


def over_time(
    kind: Kind,
    scope: Scope,
    period: Period,
    against: Period,
    chosen: Mapping[str, str],
) -> Figure:
    """The figure by hour or day, with the other window dotted where units agree.

    A point leads to the runs of its day.
    """
    names = [period.local(bucket) for bucket in period.buckets()]
    more = {"status": "failed"} if kind.failed else {}
    links = runs_by_day(names, chosen, period.zone, **more)
    found = [Line(kind.heading, _by_bucket(kind, scope, period), links)]
    if against.unit == period.unit:
        old = _by_bucket(kind, scope, against)
        padded = (old + [None] * len(names))[: len(names)]
        found.append(Line(ghost(chosen), padded, before=True))
    return lines(buckets=names, found=found, unit=unit_of(kind))


def by_group(
    found: Compared, shown: Sequence[Row], chosen: Mapping[str, str]
) -> Figure:
    """The figure of the first groups, with what it was and how sure it is."""
    kind = found.kind
    bars = []
    for group, row in list(zip(found.now.groups, shown, strict=False))[:_MOST_BARS]:
        before = found.figures_before(group.key)
        interval = group.figures.first_try_interval if kind is FIRST_TRY else None
        bars.append(
            Bar(
                name=row.label,
                value=_scaled(kind, group.figures),
                before=_scaled(kind, before) if before else None,
                link=row.url,
                low=interval[0] * kind.scale if interval else None,
                high=interval[1] * kind.scale if interval else None,
            )
        )
    return group_bars(
        bars=bars, unit=unit_of(kind), name=kind.heading, ghost=ghost(chosen)
    )


def table(found: Compared, period: Period, against: Period) -> Table:
    """The report as a file and a mail have it: groups, else the whole alone."""
    kind = found.kind
    groups = list(found.now.groups) if found.by else [Group("", found.now.total)]
    old = {group.key: group.figures for group in found.before.groups}
    if not found.by:
        old = {"": found.before.total}
    all_of_it = whole(found)
    named = f" by {in_words(found.by)}" if found.by else ""
    windows = (period.start, period.end, against.start, against.end, period.zone)
    return Table(
        title=f"{kind.title}{named}",
        summary=f"{kind.title}: {all_of_it.value} ({all_of_it.delta.text})",
        caption=caption(found, period, against),
        names=(
            found.by or "all",
            kind.name,
            f"compared_{kind.name}",
            *(column.name for column in kind.columns),
            *_WINDOWS,
        ),
        rows=[
            (
                group.key if found.by else "all",
                kind.value(group.figures),
                _value(kind, old.get(group.key)),
                *(column.value(group.figures) for column in kind.columns),
                settings.CURRENCY,
                found.precision,
                *windows,
            )
            for group in groups
        ],
        headings=(
            LABELS[found.by] if found.by else "All",
            kind.heading,
            "Change",
            *(column.heading for column in kind.columns),
        ),
        shown=[_words(found, group, old.get(group.key)) for group in groups],
    )


def _words(found: Compared, group: Group, before: Figures | None) -> tuple[str, ...]:
    kind = found.kind
    return (
        group_label(found.by, group.key) if found.by else "All",
        kind.words(kind.value(group.figures)),
        kind.delta(group.figures, before).text,
        *_cells(kind, group.figures),
    )


def caption(found: Compared, period: Period, against: Period) -> str:
    """Which windows, and how sure."""
    sure = "Exact." if found.precision == EXACT else f"{found.precision}."
    return f"{period.label}, compared with {against.label}. {sure}"


def answer(found: Compared) -> dict[str, Any]:
    """The figures as REST gives them."""
    kind = found.kind
    old = {group.key: group.figures for group in found.before.groups}

    def one(key: str, now: Figures, before: Figures | None) -> dict[str, Any]:
        return {
            "key": key,
            "value": _exact(kind.value(now)),
            "compared_value": _exact(_value(kind, before)),
            **{column.name: _exact(column.value(now)) for column in kind.columns},
        }

    return {
        "total": one("", found.now.total, found.before.total),
        "groups": [
            one(group.key, group.figures, old.get(group.key))
            for group in found.now.groups
        ],
    }


def _row(
    found: Compared,
    group: Group,
    before: Figures | None,
    period: Period,
    chosen: Mapping[str, str],
) -> Row:
    kind = found.kind
    url, runs = group_urls(
        found.by, group.key, period, chosen, page="report", slug=kind.slug
    )
    return Row(
        label=group_label(found.by, group.key),
        value=kind.words(kind.value(group.figures)),
        before=kind.words(_value(kind, before)),
        delta=kind.delta(group.figures, before),
        cells=_cells(kind, group.figures),
        url=url,
        runs_url=runs,
        runs=group.figures.runs,
    )


def _cells(kind: Kind, figures: Figures) -> tuple[str, ...]:
    return tuple(column.words(column.value(figures)) for column in kind.columns)


def _exact(value: Any) -> Any:
    """Amounts as text, so that no reader rounds them."""
    return f"{value:f}" if isinstance(value, Decimal) else value


def _value(kind: Kind, figures: Figures | None) -> Any:
    return kind.value(figures) if figures else None


def _scaled(kind: Kind, figures: Figures) -> float | None:
    value = kind.value(figures)
    return None if value is None else float(value) * kind.scale


def _by_bucket(kind: Kind, scope: Scope, period: Period) -> list[float | None]:
    found = {
        period.bucket_of(at): figures
        for at, figures in read(scope, period, BUCKET).figures.items()
    }
    return [
        _scaled(kind, found[at]) if at in found else None for at in period.buckets()
    ]
