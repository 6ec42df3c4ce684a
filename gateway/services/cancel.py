"""Cancels runs: at once where nobody executes them, else within two seconds."""

from datetime import datetime

from django.db import transaction

from audit.actor import Actor
from audit.services.record import record
from core.errors import NotFound
from gateway import events
from gateway.models import Run
from gateway.sandbox.api import Usage
from gateway.services import finish
from gateway.services.runs import run_target


@transaction.atomic
def cancel(*, uid: str, actor: Actor, at: datetime) -> Run:
    """Stop a run; one that has ended stays as it is. Raises NotFound."""
    run = Run.objects.select_for_update().filter(uid=uid).first()
    if run is None:
        raise NotFound("There is no such run.")
    if run.ended or run.cancel_requested_at is not None:
        return run
    run.cancel_requested_at = at
    run.save(update_fields=["cancel_requested_at"])
    record(
        events.RUN_CANCELLED, actor=actor, at=at, target=run_target(run), run=run.uid
    )
    if run.status != Run.Status.RUNNING:
        finish.finish(run=run, ending=CANCELLED, definition_tokens=0, at=at)
    return run


CANCELLED = finish.Ending(
    status=Run.Status.CANCELLED,
    value=None,
    stdout="",
    stdout_truncated=False,
    error={
        "code": "cancelled",
        "message": "The run was cancelled.",
        "line": None,
        "retryable": False,
        "suggestions": [],
    },
    usage=Usage(),
)
