"""Rows that other connections see, and their removal from an append-only ledger."""

from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

_TABLES = (
    "finops_statementline",
    "finops_statement",
    "finops_billingperiod",
    "finops_costcentre",
    "finops_usageevent",
    "finops_usageuid",
    "finops_runfact",
    "finops_price",
    "audit_event",
)
_CLEAN = [
    statement
    for table in _TABLES
    for statement in (
        f"ALTER TABLE {table} DISABLE TRIGGER USER",
        f"DELETE FROM {table}",  # noqa: S608 - the names stand above
        f"ALTER TABLE {table} ENABLE TRIGGER USER",
    )
]


@pytest.fixture
def committed(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """A database without the usual transaction around the test."""
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                for statement in _CLEAN:
                    cursor.execute(statement)
                cursor.execute("DELETE FROM core_revision WHERE name = 'prices'")
            connection.close()
