"""Who decides on an approval, and what their votes make of it."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from audit.actor import Actor, Target
from audit.registry import EventKind
from audit.services.record import ALLOW, DENY, record
from core.errors import Denied, Invalid, NotFound
from core.models import Revision, revisions
from core.reasons import reason_given
from policy import events
from policy.access import Access, standing_of
from policy.models import Approval, ApprovalRoute, ApprovalVote
from policy.services import notify

State = Approval.State


class ApprovalClosed(Invalid):
    """The approval can no longer be decided, or does not hold for this call."""

    code = "approval_closed"
    status = 409


def decide(
    *, uid: str, approve: bool, reason: str, actor: Actor, at: datetime
) -> Approval:
    """Approve or reject, once for each person.

    A rejection decides at once. An approval counts for every route that has this
    person in it; once all routes have their quorum the request is approved, until then
    it stays pending. Raises NotFound, Denied for one's own request and for who is on
    no route, ApprovalClosed when it was decided, has expired, the policy has changed
    since, or nothing more is asked of this person; each refusal is on record.
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
    # The approval's row is the lock: whoever waits for it sees every vote before.
    approval = Approval.objects.select_for_update().filter(uid=uid).first()
    if approval is None:
        raise NotFound("There is no such approval.")
    routes = list(approval.routes.order_by("position"))
    mine = _routes_of(standing_of(actor), approval, routes)
    _check(approval, mine, approve, actor, at)
    said = reason_given(reason)
    vote = ApprovalVote.objects.create(
        approval=approval,
        voter=actor.id,
        label=actor.label[:200],
        approve=approve,
        reason=said,
        routes=[route.position for route in mine],
        at=at,
    )
    if approve:
        _count(approval, mine, at)
        if not all(route.satisfied_at for route in routes):
            _tell(events.APPROVAL_VOTED, approval, vote, actor, "voted for")
            return approval
    approval.state = State.APPROVED if approve else State.REJECTED
    approval.decided_at = at
    approval.decided_by, approval.decided_label = actor.id, vote.label
    approval.reason = vote.reason
    approval.save()
    announce_end(approval, notify.DECIDED, at=at)
    _tell(events.APPROVAL_DECIDED, approval, vote, actor, approval.state)
    return approval


def _check(
    approval: Approval,
    mine: Sequence[ApprovalRoute],
    approve: bool,
    actor: Actor,
    at: datetime,
) -> None:
    if actor.id in approval.requesters:
        raise Denied("Nobody approves their own request: ask another approver.")
    if not mine:
        raise Denied(
            "This request is not for you to decide: its routes name other people."
        )
    if approval.state != State.PENDING:
        raise ApprovalClosed(f"This request is {approval.state} already.")
    if approval.expires_at <= at:
        raise ApprovalClosed("This request has expired: run the script again.")
    if approve and approval.policy_revision != revisions().get(Revision.POLICY, 0):
        raise ApprovalClosed(
            "The policy has changed since this was asked: reject it, so that the "
            "agent asks anew under the policy that holds now."
        )
    if approval.votes.filter(voter=actor.id).exists():
        raise ApprovalClosed(
            "You have voted on this request already: somebody else has to agree too."
        )
    if approve and all(route.satisfied_at for route in mine):
        raise ApprovalClosed(
            "Enough of you have agreed: the request waits for others now."
        )


def _routes_of(
    standing: Access, approval: Approval, routes: Sequence[ApprovalRoute]
) -> list[ApprovalRoute]:
    return [
        route
        for route in routes
        if any(
            standing.belongs_to(audience, team=approval.team)
            for audience in route.audiences
        )
    ]


def _count(approval: Approval, mine: Sequence[ApprovalRoute], at: datetime) -> None:
    """Mark the routes that have their quorum with the vote just cast."""
    cast = ApprovalVote.objects.filter(approval=approval, approve=True)
    counted = [position for vote in cast for position in vote.routes]
    for route in mine:
        if route.satisfied_at is None and counted.count(route.position) >= route.quorum:
            route.satisfied_at = at
            route.save(update_fields=["satisfied_at"])


def _tell(
    event: EventKind,
    approval: Approval,
    vote: ApprovalVote,
    actor: Actor,
    verdict: str,
) -> None:
    record(
        event,
        actor=actor,
        at=vote.at,
        target=approval_target(approval),
        decision=ALLOW if vote.approve else DENY,
        reasons=[vote.reason],
        payload={"verdict": verdict, "routes": vote.routes},
        tool=approval.tool,
        run=approval.run,
        step=approval.step,
    )


def announce_end(approval: Approval, event: str, *, at: datetime) -> None:
    """Tell everybody who was asked that there is nothing left to decide."""
    asked = [audience for one in approval.routes.all() for audience in one.audiences]
    notify.announce(approval, event, audiences=asked, at=at)


def approval_target(approval: Approval) -> Target:
    """The approval as the trail names it."""
    return Target("approval", approval.uid, f"{approval.tool} in {approval.run}")
