"""Finds runs that nobody works on any more, so that none stays open for ever."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q

from core.jobs import enqueue
from gateway import completions
from gateway.models import Run, ToolCall
from gateway.sandbox.api import Usage
from gateway.services import finish, holds, lookup
from gateway.services.leases import MOST_CLAIMS as MOST_CLAIMS
from policy.models import Approval
from policy.services.approvals import expire_due

_QUEUED_TOO_LONG = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many runs were queued for replay, ended, and sent again."""

    replayed: int
    ended: int
    sent_again: int


def sweep(*, at: datetime, limit: int = 500) -> Swept:
    """Put every run that nobody works on back on its way, or end it.

    A run whose runner is gone is queued again and replayed from its journal; one that
    was claimed too often ends. A message that was lost is sent again: queueing twice
    is harmless, since a run is claimed once.
    """
    lost = Run.objects.filter(status=Run.Status.RUNNING, lease_until__lt=at)
    replayed = ended = 0
    for run in lost.order_by("pk")[:limit]:
        if run.cancel_requested_at is None and run.epoch < MOST_CLAIMS:
            replayed += holds.requeue(run, at=at)
        else:
            ended += _end(run, at)
    for approval in expire_due(at=at, limit=limit):
        holds.wake(run=approval.run, because="the approval expired", at=at)
    _wake_decided(at, limit)
    for uid in lookup.due(at=at).order_by("pk").values_list("uid", flat=True)[:limit]:
        holds.wake(run=uid, because=lookup.DUE, at=at)
    return Swept(replayed, ended, _resend(at, limit))


def _wake_decided(at: datetime, limit: int) -> None:
    # Whoever decided may have died before the run could be woken, and a run that
    # there was no room for goes on when another has ended.
    asked = Approval.objects.filter(run=OuterRef("uid"), state=Approval.State.PENDING)
    waiting = Run.objects.filter(status=Run.Status.AWAITING_APPROVAL)
    decided = waiting.exclude(Exists(asked)).order_by("pk")
    for uid in decided.values_list("uid", flat=True)[:limit]:
        holds.wake(run=uid, because="it was decided before", at=at)
    # An open call that nobody was asked about is looked up, when its time has come.
    unknown = ToolCall.objects.filter(
        Q(outcome=ToolCall.Outcome.UNKNOWN) | Q(outcome="", resolution=""),
        run=OuterRef("pk"),
    )
    waiting = Run.objects.filter(status=Run.Status.AWAITING_OUTCOME)
    resolved = waiting.exclude(Exists(unknown)).order_by("pk")
    for uid in resolved.values_list("uid", flat=True)[:limit]:
        holds.wake(run=uid, because="it was resolved before", at=at)


def _resend(at: datetime, limit: int) -> int:
    # A run that waits behind others still has its message in the queue; only where
    # the queue is empty has the message of a waiting run been lost.
    if completions.waiting("runs") != 0:
        return 0
    forgotten = Run.objects.filter(
        status=Run.Status.QUEUED, queued_at__lt=at - _QUEUED_TOO_LONG
    )
    uids = list(forgotten.order_by("pk").values_list("uid", flat=True)[:limit])
    for uid in uids:
        enqueue("gateway.execute_run", queue="runs", swept=True, run=uid)
    return len(uids)


def _end(run: Run, at: datetime) -> bool:
    cancelled = run.cancel_requested_at is not None
    error: dict[str, Any] = {
        "code": "cancelled" if cancelled else "runner_lost",
        "message": "The run was cancelled."
        if cancelled
        else "The runner that held this run went away. Calls whose outcome is unknown "
        "are marked; look at them before running the script again.",
        "line": None,
        "retryable": not cancelled
        and not run.calls.filter(outcome="", effect="write").exists(),
        "suggestions": [],
    }
    ending = finish.Ending(
        status=Run.Status.CANCELLED if cancelled else Run.Status.FAILED,
        value=None,
        stdout="",
        stdout_truncated=False,
        error=error,
        usage=Usage(),
    )
    return finish.finish(run=run, ending=ending, definition_tokens=0, at=at)
