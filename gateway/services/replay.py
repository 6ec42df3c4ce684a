"""Gives a run that starts again what it was given before, in the same order."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.errors import TollgateError
from gateway.models import ToolCall
from gateway.sandbox.api import Call, CallError, Reply

_ANSWERED = set(ToolCall.Outcome.values) - {ToolCall.Outcome.UNKNOWN}


class Nondeterministic(TollgateError):
    """The script did not do what it did before: nothing more is called."""

    code = "nondeterministic"
    status = 409


@dataclass(slots=True)
class Replay:
    """The journal of earlier claims of a run.

    Replies are numbered in two ways: ``position`` as the journal keeps it, ``turn`` as
    the sandbox is to be given them in this execution, without gaps.
    """

    calls: dict[int, ToolCall]
    turns: dict[int, int]
    position: int
    asked: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    turn: int = 0

    @classmethod
    def of(cls, calls: Iterable[ToolCall]) -> "Replay":
        """From a run's journal, in any order."""
        known = {call.step: call for call in calls}
        ended = sorted(
            (call for call in known.values() if call.outcome in _ANSWERED),
            # Older rows have no position where a person decided: they come last.
            key=lambda call: (call.position is None, call.position or 0, call.step),
        )
        turns = {call.step: turn for turn, call in enumerate(ended, 1)}
        last = max((call.position or 0 for call in ended), default=0)
        return cls(known, turns, last, turn=len(ended))

    def recorded(self, call: Call, digest: str) -> ToolCall | None:
        """What the journal holds of this step. Raises Nondeterministic."""
        with self.lock:
            self.asked.add(call.step)
        known = self.calls.get(call.step)
        if known is None:
            return None
        if (known.tool, known.arguments_digest) != (call.tool[:200], digest):
            raise Nondeterministic(
                f"Step {call.step} was {known.tool} when the run was first executed "
                f"and is {call.tool[:200]}"
                f"{' with other arguments' if known.tool == call.tool else ''} now. "
                "Sets of objects, id() and hash() differ between executions: do not "
                "let calls depend on them."
            )
        return known

    def next(self) -> tuple[int, int]:
        """Position and turn of a reply that is given for the first time."""
        with self.lock:
            self.position += 1
            self.turn += 1
            return self.position, self.turn

    def reply(self, known: ToolCall) -> Reply:
        """The reply that was given before."""
        turn = self.turns[known.step]
        if known.error is None:
            return Reply(value=known.result, turn=turn)
        error = CallError(
            known.error["code"],
            known.error["message"],
            retryable=known.error.get("retryable", False),
            details=known.error.get("details", {}),
        )
        return Reply(error=error, turn=turn)

    def check_complete(self) -> None:
        """Raise Nondeterministic when a recorded step was not made again."""
        missing = sorted(self.calls.keys() - self.asked)
        if missing:
            raise Nondeterministic(
                f"Step {missing[0]} ({self.calls[missing[0]].tool}) was made when the "
                "run was first executed and is missing now."
            )
