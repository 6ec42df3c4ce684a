"""Every row there is, in short: to show that a refusal changed nothing."""

from django.apps import apps
from django.db import connection

# What a refusal itself writes, or what ticks by itself.
_TICKING = {"audit_event", "django_session"}
_TICKING_COLUMNS = ["last_login", "last_used_at"]


def digest(*, leaving_out: frozenset[str] = frozenset()) -> dict[str, str]:
    """Rows and a digest of each table, in one query."""
    tables = sorted(
        {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
        - _TICKING
        - leaving_out
    )
    # Table names are our own models'.
    each = " UNION ALL ".join(
        f"SELECT '{table}', count(*) || ' ' || coalesce(md5(string_agg(line, '|' "  # noqa: S608
        f"ORDER BY line)), '') FROM (SELECT (to_jsonb(t) - %(columns)s::text[])::text "
        f'AS line FROM "{table}" AS t) AS lines'
        for table in tables
    )
    with connection.cursor() as cursor:
        cursor.execute(each, {"columns": _TICKING_COLUMNS})
        return dict(cursor.fetchall())
