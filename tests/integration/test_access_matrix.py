"""Every address × every role: who is let in, and that refusals change nothing.

The lines are in access_table.py: the tests fail while an address has none, and when one
accepts a method without a line.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django.plugin import DjangoDbBlocker

from audit.models import Event
from policy.models import Quota
from tests.builders.world import make_world
from tests.integration.access_table import CAST, TABLE, Row
from tests.integration.sending import send
from tests.integration.state import digest

pytestmark = pytest.mark.django_db
REFUSED = {"S": (302, 401), "3": (403,), "K": (403,), "4": (404,), "5": (405,)}
LET_IN = (200, 201, 202, 204, 302, 422)


@pytest.fixture(scope="module")
def world(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[dict[str, Any]]:
    """The people, and one of each thing, all of the sales team.

    Made once, in a transaction that is rolled back in the end; each request has a
    savepoint of its own.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield make_world()
        transaction.set_rollback(True)


def _patterns(
    patterns: list[URLPattern | URLResolver],
) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern


def test_every_address_has_a_line() -> None:
    names = {pattern.name for pattern in _patterns(get_resolver().url_patterns)}
    assert None not in names, "every address needs a name"
    assert names - {line.name for line in TABLE} == set(), "add a line to TABLE"
    assert {line.name for line in TABLE} - names == set(), "these are gone"


def test_the_digest_sees_one_cell_change(world: dict[str, Any]) -> None:
    before = digest()
    Quota.objects.filter(pk=world["quota"]).update(limit=10)
    after = digest()
    assert {table for table in after if after[table] != before[table]} == {
        "policy_quota"
    }


@pytest.mark.parametrize("line", TABLE, ids=str)
def test_each_role_gets_in_or_is_refused_and_changes_nothing(
    line: Row, world: dict[str, Any]
) -> None:
    before = digest()
    for who, letter in zip(CAST, line.letters, strict=True):
        with transaction.atomic():
            denials = Event.objects.filter(name="access.denied").count()
            response = send(line, world, world[who])
            said = f"{line} as {who}: {response.status_code}"
            if letter == "+":
                assert response.status_code in LET_IN, said
                assert not _asks_to_sign_in(response), said
            else:
                assert response.status_code in REFUSED[letter], said
                assert (letter == "S") == _asks_to_sign_in(response), said
                assert digest() == before, f"{said}, yet something changed"
            if letter == "3":
                now_denied = Event.objects.filter(name="access.denied").count()
                assert now_denied == denials + 1, f"{said}, but not on record"
            transaction.set_rollback(True)


@pytest.mark.parametrize("name", sorted({line.name for line in TABLE}))
def test_an_address_takes_no_method_without_a_line(
    name: str, world: dict[str, Any]
) -> None:
    lines = [line for line in TABLE if line.name == name]
    before = digest()
    for method in {"POST", "PUT", "PATCH", "DELETE"} - {line.method for line in lines}:
        with transaction.atomic():
            other = Row(method, name, lines[0].letters, lines[0].arguments, json=True)
            response = send(other, world, world["admin"])
            said = f"{method} {name}: {response.status_code}"
            assert response.status_code == 405, said
            assert digest() == before, f"{said}, yet something changed"
            transaction.set_rollback(True)


def _asks_to_sign_in(response: HttpResponseBase) -> bool:
    if response.status_code == 302:
        return str(response.headers["Location"]).startswith("/sign-in/?")
    return response.status_code == 401
