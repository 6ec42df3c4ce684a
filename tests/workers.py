"""Tests in several processes at once (pytest-xdist): who gets what, and has what."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import execnet
import pytest
from django.conf import settings
from xdist.scheduler import LoadScopeScheduling

# These share an expensive fixture, or last long: whole, and before all others.
_TOGETHER = ("tests/integration/mcp/", "tests/e2e/", "tests/integration/kill/")
_EARLY = ("tests/integration/setup/", "tests/integration/sandbox/")
# Redis has sixteen numbered databases: a process takes one, and its stacks another.
_REDIS_NUMBERS = range(1, 8)


class Schedule(LoadScopeScheduling):  # type: ignore[misc]
    """Whole files go to whoever is free, in the order of ``rank``."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        # Else those with the most tests come first, which may be the shortest.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in _TOGETHER if file.startswith(folder)), file)


def rank(item: pytest.Item) -> int:
    """Where a test comes: long ones first, so that all processes end together."""
    first = (*_TOGETHER, *_EARLY)
    for place, folder in enumerate(first):
        if item.nodeid.startswith(folder):
            return place
    return len(first)


def give_each_its_own(specs: Sequence[execnet.XSpec]) -> None:
    """Each process has a data directory and a number of Redis, beside its database."""
    if len(specs) > len(_REDIS_NUMBERS):
        raise pytest.UsageError(f"Ask -n for {len(_REDIS_NUMBERS)} processes at most.")
    redis = urlsplit(settings.REDIS_URL)
    for spec, number in zip(specs, _REDIS_NUMBERS, strict=False):
        folder = Path(settings.DATA_DIR, f"worker{number}")
        folder.mkdir(parents=True, exist_ok=True)
        spec.env |= {
            "DATABASE_URL": settings.DATABASE_URL,
            "REDIS_URL": redis._replace(path=f"/{number}").geturl(),
            "TOLLGATE_DATA_DIR": str(folder),
        }
