"""Runs that wait for a person: suspended without a process, resumed by a decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from audit.actor import SYSTEM, Actor
from audit.services.record import record
from core.errors import Denied, Invalid, NotFound
from core.jobs import enqueue
from core.reasons import reason_given
from finops.services import budgets
from finops.services.metering import book
from gateway import completions, events
from gateway.models import Run, Task, ToolCall
from gateway.sandbox.api import Usage
from gateway.selectors.outcomes import safe_from as safe_from
from gateway.services import finish
from gateway.services.reservations import payer_of
from gateway.services.runs import principal_of, run_target
from policy.models import Approval
from policy.services import approvals, quotas

Resolution = ToolCall.Resolution
MOST_AT_ONCE = 100


def suspend(run: Run, waiting: str, *, usage: Usage, at: datetime) -> bool:
    """Let a run wait for a person; it goes on at once if that has decided already.

    False when the run is no longer held at ``run.epoch``.
    """
    if not _suspend(run, waiting, usage, at):
        return False
    completions.announce(run.uid)
    return True


@transaction.atomic
def _suspend(run: Run, waiting: str, usage: Usage, at: datetime) -> bool:
    held = Run.objects.filter(pk=run.pk, epoch=run.epoch, status=Run.Status.RUNNING)
    if not held.update(status=waiting, held_since=at, lease_until=None):
        return False
    task = Task.objects.values_list("uid", flat=True).get(pk=run.task_id)
    booked = book(
        payer=payer_of(run, task),
        usages=finish.sandbox_usages(run, usage),
        at=at,
    )
    cost = (run.cost or 0) + booked.added
    Run.objects.filter(pk=run.pk).update(cost=cost, currency=booked.currency)
    quotas.park(holder=run.uid, cpu_seconds=usage.cpu_seconds)
    budgets.spend(holder=run.uid, cost=booked.added, at=at)
    record(
        events.RUN_HELD,
        actor=principal_of(run).actor,
        at=at,
        target=run_target(run),
        run=run.uid,
        payload={"status": waiting},
    )
    asked = Approval.objects.filter(run=run.uid)
    undecided = asked.filter(state=Approval.State.PENDING).exists()
    if waiting == Run.Status.AWAITING_APPROVAL and not undecided:
        _wake(run.uid, "it was decided already", at)
    return True


def requeue(run: Run, *, at: datetime) -> bool:
    """Queue a run whose lease has lapsed to be replayed from its journal."""
    with transaction.atomic():
        moved = Run.objects.filter(
            pk=run.pk, epoch=run.epoch, status=Run.Status.RUNNING, lease_until__lt=at
        ).update(status=Run.Status.QUEUED, lease_until=None)
        if moved:
            _goes_on(run.uid, "its runner was lost", at)
    return bool(moved)


@transaction.atomic
def wake(*, run: str, because: str, at: datetime) -> bool:
    """Queue a run that waits for a person; False when it does not wait."""
    return _wake(run, because, at)


def _wake(uid: str, because: str, at: datetime) -> bool:
    run = Run.objects.select_for_update().filter(uid=uid).first()
    if run is None or run.status not in Run.WAITING:
        return False
    if run.calls.filter(outcome=ToolCall.Outcome.UNKNOWN).exists():
        # Another step of the same run still waits to be resolved.
        Run.objects.filter(pk=run.pk).update(status=Run.Status.AWAITING_OUTCOME)
        return False
    if not quotas.resume(holder=uid):
        # As many runs as may go on at once do: the sweeper tries again.
        return False
    Run.objects.filter(pk=run.pk).update(status=Run.Status.QUEUED)
    _goes_on(uid, because, at)
    return True


def _goes_on(uid: str, because: str, at: datetime) -> None:
    run = Run.objects.get(uid=uid)
    record(
        events.RUN_RESUMED,
        actor=SYSTEM,
        at=at,
        target=run_target(run),
        run=uid,
        payload={"reason": because},
    )
    enqueue("gateway.execute_run", queue="runs", swept=True, run=uid)


def decide_approval(
    *, uid: str, approve: bool, reason: str, actor: Actor, at: datetime
) -> Approval:
    """Decide on an approval and let its run go on. Raises what ``decide`` raises.

    It stays pending, and the run held, while more people have to agree.
    """
    approval = approvals.decide(
        uid=uid, approve=approve, reason=reason, actor=actor, at=at
    )
    if approval.state == Approval.State.PENDING:
        return approval
    wake(run=approval.run, because=f"the call was {approval.state}", at=at)
    return approval


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of one of several requests; ``error`` says why it was skipped."""

    uid: str
    approval: Approval | None
    error: str = ""


def decide_all(
    *, uids: Sequence[str], approve: bool, reason: str, actor: Actor, at: datetime
) -> list[Decided]:
    """Decide on several requests, each by itself and each on record.

    One that cannot be decided is skipped and said; the others go on. Raises Invalid
    for no reason, none or too many requests.
    """
    reason_given(reason)
    wanted = list(dict.fromkeys(uids))
    if not 0 < len(wanted) <= MOST_AT_ONCE:
        raise Invalid(f"Choose from 1 to {MOST_AT_ONCE} requests.")
    found = []
    for uid in wanted:
        try:
            approval = decide_approval(
                uid=uid, approve=approve, reason=reason, actor=actor, at=at
            )
        except (Denied, Invalid, NotFound) as error:
            found.append(Decided(uid, None, error.message))
        else:
            found.append(Decided(uid, approval))
    return found


@transaction.atomic
def resolve(
    *,
    call_id: int,
    resolution: str,
    reason: str,
    actor: Actor,
    at: datetime,
    value: Any = None,
) -> ToolCall:
    """Say what became of a write that nobody saw the end of, and let its run go on.

    ``happened`` gives ``value`` to the script, ``did_not`` makes the call again,
    ``abandon`` ends the run. Raises NotFound, Invalid.
    """
    # The run's row is the lock: whoever waits for it reads the call as it is then.
    run = Run.objects.select_for_update().filter(
        pk__in=ToolCall.objects.filter(pk=call_id).values("run")
    )
    call = next((row.calls.get(pk=call_id) for row in run), None)
    if call is None:
        raise NotFound("There is no such call.")
    if call.outcome != ToolCall.Outcome.UNKNOWN or call.run.ended:
        raise Invalid("This call's outcome is known already, or its run has ended.")
    if call.run.status not in Run.WAITING:
        # A run that is just about to wait would never be woken again.
        raise Invalid("The run has not come to rest yet: decide in a moment.")
    if resolution not in Resolution.values:
        raise Invalid("Say whether it happened, did not, or abandon the run.")
    reason_given(reason)
    if at < safe_from(call):
        raise Invalid(
            "The call may still be under way: decide after "
            f"{safe_from(call):%H:%M:%S} UTC."
        )
    call.resolution = resolution
    call.resolved_by, call.resolved_because = actor.id, reason.strip()[:400]
    _apply(call, resolution, value, at)
    record(
        events.OUTCOME_RESOLVED,
        actor=actor,
        at=at,
        target=run_target(call.run),
        tool=call.tool,
        run=call.run.uid,
        step=call.step,
        payload={"verdict": resolution, "reason": reason.strip(), "value": value},
    )
    if resolution == Resolution.ABANDON:
        finish.finish(run=call.run, ending=_abandoned(call), definition_tokens=0, at=at)
    else:
        _wake(call.run.uid, f"{actor.label} resolved step {call.step}", at)
    return call


def _apply(call: ToolCall, resolution: str, value: Any, at: datetime) -> None:
    if resolution == Resolution.HAPPENED:
        call.outcome, call.result, call.outcome_at = ToolCall.Outcome.OK, value, at
        # It is the next reply that the script is given, in every replay from now on.
        last = call.run.calls.aggregate(last=Max("position"))["last"]
        call.position = (last or 0) + 1
    elif resolution == Resolution.DID_NOT:
        call.outcome, call.outcome_at = "", None
    call.save()


def _abandoned(call: ToolCall) -> finish.Ending:
    return finish.Ending(
        status=Run.Status.FAILED,
        value=None,
        stdout="",
        stdout_truncated=False,
        error={
            "code": "abandoned",
            "message": f"The run was abandoned: nobody knows whether step {call.step} "
            f"({call.tool}) happened.",
            "line": None,
            "retryable": False,
            "suggestions": [],
        },
        usage=Usage(),
    )
