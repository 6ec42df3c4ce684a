"""What every test needs: engines that are up, its own in each process."""

import gc
from collections.abc import Sequence
from pathlib import Path

import execnet
import pytest
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

from tests import workers

DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "stack"}
ENGINES_ARE_DOWN = (
    "PostgreSQL and Redis are not up. Run `make test`, or "
    "`.venv/bin/python -m config.embedded --data-dir var/test -- "
    ".venv/bin/python -m pytest …`, or set DATABASE_URL and REDIS_URL."
)


def pytest_configure() -> None:
    """Let WhiteNoise find its directory, empty here: it warns about a missing one."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    # A machine that is busy is no failure of what is tested.
    busy = [HealthCheck.too_slow]
    hypothesis.register_profile("busy", deadline=None, suppress_health_check=busy)
    hypothesis.load_profile("busy")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse to start without engines, with a message that says how to start them."""
    items.sort(key=workers.rank)
    if any(map(_needs_engines, items)) and not (
        settings.DATABASE_URL and settings.REDIS_URL
    ):
        raise pytest.UsageError(ENGINES_ARE_DOWN)


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what stays: it takes a tenth of a test's time."""
    gc.collect()
    gc.freeze()


def pytest_xdist_setupnodes(specs: Sequence[execnet.XSpec]) -> None:
    """Let processes side by side not meet."""
    workers.give_each_its_own(specs)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> workers.Schedule:
    """Hand out whole files, and some folders whole."""
    return workers.Schedule(config, log)


def _needs_engines(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    marked = item.get_closest_marker("django_db") is not None
    return marked or bool(DATABASE_FIXTURES & fixtures)
