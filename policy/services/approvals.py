"""Approvals: asked for by a run's step, and used once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from audit.actor import SYSTEM, Actor
from audit.services.record import record
from core.ids import new_id
from core.prepared import prepared_cursor
from policy import events
from policy.models import Approval, ApprovalRoute
from policy.routing import DEFAULT, Route
from policy.services import notify, votes
from policy.services.notify import announce
from policy.services.votes import ApprovalClosed as ApprovalClosed
from policy.services.votes import approval_target

State = Approval.State
# Asked at the end of every run, most of which have no approval.
_WITHDRAW = "UPDATE policy_approval SET state = %s WHERE run = %s AND state = %s"


decide = votes.decide


@dataclass(frozen=True, slots=True)
class Binding:
    """The exact call that an approval is for."""

    run: str
    step: int
    tool: str
    tool_version: int
    arguments_digest: str
    policy_revision: int
    asked: str = ""
    """What asks for it: see policy.routing.digest_of."""


@transaction.atomic
def ask(
    *,
    binding: Binding,
    arguments: Any,
    requester: Actor,
    requesters: list[str],
    because: str,
    at: datetime,
    routes: Sequence[Route] = (DEFAULT,),
) -> Approval:
    """Ask for a decision on one call; asking twice gives the same approval.

    All of ``routes`` have to agree. ``because`` is said where a route does not say why
    itself. The first route to expire ends the whole request.
    """
    reasons = [route.because or because for route in routes]
    seconds = min(
        route.expires_seconds or settings.APPROVAL_SECONDS for route in routes
    )
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
            "asked_because": "; ".join(dict.fromkeys(reasons))[:400],
            "asked_digest": binding.asked,
            "requested_at": at,
            "expires_at": at + timedelta(seconds=seconds),
        },
    )
    if created:
        _open(approval, routes, reasons, at)
        record(
            events.APPROVAL_ASKED,
            actor=requester,
            at=at,
            target=approval_target(approval),
            payload={
                "arguments": arguments,
                "because": approval.asked_because,
                "routes": [
                    {**one.as_dict(), "rule": one.rule, "version": one.rule_version}
                    for one in routes
                ],
            },
            tool=binding.tool,
            run=binding.run,
            step=binding.step,
        )
    return approval


def _open(
    approval: Approval, routes: Sequence[Route], reasons: Sequence[str], at: datetime
) -> None:
    """Write whom it asks, and tell them."""
    ApprovalRoute.objects.bulk_create(
        _route(approval, position, route, reasons[position])
        for position, route in enumerate(routes)
    )
    asked = [route.to for route in routes]
    announce(approval, notify.REQUESTED, audiences=asked, at=at)


def _route(
    approval: Approval, position: int, route: Route, because: str
) -> ApprovalRoute:
    further, after = route.escalate_to, route.escalate_after_seconds
    return ApprovalRoute(
        approval=approval,
        position=position,
        kind=route.to.kind,
        name=route.to.name,
        quorum=route.quorum,
        rule=route.rule[:100],
        rule_version=route.rule_version[:64],
        because=because[:400],
        escalate_at=approval.requested_at + timedelta(seconds=after) if after else None,
        escalate_kind=further.kind if further else "",
        escalate_name=further.name if further else "",
    )


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
        votes.announce_end(approval, notify.EXPIRED, at=at)
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


@transaction.atomic
def escalate_due(*, at: datetime, limit: int = 500) -> int:
    """Ask further people where nobody decided in time; returns on how many routes.

    Safe to run twice: a route is escalated once.
    """
    due = list(
        ApprovalRoute.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(
            escalate_at__lte=at,
            escalated_at=None,
            satisfied_at=None,
            approval__state=State.PENDING,
            approval__expires_at__gt=at,
        )
        .select_related("approval")
        .order_by("pk")[:limit]
    )
    for route in due:
        route.escalated_at = at
        route.save(update_fields=["escalated_at"])
        approval = route.approval
        announce(
            approval,
            notify.ESCALATED,
            audiences=route.audiences[1:],
            at=at,
            about=str(route.position),
        )
        record(
            events.APPROVAL_ESCALATED,
            actor=SYSTEM,
            at=at,
            target=approval_target(approval),
            payload={
                "asked_before": f"{route.kind} {route.name}",
                "audience": f"{route.escalate_kind} {route.escalate_name}",
            },
            tool=approval.tool,
            run=approval.run,
            step=approval.step,
        )
    return len(due)


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
            "The approval was given for another call: tool version, arguments, policy "
            "or the asking rule differ. Run the script again to ask anew."
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
    with prepared_cursor() as cursor:
        cursor.execute(_WITHDRAW, [State.WITHDRAWN, run, State.PENDING])


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
        asked=approval.asked_digest,
    )
