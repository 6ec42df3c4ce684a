"""A made-up trail of any length, written by PostgreSQL itself; years in minutes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import connection

END = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SPAN = timedelta(days=90)
_BATCH = 250_000

# One event in a hundred calls is refused; accounts, teams and tools are unevenly busy;
# twelve events share a run, a request and a trace.
_EVENTS = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


def fill(count: int) -> None:
    """Write ``count`` events over the ninety days before ``END``; indexes come last."""
    with connection.cursor() as cursor:
        month = END - SPAN
        while month <= END:
            cursor.execute("SELECT audit_make_partition(%s::date)", [month])
            month += timedelta(days=20)
        cursor.execute("SELECT audit_make_partition(%s::date)", [END])
        definitions = _indexes()
        for name, _ in definitions:
            cursor.execute(f'DROP INDEX "{name}"')
        for first in range(1, count + 1, _BATCH):
            last = min(first + _BATCH - 1, count)
            cursor.execute(
                _EVENTS,
                {
                    "first": first,
                    "last": last,
                    "count": count,
                    "end": END,
                    "span": str(SPAN),
                },
            )
        for _, definition in definitions:
            cursor.execute(definition.replace(" ON ONLY ", " ON "))
        cursor.execute("VACUUM ANALYZE audit_event")


def _indexes() -> list[tuple[str, str]]:
    """Indexes of the whole table that no constraint needs, as (name, statement)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT i.relname, pg_get_indexdef(x.indexrelid) FROM pg_index x
            JOIN pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = 'audit_event'::regclass AND NOT x.indisunique
            """
        )
        return [(str(name), str(definition)) for name, definition in cursor.fetchall()]
