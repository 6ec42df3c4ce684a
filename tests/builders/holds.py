"""What waits for people: approvals, and calls whose outcome nobody knows."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from core.clock import now
from core.ids import new_id
from core.models import Revision, revisions
from gateway.models import Run, ToolCall
from policy.models import Approval, ApprovalRoute, ApproverGroup, User
from policy.routing import DEFAULT, Route, digest_of
from tests.builders.runs import make_call, make_run

REFUND = """from tools import crm

orders = crm.list_orders(since="2026-11-01")
for order in orders[:1]:
    crm.refund(order=order["id"], amount=25)
return len(orders)
"""


def make_held_run(
    *,
    team: str = "sales",
    environment: str = "prod",
    status: str = Run.Status.AWAITING_APPROVAL,
    at: datetime | None = None,
    **fields: Any,
) -> Run:
    """A run that waits for a person since a minute after it began."""
    at = at or now() - timedelta(minutes=10)
    values: dict[str, Any] = {
        "code": REFUND,
        "held_since": at + timedelta(minutes=1),
    } | fields
    return make_run(team=team, environment=environment, status=status, at=at, **values)


def make_approval(
    run: Run | None = None,
    *,
    step: int = 2,
    tool: str = "crm.refund",
    arguments: Mapping[str, Any] | None = None,
    state: str = Approval.State.PENDING,
    requesters: Sequence[str] | None = None,
    minutes_left: float = 600,
    routes: Sequence[Route] = (DEFAULT,),
    **fields: Any,
) -> Approval:
    """What a step of a held run asks for, under the policy that holds now.

    By default it asks the approvers of the run's team, and administrators.
    """
    run = run or make_held_run()
    at = now()
    decided = state not in {Approval.State.PENDING, Approval.State.WITHDRAWN}
    values: dict[str, Any] = {
        "uid": new_id("apr"),
        "run": run.uid,
        "step": step,
        "tool": tool,
        "tool_version": 1,
        "arguments": dict(arguments or {"order": "o-17", "amount": 25}),
        "arguments_digest": "ab" * 32,
        "asked_digest": digest_of(routes),
        "policy_revision": revisions().get(Revision.POLICY, 0),
        "team": run.team,
        "environment": run.environment,
        "requesters": list(requesters or [run.principal]),
        "asked_because": "the catalog marks this tool as needing approval",
        "state": state,
        "requested_at": at - timedelta(minutes=9),
        "expires_at": at + timedelta(minutes=minutes_left),
        "decided_at": at - timedelta(minutes=1) if decided else None,
        "decided_by": "user:bob" if decided else "",
        "decided_label": "Bob Example" if decided else "",
        "reason": "Ticket 4711" if decided else "",
    }
    approval = Approval.objects.create(**(values | fields))
    for position, route in enumerate(routes):
        make_route(approval, route, position=position)
    return approval


def make_route(
    approval: Approval, route: Route, *, position: int = 0, **fields: Any
) -> ApprovalRoute:
    """One demand on an approval; satisfied where that is approved already."""
    after, further = route.escalate_after_seconds, route.escalate_to
    values: dict[str, Any] = {
        "approval": approval,
        "position": position,
        "kind": route.to.kind,
        "name": route.to.name,
        "quorum": route.quorum,
        "rule": route.rule,
        "rule_version": route.rule_version,
        "because": route.because or approval.asked_because,
        "escalate_at": approval.requested_at + timedelta(seconds=after)
        if after
        else None,
        "escalate_kind": further.kind if further else "",
        "escalate_name": further.name if further else "",
        "satisfied_at": approval.decided_at
        if approval.state in {"approved", "used"}
        else None,
    }
    return ApprovalRoute.objects.create(**(values | fields))


def make_group(slug: str = "refund-board", *people: User) -> ApproverGroup:
    """An approver group of these people."""
    group = ApproverGroup.objects.create(
        slug=slug, name=slug.replace("-", " ").capitalize(), created_at=now()
    )
    group.people.set(people)
    return group


def make_unknown(
    run: Run | None = None,
    *,
    sent_minutes_ago: float = 10,
    tool: str = "crm.refund",
    **fields: Any,
) -> ToolCall:
    """A write that was sent and never answered; its run waits."""
    run = run or make_held_run(status=Run.Status.AWAITING_OUTCOME)
    values: dict[str, Any] = {
        "tool": tool,
        "effect": "write",
        "arguments": {"order": "o-17", "amount": 25},
        "outcome": ToolCall.Outcome.UNKNOWN,
        "intent_at": now() - timedelta(minutes=sent_minutes_ago),
        "seconds": None,
    }
    return make_call(run, **(values | fields))
