"""The journal of a run as its page shows it: each step, and in which claim."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.text import Truncator

from gateway.highlight import visible
from gateway.models import Run, ToolCall
from gateway.selectors.runs import shown_json
from policy.models import Approval

CALLED, REPLAYED, RECORDED, RESOLVED = "called", "replayed", "on record", "resolved"


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A call with its texts made safe to read: nothing hidden or reordered.

    ``last`` says what the last claim of the run did with the step: it called it, or
    answered it from the journal (replayed), or had not got there for certain (on
    record). It is empty while the run was claimed once.
    """

    call: ToolCall
    preview: str
    arguments: str
    error: str
    last: str


def journal_rows(run: Run, calls: Sequence[ToolCall]) -> list[JournalRow]:
    """What the journal shows of a run's calls; scripts choose all of their texts."""
    newest = max((call.step for call in calls if call.epoch == run.epoch), default=0)
    return [_row(run, call, newest) for call in calls]


def _row(run: Run, call: ToolCall, newest: int) -> JournalRow:
    compact = json.dumps(call.arguments, ensure_ascii=False, default=str)
    error = call.error or {}
    words = f"{error.get('code', '')}: {error.get('message', '')}" if error else ""
    return JournalRow(
        call,
        preview=Truncator(visible(compact)).chars(60),
        arguments=shown_json(call.arguments),
        error=Truncator(visible(words)).chars(240),
        last=_last(run, call, newest) if run.epoch > 1 else "",
    )


def _last(run: Run, call: ToolCall, newest: int) -> str:
    if call.epoch == run.epoch:
        return CALLED
    if call.outcome in {"", ToolCall.Outcome.UNKNOWN}:
        return RECORDED
    # Steps are numbered in the order in which the script makes them, so that a later
    # one called in this claim says that this one was passed.
    passed = run.status == Run.Status.SUCCEEDED or call.step < newest
    return REPLAYED if passed else RECORDED


def direct_arguments(
    run: Run, calls: Sequence[ToolCall], asked: Sequence[Approval]
) -> Any:
    """A direct call's arguments without what rules hide; None until that is known.

    Until the run ends its own row holds them as they were sent.
    """
    if run.ended:
        return run.direct_arguments
    known = [*(call.arguments for call in calls), *(one.arguments for one in asked)]
    return known[0] if known else None
