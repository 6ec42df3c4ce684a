"""What the application's database role may not do, whatever the application says."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

from audit.services import partitions
from config import env
from config.embedded.postgres import APPLICATION
from tests.stack import ROOT, own_database

# Every table of the product whose rows are never changed.
APPEND_ONLY = {
    "audit_event",
    "finops_usageevent",
    "finops_usageuid",
    "gateway_toolversion",
    "policy_policyversion",
}
COLUMNS = (
    "uid, at, name, decision, actor_kind, actor_id, actor_label, team, environment, "
    "key, target_kind, target_id, target_label, tool, run, request_id, trace_id, "
    "client_address, summary, body"
)
ADD = (
    f"INSERT INTO audit_event ({COLUMNS}) "
    "SELECT 'evt_' || gen_random_uuid(), now(), 'access.denied', 'deny', 'user', 'u', "
    "'u', '', '', '', '', '', '', '', '', '', '', '', 'words', '{}'"
)


def migrate(owner: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--no-input", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": env.as_role(owner, APPLICATION),
            "TOLLGATE_OWNER_DATABASE_URL": owner,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def owner() -> Iterator[str]:
    """A database whose owner is not the application."""
    with own_database(settings.DATABASE_URL, "roles") as url:
        assert f"Granted {APPLICATION}" in migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(ADD)
        yield url


@pytest.fixture
def application(owner: str) -> Iterator[psycopg.Connection]:
    url = env.as_role(owner, APPLICATION)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def append_only(connection: psycopg.Connection) -> set[str]:
    rows = connection.execute(
        "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger JOIN pg_class c "
        "ON c.oid = tgrelid WHERE NOT relispartition "
        "AND tgfoid = 'core_refuse_change'::regproc"
    )
    return {name for (name,) in rows}


def month(connection: psycopg.Connection) -> str:
    row = connection.execute("SELECT tableoid::regclass::text FROM audit_event")
    return str(row.fetchone()[0])  # type: ignore[index]


def test_the_application_reads_and_adds(application: psycopg.Connection) -> None:
    application.execute(ADD)
    found = application.execute("SELECT count(*) FROM audit_event").fetchone()
    assert found is not None
    assert found[0] >= 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET {column} = {column}",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "DROP TABLE {}",
        "ALTER TABLE {} DISABLE TRIGGER USER",
        "ALTER TABLE {} ADD COLUMN more integer",
        "ALTER TABLE {} OWNER TO tollgate_app",
        "DROP TRIGGER {name}_rows ON {}",
        "CREATE TRIGGER mine BEFORE INSERT ON {} FOR EACH ROW "
        "EXECUTE FUNCTION core_refuse_change()",
        "CREATE RULE mine AS ON INSERT TO {} DO INSTEAD NOTHING",
        "SELECT FROM {} FOR UPDATE",
        "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
    ],
)
def test_it_changes_no_append_only_table(
    application: psycopg.Connection, owner: str, statement: str
) -> None:
    tables = append_only(application)
    assert tables >= APPEND_ONLY
    for table in sorted(tables):
        first = application.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass "
            "AND attnum = 1",
            [table],
        ).fetchone()
        assert first is not None
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            application.transaction(),
        ):
            application.execute(
                statement.format(table, column=first[0], name=table).encode()
            )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {} SELECT * FROM {}",
        "UPDATE {} SET summary = ''",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "DROP TABLE {}",
        "ALTER TABLE audit_event DETACH PARTITION {}",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "CREATE TABLE more PARTITION OF audit_event FOR VALUES FROM "
        "('1999-01-01') TO ('1999-02-01')",
        "SET session_replication_role = replica",
        "ALTER FUNCTION core_refuse_change() RENAME TO other",
        "CREATE OR REPLACE FUNCTION core_refuse_change() RETURNS trigger "
        "LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "SELECT audit_make_partition('1999-01-01')",
        "SELECT finops_make_partition('1999-01-01')",
        "CREATE TABLE mine (a integer)",
        "SET ROLE tollgate",
        "UPDATE django_migrations SET name = ''",
        "SELECT audit_drop_month('2019-03-01', 1, 'me', 'why', 'note')",
        "INSERT INTO audit_tombstone SELECT FROM audit_tombstone",
    ],
)
def test_nor_a_partition_nor_what_guards_it(
    application: psycopg.Connection, statement: str
) -> None:
    part = month(application)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(statement.replace("{}", part).encode())


def test_it_may_have_the_months_to_come_made(
    application: psycopg.Connection, owner: str
) -> None:
    last = f"audit_event_p{application.execute(LAST).fetchone()[0]}"  # type: ignore[index]
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(last)))
    made = application.execute("SELECT audit_make_partitions(24)").fetchone()
    assert made == (1,)
    with pytest.raises(psycopg.errors.RaiseException):
        application.execute("SELECT audit_make_partitions(61)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(last)))


def test_it_may_take_the_ledgers_cut_and_have_its_months_made(
    application: psycopg.Connection,
) -> None:
    assert application.execute("SELECT finops_make_partitions(6)").fetchone() == (0,)
    assert application.execute("SELECT finops_take_cut()").fetchone() == (0,)


LAST = "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '24 months', 'YYYY_MM')"


def test_doctor_sees_who_could_change_the_trail(
    application: psycopg.Connection, owner: str
) -> None:
    powers = partitions._POWERS.encode()
    assert application.execute(powers).fetchone() == ("",)
    with psycopg.connect(owner) as connection:
        assert connection.execute(powers).fetchone() == ("its role owns the table",)


def test_granting_again_changes_nothing(owner: str) -> None:
    rights = (
        "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = "
        "'public'::regnamespace ORDER BY 1"
    )
    migrate(owner)
    with psycopg.connect(owner) as connection:
        before = connection.execute(rights.encode()).fetchall()
    migrate(owner)
    with psycopg.connect(owner) as connection:
        assert connection.execute(rights.encode()).fetchall() == before
