"""Tests in several processes at once (pytest-xdist): who gets what, and has what."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import execnet
import pytest
from django.conf import settings
from xdist.scheduler import LoadScopeScheduling

# These share an expensive fixture, or last long: whole, and before all others.
_TOGETHER = ("tests/integration/mcp/", "tests/e2e/", "tests/integration/kill/")
_EARLY = ("tests/integration/setup/", "tests/integration/sandbox/")
_ENGINES = ("DATABASE_URL", "TOLLGATE_OWNER_DATABASE_URL", "REDIS_URL")


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
    """Each process is started beside PostgreSQL and Redis of its own.

    Databases in one PostgreSQL would not do: what is open in one of them keeps the
    trail in another from being sealed.
    """
    # Named engines would be taken for those of every process.
    alone = ["env", *(f"--unset={name}" for name in _ENGINES), sys.executable]
    for number, spec in enumerate(specs, 1):
        folder = Path(settings.DATA_DIR, f"worker{number}")
        beside = ["-m", "config.embedded", "--data-dir", str(folder), "--"]
        spec.python = shlex.join([*alone, *beside, sys.executable])
