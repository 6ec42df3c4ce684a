"""The campaign's comparison finds what it is there to find."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.models import Run, ToolCall
from tests.soak.agents import Submission
from tests.soak.compare import (
    DUPLICATED,
    LOST,
    UNEXPLAINED,
    WRONG,
    Evidence,
    explanation,
    problems,
    unknowns,
)
from tests.soak.faults import Fault
from tests.soak.ledger import Ledger
from tests.soak.records import Kept, Trail
from tests.soak.scripts import Script, Step

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW = AT.timestamp()
TOOLS = {"look": "read", "put": "idempotent_write", "send": "write"}


def trail(name: str, step: int | None = None, at: float = NOW, **payload: Any) -> Trail:
    return Trail(at, name, step, payload)


@dataclass
class Books:
    """One run of three calls, each on record as it happened."""

    folder: Path
    run: Run = field(default_factory=lambda: Run(uid="run_1", epoch=1))
    lines: list[dict[str, Any]] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    trail: list[Trail] = field(default_factory=list)
    usage: list[int | None] = field(default_factory=lambda: [1, 2, 3])
    facts: int = 1
    faults: list[Fault] = field(default_factory=list)
    submitted: str = "run_1"

    def __post_init__(self) -> None:
        self.run.status = Run.Status.SUCCEEDED
        self.trail = [trail("run.submitted"), trail("run.ended")]
        for step, (tool, effect) in enumerate(TOOLS.items(), 1):
            entry, key = f"a-1-{step}", "run_1:2" if tool == "put" else ""
            for kind in ("asked", "read" if tool == "look" else "effect", "answered"):
                self.line(kind, tool, entry, key)
            fields: dict[str, Any] = {"arguments": {"entry": entry}}
            call = ToolCall(
                step=step,
                tool=f"ledger.{tool}",
                effect=effect,
                decision="allow",
                outcome="ok",
                position=step,
                epoch=1,
                result=f"{tool}/{entry}",
                intent_at=AT,
                outcome_at=AT,
                **fields,
            )
            self.calls.append(call)
            self.trail.append(trail("call.intended", step))
            self.trail.append(trail("call.ended", step, outcome="ok"))
        self.run.value = [call.result for call in self.calls]

    def line(self, kind: str, tool: str, entry: str, key: str = "") -> None:
        receipt = f"{tool}/{entry}" if kind in ("read", "effect") else ""
        said = {"at": NOW, "kind": kind, "tool": tool, "entry": entry}
        self.lines.append(said | {"key": key, "receipt": receipt})

    def without(self, kind: str, entry: str) -> None:
        """Take a line out of the ledger."""
        gone = (kind, entry)
        self.lines = [one for one in self.lines if (one["kind"], one["entry"]) != gone]

    def evidence(self) -> Evidence:
        file = self.folder / "ledger.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        steps = [Step(tool, f"a-1-{n}") for n, tool in enumerate(TOOLS, 1)]
        script = Script("a-1", "sequential", "python", steps)
        kept = Kept(self.run, "a-1", self.calls, self.trail, self.usage, self.facts)
        made = [Submission(script, self.submitted, answered=True)]
        return Evidence([kept], Ledger(file), self.faults, made)

    def kinds(self) -> set[str]:
        return {problem.kind for problem in problems(self.evidence())}


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path)


def test_books_that_agree_have_no_problem(books: Books) -> None:
    assert problems(books.evidence()) == []


def _effect_of_nobody(books: Books) -> None:
    books.line("effect", "send", "a-9-1")


def _no_effect(books: Books) -> None:
    books.without("effect", "a-1-3")


def _two_effects(books: Books) -> None:
    books.line("effect", "send", "a-1-3")


def _failed_but_happened(books: Books) -> None:
    books.calls[1].outcome = "failed"


def _lost_run(books: Books) -> None:
    books.submitted = "run_2"


def _open_run(books: Books) -> None:
    books.run.status = Run.Status.AWAITING_OUTCOME


def _another_value(books: Books) -> None:
    books.run.value = [None, *books.run.value[1:]]


def _another_key(books: Books) -> None:
    books.lines = [one | {"key": one["key"] and "run_1:9"} for one in books.lines]


def _no_event(books: Books) -> None:
    books.trail = [one for one in books.trail if one.name != "call.ended"]


def _another_event(books: Books) -> None:
    books.trail.append(trail("call.ended", 1, outcome="failed"))


def _billed_twice(books: Books) -> None:
    books.usage.append(2)


def _two_facts(books: Books) -> None:
    books.facts = 2


def _cancelled_by_nobody(books: Books) -> None:
    books.run.status, books.run.error = Run.Status.CANCELLED, {"code": "cancelled"}


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (_effect_of_nobody, LOST),
        (_no_effect, LOST),
        (_two_effects, DUPLICATED),
        (_failed_but_happened, LOST),
        (_lost_run, LOST),
        (_open_run, LOST),
        (_another_value, WRONG),
        (_another_key, WRONG),
        (_no_event, WRONG),
        (_another_event, WRONG),
        (_billed_twice, WRONG),
        (_two_facts, WRONG),
        (_cancelled_by_nobody, WRONG),
    ],
)
def test_what_does_not_agree_is_found(
    books: Books, spoil: Callable[[Books], None], kind: str
) -> None:
    spoil(books)
    assert kind in books.kinds()


@pytest.mark.parametrize(
    ("fault", "explains"),
    [
        (Fault("runner", "kill", NOW + 1, NOW + 2), True),
        (Fault("runner2", "stop", NOW - 3, NOW + 2), True),
        (Fault("postgres", "kill", NOW - 5, NOW - 4), True),
        (Fault("runner", "kill", NOW + 60, NOW + 61), False),
        (Fault("runner", "stop", NOW - 9, NOW - 1), False),
        (Fault("redis", "kill", NOW, NOW + 1), False),
        (Fault("web", "stop", NOW, NOW + 4), False),
    ],
)
def test_an_unknown_outcome_needs_a_fault_of_its_sender(
    books: Books, fault: Fault, explains: bool
) -> None:
    books.faults.append(fault)
    books.calls[2].resolution = "happened"
    books.calls[2].position = None
    ended = trail("call.ended", 3, outcome="ok")
    books.trail.remove(ended)
    resolved = trail("call.resolved", 3, at=NOW + 20, verdict="happened")
    books.trail.append(resolved)
    evidence = books.evidence()
    (unknown,) = unknowns(evidence.kept[0])
    assert (explanation(evidence, unknown) is not None) == explains
    assert books.kinds() == (set() if explains else {UNEXPLAINED})
