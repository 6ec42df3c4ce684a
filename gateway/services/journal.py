"""The journal of a run: an intent before each call, its outcome after.

Two hand-written statements serve the hot path: each is one round trip, guarded by
the run's epoch, so that a worker that lost its lease writes and sends nothing.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from audit.models import Event
from audit.services.record import save
from core.errors import TollgateError
from gateway.models import ToolCall

_INTEND = """
INSERT INTO gateway_toolcall (run_id, step, epoch, tool, tool_version, effect,
  arguments, arguments_digest, decision, reasons, intent_at, outcome,
  result_bytes, result_tokens)
SELECT r.id, %(step)s, r.epoch, %(tool)s, %(version)s, %(effect)s, %(arguments)s,
  %(digest)s, %(decision)s, %(reasons)s, %(at)s, '', 0, 0
FROM gateway_run r
WHERE r.id = %(run)s AND r.epoch = %(epoch)s AND r.status = 'running'
  AND NOT EXISTS (
    SELECT 1 FROM policy_apikey k WHERE k.id = r.key_id_at
    AND (k.revoked_at IS NOT NULL OR k.expires_at <= %(at)s))
RETURNING id
"""


class LeaseLost(TollgateError):
    """The run is no longer this worker's, or its key was revoked: nothing is sent."""

    code = "lease_lost"
    status = 409


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


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended; ``result`` is what the script is given."""

    outcome: str
    at: datetime
    seconds: float
    error: dict[str, Any] | None = None
    result: Any = None
    result_bytes: int = 0
    result_tokens: int = 0


def intend(intent: Intent, *, event: Event) -> int:
    """Write the intent and its event in the running transaction; returns the row's id.

    Raises LeaseLost when the run's epoch has moved on or its key is no longer good.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _INTEND,
            {
                "run": intent.run_id,
                "epoch": intent.epoch,
                "step": intent.step,
                "tool": intent.tool,
                "version": intent.version,
                "effect": intent.effect,
                "arguments": json.dumps(intent.arguments, separators=(",", ":")),
                "digest": intent.digest,
                "decision": intent.decision,
                "reasons": json.dumps(intent.reasons),
                "at": intent.at,
            },
        )
        row = cursor.fetchone()
    if row is None:
        raise LeaseLost(
            "The run is no longer held by this runner, or its key was revoked: the "
            "call was not made."
        )
    save(event)
    return int(row[0])


@transaction.atomic
def settle(call_id: int, ending: Ending, *, event: Event) -> None:
    """Commit the outcome of a call with its event."""
    ToolCall.objects.filter(pk=call_id).update(
        outcome=ending.outcome,
        outcome_at=ending.at,
        seconds=ending.seconds,
        error=ending.error,
        result=ending.result,
        result_bytes=ending.result_bytes,
        result_tokens=ending.result_tokens,
    )
    save(event)
