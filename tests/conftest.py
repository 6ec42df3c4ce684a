"""What every test needs: engines that are up, and browser tests that come last."""

import os
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse to start without engines, with a message that says how to start them."""
    # Playwright leaves its event loop running in the main thread until the session
    # ends; whatever came after it would have to run under that loop.
    items.sort(key=_is_e2e)
    if any(map(_needs_engines, items)) and not (
        settings.DATABASE_URL and settings.REDIS_URL
    ):
        raise pytest.UsageError(ENGINES_ARE_DOWN)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let Django's synchronous calls run beside Playwright's loop."""
    if _is_e2e(item):
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def _is_e2e(item: pytest.Item) -> bool:
    return item.nodeid.startswith("tests/e2e/")


def _needs_engines(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    marked = item.get_closest_marker("django_db") is not None
    return marked or bool(DATABASE_FIXTURES & fixtures)
