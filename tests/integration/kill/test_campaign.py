"""Half a minute of the kill campaign; `make soak` runs a longer one of any seed."""

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.soak.campaign import campaign, scene

SEED, SECONDS = 21, 30.0


@pytest.mark.slow
def test_nothing_is_lost_or_done_twice(django_db_blocker: DjangoDbBlocker) -> None:
    with scene(django_db_blocker) as found:
        result = campaign(found, seed=SEED, seconds=SECONDS)
    assert not result.problems, result.text
    assert result.figures["runs_replayed"], result.text
    assert result.figures["effects"], result.text
