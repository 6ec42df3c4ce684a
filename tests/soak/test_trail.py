"""`make soak`: the trail stays whole, whatever dies while events are written."""

import sys

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.integration.audit.killing import campaign, scene


def test_trail(
    request: pytest.FixtureRequest,
    django_db_blocker: DjangoDbBlocker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = request.config.getoption("--seed")
    seconds = request.config.getoption("--seconds")
    with scene(django_db_blocker) as stack:
        books = campaign(stack, seconds=seconds, seed=seed)
    with capsys.disabled():
        sys.stdout.write(
            f"\nseed {seed}: {len(books.noted)} events written, {books.leaves} sealed, "
            f"killed {dict(books.kills)}\n"
        )
    assert books.problems == []
