"""Kills the sealer, a worker and PostgreSQL while events are written."""

import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from django.db import Error, connection
from pytest_django.plugin import DjangoDbBlocker

from audit import tree
from audit.anchors import AnchorFile
from audit.findings import Report
from audit.models import Event, Leaf
from audit.services import verification
from audit.services.verification import Basis
from audit.signing import keys_in
from core.clock import now
from tests.crashes import engines, kill_engine, urls_of
from tests.stack import Stack, folder

VICTIMS = ("sealer", "worker", "postgres")
_CALM, _PATIENCE = (0.5, 2.0), 60.0


@dataclass(slots=True)
class Books:
    """What was written, what is there, and what a verification says."""

    kills: Counter[str] = field(default_factory=Counter)
    noted: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    leaves: int = 0
    gaps: int = 0
    unsealed: int = 0
    report: Report = field(default_factory=lambda: Report("whole", now()))

    @property
    def problems(self) -> list[str]:
        """Why the trail is not what it should be; nothing, as a rule."""
        found = [
            (len(self.noted - self.kept), "events were committed and are lost"),
            (abs(len(self.kept) - self.leaves), "more or fewer leaves than events"),
            (self.gaps, "gaps in the tree"),
            (self.unsealed, "events were never sealed"),
            (len(self.report.findings), f"findings: {self.report.findings[:5]}"),
        ]
        return [f"{number} {what}" for number, what in found if number]


@contextmanager
def scene(blocker: DjangoDbBlocker) -> Iterator[Stack]:
    """Engines of its own, a sealer, a worker, and a process with eight writers."""
    with folder("trail") as data_dir, engines(data_dir):
        stack = Stack(data_dir, *urls_of(data_dir), blocker)
        try:
            stack.migrate()
            stack.start("sealer", "worker")
            stack.spawn("writers", _writers(data_dir))
            stack.wait_for(lambda: ledger(data_dir).exists(), "the writers")
            yield stack
        finally:
            stack.stop()


def ledger(data_dir: Path) -> Path:
    return data_dir / "written.txt"


def _writers(data_dir: Path) -> list[str]:
    module = "tests.integration.audit.writer"
    return [sys.executable, "-m", module, str(ledger(data_dir))]


def campaign(stack: Stack, *, seconds: float, seed: int) -> Books:
    """Kill one after the other at random times, then let all recover, and look."""
    draw, books = random.Random(seed), Books()
    end = time.monotonic() + seconds
    while time.monotonic() < end or set(books.kills) != set(VICTIMS):
        time.sleep(draw.uniform(*_CALM))
        victim = draw.choice(VICTIMS)
        if victim == "postgres":
            # It has to be back from the last time, or it is not started again.
            stack.wait_for(lambda: _answers(stack), "PostgreSQL", _PATIENCE)
            kill_engine(stack, victim)
        else:
            stack.kill(victim)
            stack.start(victim)
        books.kills[victim] += 1
    time.sleep(_CALM[1])
    stack.kill("writers")
    books.noted = set(ledger(stack.data_dir).read_text().split())
    stack.wait_for(lambda: _settled(stack), "the sealer to catch up", _PATIENCE)
    with stack.database():
        _look(stack, books)
    return books


def _answers(stack: Stack) -> bool:
    with stack.database(), suppress(Error):
        tree.latest()
        return True
    return False


def _settled(stack: Stack) -> bool:
    with stack.database(), suppress(Error):
        newest = tree.latest()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM audit_event WHERE NOT EXISTS "
                "(SELECT 1 FROM audit_leaf WHERE event_id = audit_event.id)"
            )
            return newest is not None and cursor.fetchone()[0] == 0
    return False


def _look(stack: Stack, books: Books) -> None:
    books.kept = set(Event.objects.values_list("uid", flat=True))
    indices = sorted(Leaf.objects.values_list("index", flat=True))
    books.leaves = len(indices)
    books.gaps = len(set(range(len(indices))) ^ set(indices))
    books.unsealed = tree.state().waiting
    folder = stack.data_dir / "audit"
    anchor = AnchorFile(folder / "last-checkpoint")
    basis = Basis(keys_in(folder / "seal.key.pub"), [("the anchor", anchor.load())])
    books.report = verification.verify_whole(basis, at=now())
