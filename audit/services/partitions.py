"""The months of the trail: a partition each, made ahead of time."""

from django.db import connection

MONTHS_AHEAD = 24


def make_ahead() -> int:
    """Make the partitions of this and the coming months; how many were missing.

    The function belongs to the tables' owner: the application may not make tables.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_make_partitions(%s)", [MONTHS_AHEAD])
        return int(cursor.fetchone()[0])


def rows_outside() -> int:
    """How many events lie in no month's partition, counted up to 1,000."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT FROM audit_event_default LIMIT 1000) AS few"
        )
        return int(cursor.fetchone()[0])
