"""The journal of a run: an intent before each call, its outcome after.

Two hand-written statements serve the hot path: each is one round trip, guarded by
the run's epoch, so that a worker that lost its lease writes and sends nothing.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from audit.models import Event
from core.errors import TollgateError
from gateway.models import Run, ToolCall
from gateway.services.leases import LeaseLost
from gateway.services.recorded import send, write

_INTEND = """
WITH held AS MATERIALIZED (
  SELECT r.id, r.epoch,
    set_config('synchronous_commit', %(commit)s, true) AS durability
  FROM gateway_run r
  WHERE r.id = %(run)s AND r.epoch = %(epoch)s AND r.status = 'running'
    AND NOT EXISTS (
      SELECT 1 FROM policy_apikey k WHERE k.id = r.key_id_at
      AND (k.revoked_at IS NOT NULL OR k.expires_at <= %(at)s))
), event AS ({event})
INSERT INTO gateway_toolcall (run_id, step, epoch, tool, tool_version, effect,
  arguments, arguments_digest, decision, reasons, intent_at, outcome, outcome_at,
  position, resolution, resolved_by, resolved_because, seconds, error, result_bytes,
  result_tokens, policy_version, rules)
SELECT held.id, %(step)s, held.epoch, %(tool)s, %(version)s::integer, %(effect)s,
  %(arguments)s, %(digest)s, %(decision)s, %(reasons)s::jsonb, %(at)s, %(outcome)s,
  %(outcome_at)s::timestamptz, %(position)s::integer, '', '', '',
  %(seconds)s::float8, %(error)s::text, 0, 0,
  %(policy_version)s::integer, %(rules)s::jsonb
FROM held RETURNING id
"""
_SETTLE = """
WITH ended AS (
  UPDATE gateway_toolcall SET outcome = %(outcome)s, outcome_at = %(at)s,
    position = %(position)s, seconds = %(seconds)s, error = %(error)s,
    result = %(result)s, rules = COALESCE(%(rules)s::jsonb, rules),
    result_bytes = %(bytes)s, result_tokens = %(tokens)s
  WHERE id = %(call)s AND outcome = '' AND epoch = %(epoch)s RETURNING id
) {event} RETURNING id
"""


class KeyRevoked(TollgateError):
    """The key the run was submitted with is no longer good: nothing is sent."""

    code = "key_revoked"
    status = 401


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be done, ready to be committed."""

    run_id: int
    epoch: int
    step: int
    tool: str
    version: int | None
    effect: str
    arguments: Any
    digest: str
    decision: str
    reasons: tuple[str, ...]
    at: datetime
    policy_version: int = 0
    rules: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended; ``result`` is what the script is given."""

    outcome: str
    at: datetime
    seconds: float
    position: int
    error: dict[str, Any] | None = None
    result: Any = None
    result_bytes: int = 0
    result_tokens: int = 0
    rules: dict[str, Any] | None = None


def intend(
    intent: Intent, *, event: Event, durable: bool, refusal: Ending | None = None
) -> int:
    """Write the intent and its event, in one statement; returns the row's id.

    ``durable`` waits for the disk. With ``refusal`` the call is over at once.
    Raises LeaseLost when the run's epoch has moved on or its key is no longer good.
    """
    row = write(_INTEND, event, "held", _values(intent, durable, refusal))
    if row is None:
        raise _not_held(intent.run_id, intent.epoch)
    return int(row[0])


class Begun:
    """An intent that is being written; this thread's connection is busy with it."""

    def __init__(self, intent: Intent, *, event: Event) -> None:
        """Send it to the database: what happens to this process changes nothing."""
        self._intent = intent
        self._sent = send(_INTEND, event, "held", _values(intent, False, None))

    def ended(self) -> int:
        """What ``intend`` returns and raises."""
        row = self._sent.first_row()
        if row is None:
            raise _not_held(self._intent.run_id, self._intent.epoch)
        return int(row[0])


def _values(intent: Intent, durable: bool, refusal: Ending | None) -> dict[str, Any]:
    return {
        "commit": "on" if durable else "off",
        "run": intent.run_id,
        "epoch": intent.epoch,
        "step": intent.step,
        "tool": intent.tool,
        "version": intent.version,
        "effect": intent.effect,
        "arguments": _json(intent.arguments),
        "digest": intent.digest,
        "decision": intent.decision,
        "reasons": _json(intent.reasons),
        "at": intent.at,
        "policy_version": intent.policy_version,
        "rules": _json(intent.rules) if intent.rules else None,
        "outcome": refusal.outcome if refusal else "",
        "outcome_at": refusal.at if refusal else None,
        "position": refusal.position if refusal else None,
        "seconds": refusal.seconds if refusal else None,
        "error": _json(refusal.error) if refusal else None,
    }


def _not_held(run_id: int, epoch: int) -> TollgateError:
    if _held(run_id, epoch).exists():
        return KeyRevoked(
            "The key of this run was revoked or has expired: the call was not made."
        )
    return LeaseLost("The run is no longer held by this runner: nothing was sent.")


def _held(run_id: int, epoch: int) -> QuerySet[Run]:
    return Run.objects.filter(pk=run_id, epoch=epoch, status=Run.Status.RUNNING)


@transaction.atomic
def take_over(call_id: int, *, run_id: int, epoch: int, at: datetime) -> None:
    """Make an open intent of an earlier claim this claim's. Raises LeaseLost.

    It counts as intended ``at``: from then on it may be under way anew.
    """
    if not _held(run_id, epoch).select_for_update().exists():
        raise _not_held(run_id, epoch)
    ToolCall.objects.filter(pk=call_id, outcome="").update(
        epoch=epoch, resolution="", intent_at=at
    )


@transaction.atomic
def lose(call_id: int, *, run_id: int, epoch: int, at: datetime) -> None:
    """Say that nobody knows whether a write happened. Raises LeaseLost."""
    if not _held(run_id, epoch).select_for_update().exists():
        raise _not_held(run_id, epoch)
    ToolCall.objects.filter(pk=call_id, outcome="").update(
        outcome=ToolCall.Outcome.UNKNOWN, outcome_at=at
    )


def settle(call_id: int, ending: Ending, *, epoch: int, event: Event) -> None:
    """Commit the outcome of a call with its event, in one statement.

    Raises LeaseLost when the call was given an outcome already, as by the sweeper.
    """
    values = {
        "call": call_id,
        "epoch": epoch,
        "position": ending.position,
        "outcome": ending.outcome,
        "at": ending.at,
        "seconds": ending.seconds,
        "error": None if ending.error is None else _json(ending.error),
        "result": None if ending.result is None else _json(ending.result),
        "rules": _json(ending.rules) if ending.rules else None,
        "bytes": ending.result_bytes,
        "tokens": ending.result_tokens,
    }
    if write(_SETTLE, event, "ended", values) is None:
        raise LeaseLost("The run was ended while the call was under way.")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
