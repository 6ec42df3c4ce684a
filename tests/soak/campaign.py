"""A kill campaign: agents at work while processes die, then the books compared."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import Error, connection
from pytest_django.plugin import DjangoDbBlocker

from core.clock import now
from gateway.models import Run, Tool
from gateway.services import catalog
from policy.models import Membership
from policy.services.sandbox import Scope, set_sandbox_policy
from tests.builders.identity import ACTOR, make_key, make_user
from tests.crashes import engines, offer_ledger, serve_ledger, urls_of
from tests.soak import faults
from tests.soak.agents import Agent
from tests.soak.compare import Evidence, Problem, problems
from tests.soak.ledger import Ledger
from tests.soak.people import Approver, session_of
from tests.soak.records import read_records
from tests.soak.report import Given, as_line, summary, table, told
from tests.soak.scripts import WEIGHTS
from tests.soak.server import KEY_HEADER, KEY_META
from tests.stack import Stack, folder

LEASE_SECONDS = 3
LONGEST_CALL_SECONDS = 10
AGENTS = 8
_DRAIN_SECONDS = 150.0
_JOIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Scene:
    """The stack with two runners, the ledger, an approver's session, and two keys.

    The second key's scripts run at level ``team``, and are replayed at level ``run``.
    """

    stack: Stack
    ledger: Path
    keys: tuple[str, str]
    cookies: dict[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """How a campaign ended; ``text`` is what to print."""

    problems: Sequence[Problem]
    figures: Mapping[str, Any]
    text: str


@contextmanager
def scene(blocker: DjangoDbBlocker) -> Iterator[Scene]:
    """Everything up, with engines of its own."""
    with folder("soak") as data_dir, engines(data_dir):
        stack = Stack(
            data_dir,
            *urls_of(data_dir),
            blocker,
            extra={
                "TOLLGATE_RUN_LEASE_SECONDS": str(LEASE_SECONDS),
                "TOLLGATE_CALL_LONGEST_SECONDS": str(LONGEST_CALL_SECONDS),
            },
        )
        try:
            stack.migrate()
            for name in ("web", "worker", "beat", *faults.RUNNERS):
                faults.start(stack, name)
            ledger = data_dir / "ledger.jsonl"
            url = serve_ledger(stack, "tests.soak.server", ledger)
            with stack.database():
                keys, cookies = _seed(url)
            stack.wait_ready()
            yield Scene(stack, ledger, keys, cookies)
        finally:
            stack.stop()


def _seed(url: str) -> tuple[tuple[str, str], dict[str, str]]:
    """The catalog as its reviewer leaves it; keys, and a session of an approver."""
    account = offer_ledger(url)
    tools = {tool.name: tool.pk for tool in Tool.objects.all()}
    keyed = {
        "put": ("meta", KEY_META, ""),
        "keep": ("header", KEY_HEADER, ""),
        "pay": ("argument", "request_id", "find_payment"),
    }
    for name, (how, field, lookup) in keyed.items():
        catalog.set_idempotency(
            tool_id=tools[name],
            how=how,
            name=field,
            lookup=lookup,
            actor=ACTOR,
            at=now(),
        )
    for name in WEIGHTS:
        catalog.set_direct(tool_id=tools[name], direct=True, actor=ACTOR, at=now())
    catalog.set_approval(tool_id=tools["release"], needed=True, actor=ACTOR, at=now())
    approver = make_user("bob", (account.team, Membership.Role.APPROVER))
    plain, shared = make_key(account), make_key(account, name="level team")
    set_sandbox_policy(
        scope=Scope(key=shared.key),
        level="team",
        limits={},
        reason="soak",
        actor=ACTOR,
        at=now(),
    )
    return (plain.text, shared.text), session_of(approver)


def campaign(scene: Scene, *, seed: int, seconds: float) -> Result:
    """Work and kill for some seconds, let everything end, and compare."""
    began = time.monotonic()
    killer = faults.Killer(scene.stack)
    approver = Approver(scene.stack.url, scene.cookies, scene.ledger, seed)
    agents = [
        Agent(scene.stack, scene.keys[number % 2], f"agent{number}", seed)
        for number in range(1, AGENTS + 1)
    ]
    people = _threads(approver.run)
    working = _threads(*(agent.run for agent in agents))
    killer.run(faults.plan(seed=seed, seconds=seconds), seconds=seconds)
    for agent in agents:
        agent.stopping.set()
    _join(working)
    _wait_until_over(scene.stack)
    approver.stopping.set()
    _join(people)
    submissions = [made for agent in agents for made in agent.submissions]
    with scene.stack.database():
        found = Evidence(
            read_records(), Ledger(scene.ledger), killer.faults, submissions
        )
        bad = problems(found)
        given = Given(
            seed,
            seconds,
            time.monotonic() - began,
            Counter(approver.decided),
            Counter(approver.refused),
            sum(not made.answered for made in submissions),
        )
        figures = summary(given, found, bad)
        text = [as_line(figures), table(figures), told(found, bad)]
    return Result(bad, figures, "\n".join(text))


def _threads(*work: Callable[[], None]) -> list[threading.Thread]:
    made = [threading.Thread(target=one, daemon=True) for one in work]
    for thread in made:
        thread.start()
    return made


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join(_JOIN_SECONDS)
        assert not thread.is_alive()


def _wait_until_over(stack: Stack) -> None:
    """Until no run is open, or there was time enough: then that is a finding."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    with stack.database():
        while time.monotonic() < deadline:
            try:
                if not Run.objects.exclude(status__in=Run.ENDED).exists():
                    return
            except Error:
                connection.close()
            time.sleep(0.5)
