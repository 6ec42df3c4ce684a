"""What a campaign prints: a JSON line, a table, and the story of what went wrong."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.soak.compare import (
    DUPLICATED,
    LOST,
    UNEXPLAINED,
    WRONG,
    Evidence,
    Problem,
    explanation,
    found_out,
    taken_over,
    unknowns,
)
from tests.soak.records import Kept, entry_of, seconds

_STORIES = 5


@dataclass(frozen=True, slots=True)
class Given:
    """What a campaign was started with, and what it did besides."""

    seed: int
    seconds: float
    lasted: float
    decided: Mapping[str, int]
    refused: Mapping[str, int]
    unanswered: int


def summary(
    given: Given, found: Evidence, problems: Sequence[Problem]
) -> dict[str, Any]:
    """All figures of a campaign."""
    calls = [call for kept in found.kept for call in kept.calls]
    runs = [kept.run for kept in found.kept]
    unknown = [one for kept in found.kept for one in unknowns(kept)]
    over = taken_over(found)
    bad = Counter(problem.kind for problem in problems)
    return {
        "seed": given.seed,
        "seconds": given.seconds,
        "lasted": round(given.lasted, 1),
        "faults": _sorted(f"{fault.means} {fault.victim}" for fault in found.faults),
        "runs": _sorted(run.status for run in runs),
        "levels": _sorted(
            run.usage.get("isolation", {}).get("level") or run.mode for run in runs
        ),
        "claims": sum(run.epoch for run in runs),
        "submissions_unanswered": given.unanswered,
        "calls": _sorted(call.effect for call in calls if call.decision == "allow"),
        "effects": found.ledger.count("effect"),
        "repeats_without_effect": found.ledger.count("repeat"),
        "lookups": found.ledger.count("lookup"),
        "runs_replayed": sum(run.epoch > 1 for run in runs),
        "steps_replayed": sum(
            call.epoch < kept.run.epoch for kept in found.kept for call in kept.calls
        ),
        "taken_over": len(over),
        "taken_over_from_stalled": sum(stalled for _, stalled in over),
        "unknown": len(unknown),
        "unknown_because_of": _sorted(
            f"{fault.means} {fault.victim}" if fault else "nothing"
            for fault in (explanation(found, one) for one in unknown)
        ),
        "resolved": _sorted(one.how for one in unknown),
        "found_out_without_a_person": found_out(found),
        "decisions": dict(sorted(given.decided.items())),
        "decisions_refused": dict(sorted(given.refused.items())),
        LOST: bad[LOST],
        DUPLICATED: bad[DUPLICATED],
        UNEXPLAINED: bad[UNEXPLAINED],
        WRONG: bad[WRONG],
    }


def _sorted(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def table(figures: Mapping[str, Any]) -> str:
    """The figures, one a line."""
    rows = []
    for name, value in figures.items():
        if isinstance(value, dict):
            total = sum(value.values())
            parts = ", ".join(f"{count} {what}" for what, count in value.items())
            value = f"{total} ({parts})" if parts else "0"
        rows.append(f"  {name.replace('_', ' '):<26} {value}")
    return "\n".join(rows)


def told(found: Evidence, problems: Sequence[Problem]) -> str:
    """The problems, and the whole story of the first runs that have one."""
    lines = [f"{one.kind}: {one.run} {one.text}" for one in problems]
    kept = {one.run.uid: one for one in found.kept}
    uids = list(dict.fromkeys(one.run for one in problems if one.run in kept))
    lines += [_story(found, kept[uid]) for uid in uids[:_STORIES]]
    return "\n".join(lines)


def _story(found: Evidence, kept: Kept) -> str:
    """What happened around a run, in the order of time."""
    run = kept.run
    first = seconds(run.queued_at)
    last = seconds(run.finished_at) or max(fault.at for fault in found.faults)
    told = [(e.at, f"trail   {e.name} step={e.step} {e.payload}") for e in kept.trail]
    keys = {f"{run.uid}:{call.step}" for call in kept.calls}
    entries = {entry_of(call) for call in kept.calls} - {""}
    told += [
        (line.at, f"ledger  {line.kind} {line.tool} {line.entry} {line.key}")
        for line in found.ledger.lines
        if line.entry in entries or line.key in keys
    ]
    for fault in found.faults:
        if fault.covers(first - 5, last):
            told += [(fault.at, f"fault   {fault}"), (fault.until, f"  over  {fault}")]
    told.sort()
    lines = [f"== {run.uid} {kept.name}: {run.status}, epoch {run.epoch}, {run.error}"]
    lines += [
        f"  step {call.step} {call.tool} {entry_of(call)} epoch {call.epoch} "
        f"intent {_clock(seconds(call.intent_at))} -> {call.outcome or 'open'} "
        f"{_clock(seconds(call.outcome_at))} position {call.position} "
        f"{call.resolution} {call.result or call.error or ''}"
        for call in kept.calls
    ]
    lines += [f"  {_clock(at)} {what}" for at, what in told]
    return "\n".join([*lines, run.code])


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f}"[:-3]


def as_line(figures: Mapping[str, Any]) -> str:
    """The figures as one line of JSON."""
    return json.dumps(figures)
