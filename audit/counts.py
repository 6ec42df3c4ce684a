"""What the events of a list have in common, and when they were; bounded in work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from psycopg.errors import QueryCanceled

from audit.models import Event

MOST_COUNTED = 10_000
PATIENCE_MS = 1_000
_LIMIT = "SELECT set_config('statement_timeout', %s, true)"
_SAMPLE = 20_000
_MOST_BARS = 60
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_WIDTHS = (
    *(_MINUTE * count for count in (1, 5, 15, 30)),
    *(_HOUR * count for count in (1, 3, 6, 12)),
    *(_DAY * count for count in (1, 7, 28, 364)),
)
# Qualifiers of the query language that are counted, and their columns.
FACETS = {
    "decision": "decision",
    "name": "name",
    "team": "team",
    "env": "environment",
    "actor": "actor_id",
    "tool": "tool",
}
_COLUMNS = (*FACETS.values(), "bin")
_ALL = 2 ** len(_COLUMNS) - 1


@dataclass(frozen=True, slots=True)
class Count:
    """How many of the counted events have a value."""

    value: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Bar:
    """Events from ``start`` to ``end``; an estimate if the histogram says so."""

    start: datetime
    end: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Counts:
    """``total`` events at most; with ``more``, only the newest of them were counted."""

    total: int
    more: bool
    facets: Mapping[str, Sequence[Count]]
    bars: Sequence[Bar]

    @property
    def shown_total(self) -> str:
        return f"{self.total:,}{'+' if self.more else ''}"


def counts(events: QuerySet[Event], *, start: datetime, end: datetime) -> Counts | None:
    """Facets and histogram of ``events``, which lie between ``start`` and ``end``.

    Exact up to ``MOST_COUNTED`` events. Beyond that facets count the newest of them,
    and the histogram is an estimate from a sample of the table's pages. None if that
    takes longer than ``PATIENCE_MS``: what is found is spread too thinly.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_LIMIT, [f"{PATIENCE_MS}ms"])
            found = _counts(events, start, end)
            cursor.execute(_LIMIT, ["0"])
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        return None
    return found


def _counts(events: QuerySet[Event], start: datetime, end: datetime) -> Counts:
    width = bar_width(start, end)
    origin = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    columns = (*FACETS.values(), "actor_label", "at")
    newest = events.order_by("-at", "-pk").values_list(*columns)[: MOST_COUNTED + 1]
    try:
        sql, params = newest.query.sql_with_params()
    except EmptyResultSet:
        return Counts(0, False, dict.fromkeys(FACETS, ()), ())
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH newest AS MATERIALIZED ({sql}) "  # noqa: S608 - our own query
            f"SELECT GROUPING({', '.join(_COLUMNS)}), {', '.join(_COLUMNS)}, "
            "max(actor_label), count(*) FROM "
            "(SELECT *, date_bin(%s::interval, at, %s) AS bin "
            f"FROM newest) AS binned GROUP BY GROUPING SETS ((), {_each()})",
            [*params, str(width), origin],
        )
        total, facets, bins = _sorted_out(cursor.fetchall())
    more = total > MOST_COUNTED
    if more:
        bins = _sampled(events, start=start, end=end, width=width, origin=origin)
    bars = _bars(bins, start=start, end=end, width=width, origin=origin)
    return Counts(min(total, MOST_COUNTED), more, facets, bars)


def bar_width(start: datetime, end: datetime) -> timedelta:
    """The least usual width with which a window has few enough bars."""
    fitting = (width for width in _WIDTHS if (end - start) / width < _MOST_BARS)
    return next(fitting, _WIDTHS[-1])


def _each() -> str:
    return ", ".join(f"({column})" for column in _COLUMNS)


def _sorted_out(
    rows: Sequence[tuple[Any, ...]],
) -> tuple[int, dict[str, list[Count]], dict[datetime, int]]:
    """The whole, values by facet (most first) and bins, from the grouping sets."""
    total = 0
    facets: dict[str, list[Count]] = {name: [] for name in FACETS}
    bins: dict[datetime, int] = {}
    names = list(FACETS)
    for grouping, *values, label, count in rows:
        if grouping == _ALL:
            total = count
            continue
        at = len(_COLUMNS) - (_ALL - grouping).bit_length()
        if at == len(names):
            bins[values[at]] = count
        elif value := values[at]:
            shown = label if names[at] == "actor" else value
            facets[names[at]].append(Count(value, shown, count))
    for found in facets.values():
        found.sort(key=lambda one: (-one.count, one.value))
    return total, facets, bins


def _sampled(
    events: QuerySet[Event],
    *,
    start: datetime,
    end: datetime,
    width: timedelta,
    origin: datetime,
) -> dict[datetime, int]:
    """Estimated events by bin, from about ``_SAMPLE`` rows of the window's months."""
    sql, params = events.order_by().values_list("at").query.sql_with_params()
    table = 'FROM "audit_event"'
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(greatest(reltuples, 0)), 0) FROM pg_class "
            "JOIN pg_inherits ON inhrelid = pg_class.oid "
            "WHERE inhparent = 'audit_event'::regclass AND (relname BETWEEN %s AND %s "
            "OR relname = 'audit_event_default')",
            [f"audit_event_p{day.astimezone(UTC):%Y_%m}" for day in (start, end)],
        )
        share = min(1.0, _SAMPLE / max(1.0, cursor.fetchone()[0]))
        sample = f"{table} TABLESAMPLE SYSTEM ({share * 100:.6f}) REPEATABLE (1)"
        cursor.execute(
            "SELECT date_bin(%s::interval, at, %s) AS bin, count(*) "  # noqa: S608 - as above
            f"FROM ({sql.replace(table, sample, 1)}) AS sampled GROUP BY bin",
            [str(width), origin, *params],
        )
        return {bin: round(count / share) for bin, count in cursor.fetchall()}


def _bars(
    bins: Mapping[datetime, int],
    *,
    start: datetime,
    end: datetime,
    width: timedelta,
    origin: datetime,
) -> tuple[Bar, ...]:
    """A bar for each bin of the window, also where nothing was."""
    if start >= end:
        return ()
    first = origin + (start - origin) // width * width
    count = -((first - end) // width)
    found = [first + width * number for number in range(count)]
    return tuple(Bar(bin, bin + width, bins.get(bin, 0)) for bin in found)
