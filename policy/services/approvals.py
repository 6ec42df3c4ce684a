"""Approvals: asked for by a run's step, decided by somebody else, used once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from audit.actor import SYSTEM, Actor, Target
from audit.services.record import ALLOW, DENY, record
from core.errors import Denied, Invalid, NotFound
from core.ids import new_id
from core.models import Revision, revisions
from policy import events
from policy.models import Approval

State = Approval.State


class ApprovalClosed(Invalid):
    """The approval can no longer be decided, or does not hold for this call."""

    code = "approval_closed"
    status = 409


@dataclass(frozen=True, slots=True)
class Binding:
    """The exact call that an approval is for."""

    run: str
    step: int
    tool: str
    tool_version: int
    arguments_digest: str
    policy_revision: int


@transaction.atomic
def ask(
    *,
    binding: Binding,
    arguments: Any,
    requester: Actor,
    requesters: list[str],
    because: str,
    at: datetime,
) -> Approval:
    """Ask for a decision on one call; asking twice gives the same approval."""
    approval, created = Approval.objects.get_or_create(
        run=binding.run,
        step=binding.step,
        defaults={
            "uid": new_id("apr"),
            "tool": binding.tool,
            "tool_version": binding.tool_version,
            "arguments": arguments,
            "arguments_digest": binding.arguments_digest,
            "policy_revision": binding.policy_revision,
            "team": requester.team,
            "environment": requester.environment,
            "requesters": requesters,
            "asked_because": because,
            "requested_at": at,
            "expires_at": at + timedelta(seconds=settings.APPROVAL_SECONDS),
        },
    )
    if created:
        record(
            events.APPROVAL_ASKED,
            actor=requester,
            at=at,
            target=approval_target(approval),
            payload={"arguments": arguments, "because": because},
            tool=binding.tool,
            run=binding.run,
            step=binding.step,
        )
    return approval


def decide(
    *, uid: str, approve: bool, reason: str, actor: Actor, at: datetime
) -> Approval:
    """Approve or reject, once.

    Raises NotFound, Denied for one's own request, ApprovalClosed when it was decided,
    has expired or the policy has changed since; each refusal is on record.
    """
    try:
        return _decide(uid, approve, reason, actor, at)
    except (Denied, ApprovalClosed) as error:
        approval = Approval.objects.get(uid=uid)
        record(
            events.APPROVAL_REFUSED,
            actor=actor,
            at=at,
            target=approval_target(approval),
            decision=DENY,
            reasons=[error.message],
            tool=approval.tool,
            run=approval.run,
            step=approval.step,
        )
        raise


@transaction.atomic
def _decide(
    uid: str, approve: bool, reason: str, actor: Actor, at: datetime
) -> Approval:
    approval = Approval.objects.select_for_update().filter(uid=uid).first()
    if approval is None:
        raise NotFound("There is no such approval.")
    if actor.id in approval.requesters:
        raise Denied("Nobody approves their own request: ask another approver.")
    if approval.state != State.PENDING:
        raise ApprovalClosed(f"This request is {approval.state} already.")
    if approval.expires_at <= at:
        raise ApprovalClosed("This request has expired: run the script again.")
    if approve and approval.policy_revision != revisions().get(Revision.POLICY, 0):
        raise ApprovalClosed(
            "The policy has changed since this was asked: reject it, so that the "
            "agent asks anew under the policy that holds now."
        )
    if not reason.strip():
        raise Invalid("Give a reason: it is what an auditor will read.")
    approval.state = State.APPROVED if approve else State.REJECTED
    approval.decided_at = at
    approval.decided_by, approval.decided_label = actor.id, actor.label
    approval.reason = reason.strip()[:400]
    approval.save()
    record(
        events.APPROVAL_DECIDED,
        actor=actor,
        at=at,
        target=approval_target(approval),
        decision=ALLOW if approve else DENY,
        reasons=[approval.reason],
        payload={"verdict": approval.state},
        tool=approval.tool,
        run=approval.run,
        step=approval.step,
    )
    return approval


@transaction.atomic
def expire_due(*, at: datetime, limit: int = 500) -> list[Approval]:
    """Close every request whose time is up; returns them."""
    due = list(
        Approval.objects.select_for_update(skip_locked=True)
        .filter(state=State.PENDING, expires_at__lte=at)
        .order_by("pk")[:limit]
    )
    for approval in due:
        approval.state, approval.decided_at = State.EXPIRED, at
        approval.save(update_fields=["state", "decided_at"])
        record(
            events.APPROVAL_EXPIRED,
            actor=SYSTEM,
            at=at,
            target=approval_target(approval),
            tool=approval.tool,
            run=approval.run,
            step=approval.step,
        )
    return due


def use(*, approval: Approval, binding: Binding, at: datetime) -> None:
    """Use up an approval in the transaction that records the call's intent.

    Raises ApprovalClosed when it is not for exactly this call.
    """
    held = Approval.objects.select_for_update().get(pk=approval.pk)
    if held.state != State.APPROVED:
        raise ApprovalClosed(f"The approval is {held.state}: it is good for one call.")
    if held.expires_at <= at:
        raise ApprovalClosed("The approval expired before the call could be made.")
    if _binding(held) != binding:
        raise ApprovalClosed(
            "The approval was given for another call: tool version, arguments or "
            "policy differ. Run the script again to ask anew."
        )
    held.state, held.used_at = State.USED, at
    held.save(update_fields=["state", "used_at"])
    record(
        events.APPROVAL_USED,
        actor=SYSTEM,
        at=at,
        target=approval_target(held),
        tool=held.tool,
        run=held.run,
        step=held.step,
    )


def withdraw(*, run: str) -> None:
    """Close what a run that has ended still asks for."""
    Approval.objects.filter(run=run, state=State.PENDING).update(state=State.WITHDRAWN)


def of_step(*, run: str, step: int) -> Approval | None:
    """The approval that a step asked for, if it did."""
    return Approval.objects.filter(run=run, step=step).first()


def _binding(approval: Approval) -> Binding:
    return Binding(
        run=approval.run,
        step=approval.step,
        tool=approval.tool,
        tool_version=approval.tool_version,
        arguments_digest=approval.arguments_digest,
        policy_revision=approval.policy_revision,
    )


def approval_target(approval: Approval) -> Target:
    """The approval as the trail names it."""
    return Target("approval", approval.uid, f"{approval.tool} in {approval.run}")
