"""The months of the trail: a partition each, made ahead of time."""

from django.db import connection

from core import partitions

MONTHS_AHEAD = 24


def make_ahead() -> int:
    """Make the partitions of this and the coming months; how many were missing."""
    return partitions.make_ahead("audit", months=MONTHS_AHEAD)


def rows_outside() -> int:
    """How many events lie in no month's partition, counted up to 1,000."""
    return partitions.rows_outside("audit_event")


_POWERS = """
SELECT CASE
  WHEN r.rolsuper THEN 'its role is a superuser'
  WHEN pg_has_role(t.relowner, 'MEMBER') THEN 'its role owns the table'
  WHEN has_table_privilege(t.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
    THEN 'its role may change or remove rows'
  WHEN has_schema_privilege(t.relnamespace, 'CREATE')
    THEN 'its role may make tables beside it'
  ELSE '' END
FROM pg_class t, pg_roles r
WHERE t.oid = 'audit_event'::regclass AND r.rolname = current_user
"""


def powers_over_the_trail() -> str:
    """How the application could change the trail, in words; empty where it cannot."""
    with connection.cursor() as cursor:
        cursor.execute(_POWERS)
        return str(cursor.fetchone()[0])
