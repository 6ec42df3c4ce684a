"""A stack with engines of its own, all of which may be killed."""

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from audit.models import Event
from gateway.models import Run, ToolCall
from tests.builders.identity import make_key
from tests.crashes import engines, kill_engine, offer_ledger, serve_ledger, urls_of
from tests.stack import Stack, folder

LEASE_SECONDS = 3
SWEEP_SECONDS = 5
# The sweep, a start of a process on a busy machine, and what it has to do then.
PATIENCE = LEASE_SECONDS + SWEEP_SECONDS + 25.0


@dataclass(frozen=True, slots=True)
class Record:
    """All that is kept of a run."""

    run: dict[str, Any]
    calls: list[dict[str, Any]]
    events: list[str]


@dataclass(frozen=True, slots=True)
class Scene:
    """The stack, a key, and the ledger that its tools write to."""

    stack: Stack
    key: str
    ledger: Path
    engines: "subprocess.Popen[bytes]"

    def entries(self) -> Counter[str]:
        """How often each effect happened."""
        return Counter(self.ledger.read_text().splitlines())

    def begin(self, code: str) -> str:
        """Submit a script and return its run's id."""
        uid: str = self.stack.execute(self.key, code, wait=0)["run"]
        return uid

    def finished(self, *names: str) -> dict[str, Record]:
        """Records of runs that have ended, each with one write."""
        made = {}
        for name in names:
            code = f"from tools import ledger\nprint('{name}')\n"
            code += f"return ledger.put(entry='{name}')"
            envelope = self.stack.execute(self.key, code)
            assert envelope["value"] == name, envelope
            made[envelope["run"]] = self.record(envelope["run"])
        return made

    def record(self, uid: str) -> Record:
        """What is on record of a run now."""
        with self.stack.database():
            calls = ToolCall.objects.filter(run__uid=uid).order_by("step")
            return Record(
                dict(Run.objects.values().get(uid=uid)),
                [dict(call) for call in calls.values()],
                list(
                    Event.objects.filter(run=uid)
                    .order_by("pk")
                    .values_list("name", flat=True)
                ),
            )

    def status(self, uid: str) -> str:
        """A run's status; empty while the database is away."""
        with self.stack.database():
            return Run.objects.values_list("status", flat=True).get(uid=uid)

    def wait_for_entry(self, entry: str) -> None:
        """Wait until an effect has happened."""
        self.stack.wait_for(lambda: self.entries()[entry], entry, 30)

    def wait_until_ended(self, *uids: str) -> list[str]:
        """The statuses of runs, which must end within lease and sweep."""
        with self.stack.database():
            runs = Run.objects.filter(uid__in=uids)
            self.stack.wait_for(
                lambda: not runs.filter(status__in=("queued", "running")).exists(),
                "the runs to end",
                PATIENCE,
                pause=0.2,
            )
        return [self.status(uid) for uid in uids]

    def check(self, *, kept: dict[str, Record]) -> None:
        """Ended runs are as they were, and each effect happened once at the most."""
        for uid, before in kept.items():
            assert self.record(uid) == before
        entries = self.entries()
        assert [name for name, times in entries.items() if times > 1] == []
        with self.stack.database():
            assert not Run.objects.filter(status__in=("queued", "running")).exists()
            writes = ToolCall.objects.filter(tool="ledger.put", decision="allow")
            outcomes = {
                json.loads(json.dumps(call.arguments))["entry"]: call.outcome
                for call in writes
            }
        # Nothing happened that is not on record, and what is said to have, has.
        assert set(entries) <= set(outcomes)
        assert {name for name, said in outcomes.items() if said == "ok"} <= set(entries)
        assert set(outcomes.values()) <= {"ok", "unknown", "failed"}
        failed = {name for name, said in outcomes.items() if said == "failed"}
        assert not failed & set(entries)


@contextmanager
def away(scene: Scene, name: str) -> Iterator[None]:
    """An engine is killed and not started again until the context is left."""
    scene.engines.send_signal(signal.SIGSTOP)
    try:
        kill_engine(scene.stack, name)
        yield
    finally:
        scene.engines.send_signal(signal.SIGCONT)


@pytest.fixture(scope="package")
def scene(django_db_blocker: DjangoDbBlocker) -> Iterator[Scene]:
    """Everything up."""
    with folder("kill") as data_dir, engines(data_dir) as process:
        stack = Stack(
            data_dir,
            *urls_of(data_dir),
            django_db_blocker,
            extra={"TOLLGATE_RUN_LEASE_SECONDS": str(LEASE_SECONDS)},
        )
        try:
            stack.start("web", "runner")
            stack.migrate()
            stack.start("worker", "beat")
            ledger = data_dir / "ledger.txt"
            url = serve_ledger(stack, "tests.integration.kill.ledger", ledger)
            with stack.database():
                key = make_key(offer_ledger(url)).text
            stack.wait_ready()
            yield Scene(stack, key, ledger, process)
        finally:
            stack.stop()
