"""Nothing is lost, nothing is passed over, no gap: whatever dies while events come."""

import pytest
from pytest_django.plugin import DjangoDbBlocker

from audit.findings import PASSED
from tests.integration.audit.killing import VICTIMS, campaign, scene

pytestmark = pytest.mark.slow


def test_kills_at_random_leave_a_whole_trail(
    django_db_blocker: DjangoDbBlocker,
) -> None:
    with scene(django_db_blocker) as stack:
        books = campaign(stack, seconds=12, seed=5)

    assert books.problems == []
    assert set(books.kills) == set(VICTIMS)
    assert len(books.noted) > 100
    assert set(books.report.verdicts.values()) == {PASSED}
