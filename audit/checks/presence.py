"""What should be there and is not, and what is there and should not be."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection

from audit.checks.leaves import Walk
from audit.findings import MOST_LISTED, Finding, Report
from audit.models import Event, Leaf

PATIENCE = timedelta(seconds=60)
_WITHOUT_LEAF = """
SELECT event.uid, event.at, event.xid::text::bigint < %s, count(*) OVER ()
FROM audit_event AS event LEFT JOIN audit_leaf ON event_id = event.id
WHERE event_id IS NULL AND event.at >= %s AND event.xid >= %s::text::xid8
ORDER BY event.id LIMIT %s
"""
_IN_MONTH = """
SELECT count(*) FROM audit_leaf
WHERE event_at >= %s::date AND event_at < %s::date + interval '1 month'
"""


def missing_events(walk: Walk, report: Report, tombstones: Collection[str]) -> None:
    """Name sealed events that are gone: by months that went as a whole, or singly.

    ``tombstones`` are the months ("2026-11") that were dropped on record.
    """
    whole = set()
    for month, gone in sorted(walk.gone.items()):
        if month in tombstones:
            report.dropped.append(month)
            whole.add(month)
        elif gone > 1 and gone == _sealed_in(month):
            text = f"All {gone} events of {month} are gone: its partition was dropped"
            report.add(Finding("partition", text))
            whole.add(month)
    _single(walk, report, whole)


def _single(walk: Walk, report: Report, whole: Collection[str]) -> None:
    leaves = Leaf.objects.in_bulk([index for index, _ in walk.missing])
    ids = [event_id for _, event_id in walk.missing]
    elsewhere = dict(Event.objects.filter(pk__in=ids).values_list("pk", "uid"))
    for index, event_id in walk.missing:
        at = leaves[index].event_at
        if uid := elsewhere.get(event_id):
            text = f"The time of event {uid} is not {at:%Y-%m-%d %H:%M:%S} any more"
            report.add(Finding("columns", text, uid, index))
        elif f"{at:%Y-%m}" not in whole:
            text = f"Sealed event {index} of {at:%Y-%m-%d %H:%M:%S} is gone"
            report.add(Finding("deleted", text, index=index))


def _sealed_in(month: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_IN_MONTH, [f"{month}-01", f"{month}-01"])
        return int(cursor.fetchone()[0])


def beyond(size: int, report: Report) -> None:
    """Leaves that are in no signed tree."""
    number = Leaf.objects.filter(index__gte=size).count()
    if number:
        text = f"{number} leaves follow the {size} that the newest checkpoint signs"
        report.add(Finding("unsigned", text, index=size))


def without_leaf(
    report: Report, *, since: datetime, horizon: int, lowest: int, at: datetime
) -> None:
    """Events that are in no leaf: behind the sealer, or waiting for too long.

    ``horizon``: each event of an older transaction should be sealed by now; only
    those from transaction ``lowest`` on are looked at.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WITHOUT_LEAF, [horizon, since, str(lowest), 20 * MOST_LISTED])
        rows = cursor.fetchall()
    for uid, event_at, passed, _ in rows:
        if passed:
            text = f"Event {uid} was not there when those around it were sealed"
            report.add(Finding("inserted", text, uid))
        elif event_at < at - PATIENCE:
            text = f"Event {uid} of {event_at:%Y-%m-%d %H:%M:%S} is not sealed"
            report.add(Finding("unsealed", text, uid))
