"""What the application's database role may do: everything but change what is on record.

Tables belong to the owner role, which migrates. The application reads and adds to
append-only tables, those with the trigger of ``core.immutable``, and nothing more.
"""

from django.db import connection, transaction
from django.db.utils import ProgrammingError
from psycopg import sql

from core.errors import TollgateError

# Functions of the owner that the application may call.
_FUNCTIONS = (
    "audit_make_partitions(integer)",
    "finops_make_partitions(integer)",
    "finops_take_cut()",
)
# What the owner alone writes.
_READ_ONLY = frozenset({"django_migrations", "audit_tombstone"})
_TABLES = """
SELECT c.relname, c.relispartition, EXISTS (
  SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
  AND t.tgfoid = to_regproc('public.core_refuse_change'))
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY 1
"""
# A superuser or the owner passes every grant.
_TOO_STRONG = """
SELECT rolsuper OR pg_has_role(oid, current_user, 'MEMBER')
FROM pg_roles WHERE rolname = %s
"""
APPEND, READ, ALL = "SELECT, INSERT", "SELECT", "SELECT, INSERT, UPDATE, DELETE"


class RoleUnfit(TollgateError):
    """The role cannot be the application's."""

    code = "role_unfit"


@transaction.atomic
def grant_to(role: str) -> int:
    """Give ``role`` the application's rights, and no others; how many tables it got.

    Safe to repeat, and needed after each migration: a new table is closed until then.
    Called as the owner. Raises RoleUnfit.
    """
    _make_sure_of(role)
    name = sql.Identifier(role)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('database_roles'))")
        cursor.execute("SELECT current_database()")
        database = sql.Identifier(cursor.fetchone()[0])
        tables = _tables()
        for statement in (
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, name),
            sql.SQL("REVOKE CREATE ON SCHEMA public FROM PUBLIC, {}").format(name),
            sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name),
            *(_on_table(table, rights, name) for table, rights in tables.items()),
            *(_on_function(function, name) for function in _FUNCTIONS),
        ):
            cursor.execute(statement)
    return len(tables)


def _tables() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        rows = cursor.fetchall()
    return {
        table: READ
        if is_partition or table in _READ_ONLY
        else APPEND
        if is_append_only
        else ALL
        for table, is_partition, is_append_only in rows
    }


def _on_table(table: str, rights: str, role: sql.Identifier) -> sql.Composed:
    return sql.SQL("REVOKE ALL ON {0} FROM {1}; GRANT {2} ON {0} TO {1}").format(
        sql.Identifier("public", table),
        role,
        sql.SQL(rights),
    )


def _on_function(function: str, role: sql.Identifier) -> sql.Composed:
    return sql.SQL("GRANT EXECUTE ON FUNCTION public.{} TO {}").format(
        sql.SQL(function),
        role,
    )


def _make_sure_of(role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TOO_STRONG, [role])
        found = cursor.fetchone()
        if found is None:
            _create(role)
        elif found[0]:
            raise RoleUnfit(
                f"The database role {role} is a superuser or a member of the owner's "
                "role: it could change what is on record. Use another role in "
                "DATABASE_URL."
            )


def _create(role: str) -> None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    except ProgrammingError as error:
        raise RoleUnfit(
            f"There is no database role {role}, and the owner may not create it. As "
            f"PostgreSQL's administrator: CREATE ROLE \"{role}\" LOGIN PASSWORD '…';"
        ) from error
