"""Compares the ledger with the journal, the trail and the bill."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.models import Run, ToolCall
from gateway.services.lookup import DUE
from tests.soak.agents import Submission
from tests.soak.faults import RUNNERS, STOP, Fault
from tests.soak.ledger import Ledger
from tests.soak.records import Kept, entry_of, seconds
from tests.soak.scripts import DIRECT

LOST, DUPLICATED, UNEXPLAINED = "lost", "duplicated", "unexplained"
WRONG = "wrong"
# How long PostgreSQL needs to be back after it was started again.
_RECOVERY_SECONDS = 6.0
_ROUNDING_SECONDS = 3.0
SENDERS = (*RUNNERS, "postgres")
_OPEN = ("", "unknown")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that must not be, with the run that it is about."""

    kind: str
    text: str
    run: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to compare."""

    kept: Sequence[Kept]
    ledger: Ledger
    faults: Sequence[Fault]
    submissions: Sequence[Submission]


def problems(found: Evidence) -> list[Problem]:
    """Everything that does not agree."""
    return [
        *_submissions(found),
        *_effects(found),
        *(one for kept in found.kept for one in _run(found, kept)),
    ]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A time during which nobody knew whether a call had happened.

    ``how`` it ended: by a person's verdict, or with the run.
    """

    call: ToolCall
    since: float
    how: str


def unknowns(kept: Kept) -> Iterator[Unknown]:
    """Every such time of a run; a call may have several."""
    for call in kept.calls:
        since = seconds(call.intent_at)
        for event in kept.trail:
            if event.step == call.step and event.name == "call.intended":
                since = event.at
            elif event.step == call.step and event.name == "call.resolved":
                yield Unknown(call, since, str(event.payload["verdict"]))
                since = event.at
        if call.outcome == ToolCall.Outcome.UNKNOWN and not call.resolution:
            yield Unknown(call, since, "run ended")


def explanation(found: Evidence, unknown: Unknown) -> Fault | None:
    """The kill or stall that left a call without an outcome.

    Only a runner or PostgreSQL can; it fell between the call's intent and its answer.
    """
    first = unknown.since
    lines = [
        line
        for line in found.ledger.of(entry_of(unknown.call))
        if line.at >= first and line.kind in ("asked", "answered", "broken off")
    ]
    last = max((line.at for line in lines[:2]), default=first) + _ROUNDING_SECONDS
    for fault in found.faults:
        recovery = _RECOVERY_SECONDS if fault.victim == "postgres" else 0.0
        if fault.victim in SENDERS and fault.covers(first - recovery, last):
            return fault
    return None


def found_out(found: Evidence) -> int:
    """How often a run went on by itself, to look a write up or to send it again."""
    return sum(
        event.payload.get("reason") == DUE
        for kept in found.kept
        for event in kept.events("run.resumed")
    )


def taken_over(found: Evidence) -> list[tuple[str, bool]]:
    """Runs that lost their runner, each with whether one was stalled just then."""
    stalls = [f for f in found.faults if f.means == STOP and f.victim in RUNNERS]
    return [
        (kept.run.uid, any(stall.covers(event.at, event.at) for stall in stalls))
        for kept in found.kept
        for event in kept.events("run.resumed")
        if event.payload.get("reason") == "its runner was lost"
    ]


def _submissions(found: Evidence) -> Iterator[Problem]:
    """Every script that was taken has ended, once."""
    by_name = defaultdict(list)
    for kept in found.kept:
        by_name[kept.name].append(kept)
    known = {made.script.name: made for made in found.submissions}
    for name, made in known.items():
        runs = by_name.pop(name, [])
        uids = [kept.run.uid for kept in runs]
        if len(runs) > 1:
            yield Problem(DUPLICATED, f"{name} became several runs: {uids}", uids[0])
        if made.answered and (not uids or made.run not in ("", *uids)):
            yield Problem(LOST, f"{name} was taken as {made.run}: no such run")
        for kept in runs:
            if not kept.run.ended:
                yield Problem(LOST, f"{name} is {kept.run.status}", kept.run.uid)
            yield from _value(made, kept)
    for name in by_name:
        yield Problem(WRONG, f"nobody submitted {name!r}")


def _value(made: Submission, kept: Kept) -> Iterator[Problem]:
    """A run gives its script's values, unless it was abandoned or claimed too often."""
    run, uid = kept.run, kept.run.uid
    code = (run.error or {}).get("code", "")
    if run.status == Run.Status.SUCCEEDED:
        results = {entry_of(call): call.result for call in kept.calls}
        expected: Any = [results.get(step.entry) for step in made.script.steps]
        if made.script.shape == DIRECT:
            expected = expected[0]
        if run.value != expected:
            yield Problem(WRONG, f"{run.value} is not {expected}", uid)
        missing = [s.entry for s in made.script.steps if s.entry not in results]
        if missing:
            yield Problem(LOST, f"succeeded without {missing}", uid)
    elif code == "abandoned":
        if not any(call.resolution == "abandon" for call in kept.calls):
            yield Problem(WRONG, "nobody abandoned it", uid)
    elif run.ended and not (code == "runner_lost" and run.epoch >= 10):
        yield Problem(WRONG, f"ended as {run.status}: {run.error}", uid)


def _effects(found: Evidence) -> Iterator[Problem]:
    """Every effect has exactly one step, and no entry has more than one effect."""
    steps = Counter(entry_of(call) for kept in found.kept for call in kept.calls)
    runs = {entry_of(c): kept.run.uid for kept in found.kept for c in kept.calls}
    effects = Counter(
        line.entry for line in found.ledger.lines if line.kind == "effect"
    )
    for entry, times in effects.items():
        uid = runs.get(entry, "")
        if steps[entry] != 1:
            yield Problem(LOST, f"{entry} happened; {steps[entry]} steps say so", uid)
        if times > 1:
            yield Problem(DUPLICATED, f"{entry} happened {times} times", uid)


def _run(found: Evidence, kept: Kept) -> Iterator[Problem]:
    uid = kept.run.uid
    for name in ("run.submitted", "run.ended"):
        if len(kept.events(name)) != 1:
            yield Problem(WRONG, f"{len(kept.events(name))} events {name}", uid)
    if kept.facts != 1:
        yield Problem(WRONG, f"{kept.facts} facts for the reports", uid)
    allowed = sorted(call.step for call in kept.calls if call.decision == "allow")
    billed = sorted(step or 0 for step in kept.usage)
    if allowed != billed:
        yield Problem(WRONG, f"billed steps {billed}, called steps {allowed}", uid)
    for call in kept.calls:
        yield from _call(found, kept, call)
        yield from _trail(kept, call)
    for unknown in unknowns(kept):
        step = unknown.call.step
        if unknown.call.effect == "read":
            yield Problem(WRONG, f"step {step} was unknown, and is a read", uid)
        if explanation(found, unknown) is None:
            yield Problem(UNEXPLAINED, f"step {step} was unknown", uid)


def _call(found: Evidence, kept: Kept, call: ToolCall) -> Iterator[Problem]:
    """The outcome of a step is what the ledger says."""
    uid, entry = kept.run.uid, entry_of(call)
    what = f"step {call.step} ({call.tool}, {entry}) is {call.outcome or 'open'}"
    tool = call.tool.partition(".")[2]
    if tool == "look":
        lines = found.ledger.of(entry, "read")
    else:
        lines = found.ledger.effects(entry)
    key = f"{uid}:{call.step}"
    if any(line.tool != tool or line.key not in ("", key) for line in lines):
        yield Problem(WRONG, f"{what}; the ledger has another tool or key", uid)
    if call.outcome == "ok" and call.result not in [line.receipt for line in lines]:
        yield Problem(LOST, f"{what} with {call.result}, which never happened", uid)
    if call.outcome == "tool_error" and not found.ledger.of(entry, "refused"):
        yield Problem(WRONG, f"{what}, but the server did not refuse it", uid)
    if call.outcome not in ("ok", "unknown") and call.effect != "read" and lines:
        yield Problem(LOST, f"{what}, but it happened", uid)
    if call.outcome == "failed" and not _closed(kept, call):
        yield Problem(WRONG, f"{what}: {call.error}", uid)


def _closed(kept: Kept, call: ToolCall) -> bool:
    """Whether the end of the run, not an answer, was what ended the call."""
    return kept.run.status == Run.Status.FAILED and call.position is None


def _trail(kept: Kept, call: ToolCall) -> Iterator[Problem]:
    """Each call has its events: intent or refusal, outcome or a person's word."""
    uid, step = kept.run.uid, call.step
    count = Counter(one.name for one in kept.trail if one.step == step)
    allowed = call.decision == "allow"
    expected = {"call.intended": allowed, "call.refused": not allowed}
    expected["call.ended"] = (
        allowed
        and call.outcome not in _OPEN
        and call.resolution != "happened"
        and not _closed(kept, call)
    )
    for name, times in expected.items():
        if count[name] != times:
            text = f"step {step} has {count[name]} events {name}, not {int(times)}"
            yield Problem(WRONG, text, uid)
    for event in kept.events("call.ended", step):
        if event.payload.get("outcome") != call.outcome:
            yield Problem(WRONG, f"step {step} ended as {event.payload} too", uid)
    verdicts = [
        one.payload.get("verdict") for one in kept.events("call.resolved", step)
    ]
    if call.resolution and call.resolution not in verdicts:
        yield Problem(WRONG, f"step {step} was resolved without an event", uid)
