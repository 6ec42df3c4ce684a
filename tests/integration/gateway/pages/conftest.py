"""People who look at the pages, and ways to look."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from policy.models import User
from tests.builders.identity import Cast, make_cast, make_environment

Browse = Callable[[User], Client]


@pytest.fixture
def cast(db: None) -> Cast:
    """Alice and the others, with three environments."""
    for position, slug in enumerate(("dev", "staging", "prod")):
        make_environment(slug, position=position)
    return make_cast()


@pytest.fixture
def browse() -> Browse:
    """A client signed in as somebody."""

    def as_user(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return as_user


def queries_of(client: Client, path: str) -> int:
    """How many queries a page costs once caches are warm."""
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)
