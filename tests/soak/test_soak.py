"""`make soak`: nothing is lost or done twice, whatever dies."""

import sys

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.soak.campaign import campaign, scene


def test_soak(
    request: pytest.FixtureRequest,
    django_db_blocker: DjangoDbBlocker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = request.config.getoption("--seed")
    seconds = request.config.getoption("--seconds")
    with capsys.disabled():
        sys.stdout.write(f"\nseed {seed}, {seconds:g} s of faults\n")
        with scene(django_db_blocker) as found:
            result = campaign(found, seed=seed, seconds=seconds)
        sys.stdout.write(f"{result.text}\n")
    assert not result.problems
    assert result.figures["runs_replayed"]
