"""Where the time of a run went, as bars between two points in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.models import Run, ToolCall
from gateway.selectors.waiting import Hold

WIDTH = 1000
"""Bars are placed on a scale from 0 to this number."""
_NARROWEST = 3
MOST_CALLS = 200


@dataclass(frozen=True, slots=True)
class Bar:
    """One stretch of time. ``offset`` and ``seconds`` count from the run's queueing.

    ``kind`` is ``queue``, ``run``, ``hold`` or ``call``; ``state`` the call's outcome,
    or ``open`` while it is under way; ``x`` and ``width`` are on the scale of WIDTH.
    """

    kind: str
    label: str
    state: str
    offset: float
    seconds: float
    x: int
    width: int
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """All bars of a run and their common length in seconds."""

    bars: tuple[Bar, ...]
    seconds: float
    left_out: int


def timeline(
    run: Run, calls: Sequence[ToolCall], *, at: datetime, holds: Sequence[Hold] = ()
) -> Timeline:
    """Bars of queue, run, holds and calls, until the run's end or until ``at``."""
    start = run.queued_at
    end = run.finished_at or max(at, start)
    total = max((end - start).total_seconds(), 0.001)
    begun = run.started_at or end
    bars = [_bar("queue", "Queue", "", start, begun, start, total)]
    if run.started_at:
        state = run.status if run.ended else "open"
        bars.append(_bar("run", "Run", state, run.started_at, end, start, total))
    for hold in holds:
        state = "over" if hold.until else "open"
        until = hold.until or end
        bars.append(
            _bar("hold", "Waits for a person", state, hold.since, until, start, total)
        )
    for call in calls[:MOST_CALLS]:
        until = call.outcome_at or (end if not call.outcome else call.intent_at)
        bars.append(
            _bar(
                "call",
                call.tool,
                call.outcome or "open",
                call.intent_at,
                until,
                start,
                total,
                call.step,
            )
        )
    return Timeline(tuple(bars), total, max(0, len(calls) - MOST_CALLS))


def _bar(
    kind: str,
    label: str,
    state: str,
    first: datetime,
    last: datetime,
    start: datetime,
    total: float,
    step: int | None = None,
) -> Bar:
    offset = max(0.0, (first - start).total_seconds())
    seconds = max(0.0, (last - first).total_seconds())
    x = min(round(offset / total * WIDTH), WIDTH - _NARROWEST)
    width = max(_NARROWEST, min(round(seconds / total * WIDTH), WIDTH - x))
    return Bar(kind, label, state, offset, seconds, x, width, step)
