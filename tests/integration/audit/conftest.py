"""An auditor's browser, and a trail whose writes are committed."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from pytest_django.plugin import DjangoDbBlocker

from tests.builders.identity import Cast
from tests.integration.audit.trail import Trail, copied, on_trail


@pytest.fixture(scope="session")
def trail_database(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """The name of a copy of the empty test database."""
    with django_db_blocker.unblock():
        connection.close()  # PostgreSQL copies what nobody is connected to.
        name = str(connection.settings_dict["NAME"])
    with copied(settings.DATABASE_URL, f"{name}_trail", name) as made:
        yield made


@pytest.fixture
def trail(trail_database: str, db: None) -> Iterator[Trail]:
    """A trail without events in a database of its own; writes commit at once."""
    with on_trail(trail_database) as made:
        yield made


@pytest.fixture
def auditor(client: Client, cast: Cast) -> Client:
    client.force_login(cast.auditor)
    return client
