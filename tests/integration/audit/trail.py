"""A database of its own for a test that commits, and a superuser who attacks it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg import sql

_TABLES = (
    *("audit_event", "audit_leaf", "audit_treenode"),
    *("audit_checkpoint", "audit_verification"),
    *("audit_deadletter", "audit_sink"),
    *("audit_hold", "audit_export", "audit_tombstone"),
)


@dataclass(frozen=True)
class Trail:
    """A copy of the empty test database, which Django's connection is on."""

    url: str

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """Another connection of the application's role."""
        return psycopg.connect(self.url)

    def attack(self, *statements: str) -> None:
        """Statements of a superuser whom no trigger stops, in one transaction."""
        admin = _as_superuser(self.url)
        with psycopg.connect(admin) as superuser:
            superuser.execute("SET session_replication_role = replica")
            for statement in statements:
                superuser.execute(statement.encode())


def _as_superuser(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"postgres@{host}").geturl()


@contextmanager
def copied(url: str, name: str, template: str) -> Iterator[str]:
    """A database that begins as a copy of another; dropped at the end."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    made = sql.Identifier(name)
    # As superuser, who may also end an autovacuum that is at work there.
    with (
        psycopg.connect(_as_superuser(url), autocommit=True) as admin,
        psycopg.connect(url, autocommit=True) as owner,
    ):
        admin.execute(drop.format(made))
        owner.execute(create.format(made, sql.Identifier(template)))
        try:
            yield name
        finally:
            admin.execute(drop.format(made))


@contextmanager
def on_trail(name: str) -> Iterator[Trail]:
    """Django's connections, of this and of new threads, lead to that database."""
    home = urlsplit(settings.DATABASE_URL)
    trail = Trail(home._replace(path=f"/{name}").geturl())
    trail.attack(*(f"DELETE FROM {table}" for table in _TABLES))  # noqa: S608
    held = connections[DEFAULT_DB_ALIAS]
    before = held.settings_dict["NAME"]
    held.settings_dict["NAME"] = name
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    connections[DEFAULT_DB_ALIAS] = own
    try:
        yield trail
    finally:
        own.close()
        connections[DEFAULT_DB_ALIAS] = held
        held.settings_dict["NAME"] = before
