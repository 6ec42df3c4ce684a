"""The months of the trail: how large they are, and what may happen to them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import connection

from audit.models import Checkpoint, Hold, MonthExport, Tombstone

# Beyond it a month's rows are PostgreSQL's own estimate: counting takes seconds.
_COUNTED = 200_000
_PARTITIONS = """
SELECT c.relname, c.reltuples::bigint, pg_total_relation_size(c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'audit_event'::regclass
  AND c.relname ~ '^audit_event_p\\d{4}_\\d{2}$'
ORDER BY c.relname DESC
"""
_COUNT = """
SELECT count(*) FROM
(SELECT FROM audit_event WHERE at >= %s AND at < %s LIMIT %s) AS found
"""
_OPEN = """
SELECT EXISTS (SELECT FROM audit_event
WHERE at >= %s AND at < %s AND xid >= %s::text::xid8)
"""


@dataclass(frozen=True, slots=True)
class Month:
    """One month of the trail. ``rows`` is counted, or about right where not ``exact``.

    ``why`` says what keeps it from being dropped; it is empty where nothing does.
    """

    first: date
    rows: int
    exact: bool
    bytes: int
    sealed: bool
    export: MonthExport | None
    holds: tuple[Hold, ...]
    tombstone: Tombstone | None
    why: str

    @property
    def last(self) -> date:
        """Its last day."""
        return next_month(self.first) - timedelta(days=1)

    @property
    def name(self) -> str:
        return f"{self.first:%Y-%m}"


def next_month(first: date) -> date:
    """The first day of the month after it."""
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def bounds(first: date) -> tuple[datetime, datetime]:
    """Where a month begins and where the next one does."""
    end = next_month(first)
    return (
        datetime(first.year, first.month, 1, tzinfo=UTC),
        datetime(end.year, end.month, 1, tzinfo=UTC),
    )


def kept_until(first: date) -> date:
    """The first day on which a month is old enough to be dropped."""
    months = first.month + settings.AUDIT_RETENTION_MONTHS
    return date(first.year + months // 12, months % 12 + 1, 1)


def active_holds() -> list[Hold]:
    """Legal holds that are not lifted, newest first."""
    return list(Hold.objects.filter(lifted_at=None).order_by("-pk"))


def months(*, at: datetime) -> list[Month]:
    """Months that have begun or hold rows, and those that were dropped; newest first.

    Two short queries for each month that has rows, since each is a table.
    """
    exports: dict[date, MonthExport] = {}
    for one in MonthExport.objects.order_by("pk"):
        exports[one.month] = one
    holds = active_holds()
    newest = Checkpoint.objects.order_by("-size").first()
    horizon = newest.horizon if newest else 0
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS)
        tables = cursor.fetchall()
    found = [
        _month(_first(name), guess, size, horizon, exports, holds, at)
        for name, guess, size in tables
    ]
    found = [one for one in found if one.rows or one.first <= at.date()]
    found += [
        _dropped(stone, exports.get(stone.month)) for stone in Tombstone.objects.all()
    ]
    return sorted(found, key=lambda one: one.first, reverse=True)


def _first(table: str) -> date:
    year, month = table[-7:].split("_")
    return date(int(year), int(month), 1)


def _month(
    first: date,
    guess: int,
    size: int,
    horizon: int,
    exports: dict[date, MonthExport],
    holds: list[Hold],
    at: datetime,
) -> Month:
    start, end = bounds(first)
    with connection.cursor() as cursor:
        rows, exact = guess, False
        if guess < _COUNTED:
            cursor.execute(_COUNT, [start, end, _COUNTED])
            rows, exact = cursor.fetchone()[0], True
        cursor.execute(_OPEN, [start, end, str(horizon)])
        sealed = not cursor.fetchone()[0]
    export = exports.get(first)
    held = tuple(one for one in holds if one.covers(first))
    why = _why(first, sealed, export, held, at)
    return Month(first, rows, exact, size, sealed, export, held, None, why)


def _why(
    first: date,
    sealed: bool,
    export: MonthExport | None,
    holds: tuple[Hold, ...],
    at: datetime,
) -> str:
    if holds:
        return f"under the legal hold {holds[0].title}"
    if (until := kept_until(first)) > at.date():
        return f"kept until {until:%Y-%m-%d}"
    if not sealed:
        return "not wholly sealed"
    return "" if export else "not exported"


def _dropped(stone: Tombstone, export: MonthExport | None) -> Month:
    return Month(stone.month, stone.events, True, 0, True, export, (), stone, "dropped")
