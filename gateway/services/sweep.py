"""Finds runs that nobody works on any more, so that none stays open for ever."""

from datetime import datetime, timedelta
from typing import Any

from core.jobs import enqueue
from gateway import completions
from gateway.models import Run
from gateway.sandbox.api import Usage
from gateway.services import finish

_QUEUED_TOO_LONG = timedelta(seconds=15)


def sweep(*, at: datetime, limit: int = 500) -> tuple[int, int]:
    """End runs whose runner is gone; queue again those whose message was lost.

    Returns how many of each. Queueing twice is harmless: a run is claimed once.
    """
    lost = Run.objects.filter(status=Run.Status.RUNNING, lease_until__lt=at)
    ended = sum(_end(run, at) for run in lost.order_by("pk")[:limit])
    waiting = Run.objects.filter(status=Run.Status.QUEUED)
    cancelled = waiting.exclude(cancel_requested_at=None)
    ended += sum(_end(run, at) for run in cancelled.order_by("pk")[:limit])
    # A run that waits behind others still has its message in the queue; only where
    # the queue is empty has the message of a waiting run been lost.
    forgotten = waiting.filter(
        queued_at__lt=at - _QUEUED_TOO_LONG, cancel_requested_at=None
    )
    uids: list[str] = []
    if completions.waiting("runs") == 0:
        uids = list(forgotten.order_by("pk").values_list("uid", flat=True)[:limit])
    for uid in uids:
        enqueue("gateway.execute_run", queue="runs", run=uid)
    return ended, len(uids)


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
