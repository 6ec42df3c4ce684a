"""Rows that other connections see, and their removal from an append-only ledger."""

from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

_CLEAN = "; ".join(
    f"ALTER TABLE {table} DISABLE TRIGGER USER; DELETE FROM {table}; "  # noqa: S608
    f"ALTER TABLE {table} ENABLE TRIGGER USER"
    for table in ("finops_usageevent", "finops_runfact", "finops_price", "audit_event")
)


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
                cursor.execute(_CLEAN)
                cursor.execute("DELETE FROM core_revision WHERE name = 'prices'")
            connection.close()
