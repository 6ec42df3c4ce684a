"""Tables by month: the SQL that makes their partitions, and who calls it.

A partition is made by the table's owner: the application may not make tables.
"""

from django.db import connection

# Attaching locks the table against less than CREATE TABLE … PARTITION OF does: rows
# are written meanwhile.
_FORWARD = """
CREATE FUNCTION {prefix}_make_partition(wanted date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
  month timestamptz := date_trunc('month', wanted::timestamptz);
  until timestamptz := month + interval '1 month';
  part text := '{table}_p' || to_char(month, 'YYYY_MM');
BEGIN
  IF to_regclass('public.' || part) IS NOT NULL THEN
    RETURN false;
  END IF;
  -- Rows that came before their month was made stay where they are.
  IF EXISTS (SELECT 1 FROM {table}_default WHERE at >= month AND at < until) THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE public.%I (LIKE public.{table} '
    'INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part);
  EXECUTE format('CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON public.%I '
    'FOR EACH STATEMENT EXECUTE FUNCTION public.core_refuse_change()', part);
  EXECUTE format('ALTER TABLE public.{table} ATTACH PARTITION public.%I '
    'FOR VALUES FROM (%L) TO (%L)', part, month, until);
  RETURN true;
END $$;

CREATE FUNCTION {prefix}_make_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC'
SET lock_timeout = '2s'
AS $$
DECLARE
  made integer := 0;
BEGIN
  IF ahead NOT BETWEEN 0 AND 60 THEN
    RAISE EXCEPTION 'between 0 and 60 months may be made ahead, not %', ahead;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('{prefix}_make_partitions'));
  FOR step IN 0 .. ahead LOOP
    IF {prefix}_make_partition(
      (date_trunc('month', now()) + make_interval(months => step))::date
    ) THEN
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END $$;

REVOKE ALL ON FUNCTION {prefix}_make_partition(date) FROM PUBLIC;
REVOKE ALL ON FUNCTION {prefix}_make_partitions(integer) FROM PUBLIC;
"""
_BACKWARD = """
DROP FUNCTION {prefix}_make_partitions(integer);
DROP FUNCTION {prefix}_make_partition(date);
"""


def by_month(table: str, *, prefix: str) -> tuple[str, str]:
    """SQL, forward and back, of the functions that make a table's months.

    ``table`` is append-only, partitioned by range of ``at``, and has a default
    partition ``<table>_default``; the functions are ``<prefix>_make_partition(date)``
    and ``<prefix>_make_partitions(months ahead)``.
    """
    names = (("{table}", table), ("{prefix}", prefix))
    forward, backward = _FORWARD, _BACKWARD
    for word, name in names:
        forward, backward = forward.replace(word, name), backward.replace(word, name)
    return forward, backward


def make_ahead(prefix: str, *, months: int) -> int:
    """Make the partitions of this and the coming months; how many were missing."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {prefix}_make_partitions(%s)", [months])
        return int(cursor.fetchone()[0])


def rows_outside(table: str) -> int:
    """How many rows lie in no month's partition, counted up to 1,000."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM (SELECT FROM {table}_default LIMIT 1000) AS few"  # noqa: S608
        )
        return int(cursor.fetchone()[0])
