"""Whom a call asks: roles, groups, quorums, several rules, and escalation."""

from datetime import timedelta
from typing import Any

import pytest

from audit.models import Event
from core.clock import now
from core.errors import Denied
from core.models import Revision, raise_revision
from gateway.catalog import usable_by
from gateway.models import Server, Tool
from gateway.services import catalog, gate, holds
from policy.models import Approval, User
from policy.principal import Principal
from policy.routing import DEFAULT, Audience, Route, digest_of
from policy.services import approvals
from policy.services.approvals import ApprovalClosed, Binding
from tests.builders.holds import make_approval, make_group, make_held_run
from tests.builders.identity import (
    ACTOR,
    Cast,
    actor_of,
    make_user,
)

pytestmark = pytest.mark.django_db
FINANCE = Route(Audience("role", "finance"))
BOARD = Route(Audience("group", "board"))
TWO_OF_BOARD = Route(Audience("group", "board"), quorum=2)


def decide(approval: Approval, user: User, *, approve: bool = True) -> str:
    decided = holds.decide_approval(
        uid=approval.uid,
        approve=approve,
        reason=f"seen by {user.username}",
        actor=actor_of(user),
        at=now(),
    )
    return decided.state


def refusals(approval: Approval) -> list[str]:
    events = Event.objects.filter(name="approval.refused", run=approval.run)
    return list(events.order_by("pk").values_list("actor_id", flat=True))


def test_finance_decides_what_is_routed_to_it_and_nobody_else_does(cast: Cast) -> None:
    approval = make_approval(routes=[FINANCE])
    for user in (cast.approver, cast.admin, cast.member, cast.auditor, cast.outsider):
        with pytest.raises(Denied, match="other people"):
            decide(approval, user)
    assert refusals(approval) == [
        "user:bob",
        "user:erin",
        "user:alice",
        "user:carol",
        "user:mallory",
    ]
    assert decide(approval, cast.finance) == "approved"


def test_the_default_is_for_the_teams_approvers_and_administrators(cast: Cast) -> None:
    theirs = make_user("zoe", (cast.other_team, "approver"))
    for user in (theirs, cast.finance):
        with pytest.raises(Denied):
            decide(make_approval(), user)
    assert decide(make_approval(), cast.approver) == "approved"
    assert decide(make_approval(), cast.admin) == "approved"


def test_a_group_takes_people_of_any_team_while_they_are_in_it(cast: Cast) -> None:
    board = make_group("board", cast.outsider)
    first, second, third = (make_approval(routes=[BOARD]) for _ in range(3))
    assert decide(first, cast.outsider) == "approved"
    board.people.clear()
    with pytest.raises(Denied):
        decide(second, cast.outsider)
    board.people.add(cast.outsider)
    cast.outsider.is_active = False
    cast.outsider.save()
    with pytest.raises(Denied):
        decide(third, cast.outsider)


def test_a_quorum_is_of_distinct_people_and_each_vote_is_on_record(cast: Cast) -> None:
    make_group("board", cast.approver, cast.member, cast.finance)
    approval = make_approval(routes=[TWO_OF_BOARD])
    assert decide(approval, cast.approver) == "pending"
    with pytest.raises(ApprovalClosed, match="voted"):
        decide(approval, cast.approver)
    approval.refresh_from_db()
    assert (approval.decided_by, approval.state) == ("", "pending")
    assert decide(approval, cast.member) == "approved"
    with pytest.raises(ApprovalClosed, match="approved already"):
        decide(approval, cast.finance)
    rows = approval.votes.order_by("pk").values_list("voter", "approve", "reason")
    assert list(rows) == [
        ("user:bob", True, "seen by bob"),
        ("user:alice", True, "seen by alice"),
    ]
    events = Event.objects.filter(run=approval.run, target_kind="approval")
    assert list(events.order_by("pk").values_list("name", "actor_id")) == [
        ("approval.voted", "user:bob"),
        ("approval.refused", "user:bob"),
        ("approval.decided", "user:alice"),
        ("approval.refused", "user:dan"),
    ]


def test_one_rejection_rejects_whatever_was_agreed_before(cast: Cast) -> None:
    make_group("board", cast.approver, cast.member, cast.finance)
    approval = make_approval(routes=[Route(Audience("group", "board"), quorum=3)])
    decide(approval, cast.approver)
    decide(approval, cast.member)
    assert decide(approval, cast.finance, approve=False) == "rejected"
    approval.refresh_from_db()
    assert (approval.decided_by, approval.reason) == ("user:dan", "seen by dan")


def test_all_routes_have_to_agree(cast: Cast) -> None:
    make_group("board", cast.outsider, cast.finance)
    approval = make_approval(routes=[DEFAULT, FINANCE, BOARD])
    assert decide(approval, cast.outsider) == "pending"
    # One person of two audiences counts for both; the default is still open.
    assert decide(approval, cast.finance) == "pending"
    open_routes = approval.routes.filter(satisfied_at=None)
    assert [route.name for route in open_routes] == ["approver"]
    assert decide(approval, cast.approver) == "approved"
    assert [vote.routes for vote in approval.votes.order_by("pk")] == [[2], [1, 2], [0]]


def test_who_has_agreed_enough_waits_for_the_others_and_may_still_reject(
    cast: Cast,
) -> None:
    make_group("board", cast.outsider, cast.member)
    approval = make_approval(routes=[FINANCE, BOARD])
    decide(approval, cast.outsider)
    with pytest.raises(ApprovalClosed, match="waits for others"):
        decide(approval, cast.member)
    assert decide(approval, cast.member, approve=False) == "rejected"


def test_nobody_approves_their_own_by_any_route(cast: Cast) -> None:
    make_group("board", cast.member)
    approval = make_approval(requesters=["user:alice"], routes=[BOARD])
    with pytest.raises(Denied, match="their own"):
        decide(approval, cast.member)
    assert approval.votes.count() == 0


def test_it_escalates_once_and_asks_the_further_people_too(cast: Cast) -> None:
    make_group("board", cast.outsider)
    route = Route(
        Audience("group", "board"),
        escalate_after_seconds=60,
        escalate_to=Audience("role", "admin"),
    )
    approval = make_approval(routes=[route])  # asked nine minutes ago
    young = make_approval(requested_at=now(), routes=[route])
    with pytest.raises(Denied):
        decide(approval, cast.admin)
    assert approvals.escalate_due(at=now()) == 1
    assert approvals.escalate_due(at=now()) == 0
    event = Event.objects.get(name="approval.escalated")
    assert event.run == approval.run
    assert "role admin is asked too" in event.summary
    assert decide(approval, cast.admin) == "approved"
    with pytest.raises(Denied):
        decide(young, cast.admin)


@pytest.mark.parametrize("state", ["approved", "rejected", "expired", "withdrawn"])
def test_what_is_decided_does_not_escalate(cast: Cast, state: str) -> None:
    route = Route(
        Audience("role", "finance"),
        escalate_after_seconds=60,
        escalate_to=Audience("role", "admin"),
    )
    make_approval(state=state, routes=[route])
    make_approval(minutes_left=-1, routes=[route])
    assert approvals.escalate_due(at=now()) == 0


def binding(run: str, *routes: Route, **changed: Any) -> Binding:
    values: dict[str, Any] = {
        "run": run,
        "step": 1,
        "tool": "crm.refund",
        "tool_version": 1,
        "arguments_digest": "ab" * 32,
        "policy_revision": 1,
        "asked": digest_of(routes),
    }
    return Binding(**(values | changed))


def ask(cast: Cast, *routes: Route) -> Approval:
    run = make_held_run()
    return approvals.ask(
        binding=binding(run.uid, *routes, policy_revision=raise_revision("policy")),
        arguments={"amount": 700},
        requester=actor_of(cast.member),
        requesters=["sa:sales/agent"],
        because="the catalog marks it",
        at=now(),
        routes=routes,
    )


BIG = FINANCE.asked_by("big-refunds", version="3", because="Refunds above 500")


def test_what_asked_is_kept_and_on_record(cast: Cast) -> None:
    quick = Route(Audience("group", "board"), quorum=2, expires_seconds=90)
    approval = ask(cast, BIG, quick)
    assert approval.asked_because == "Refunds above 500; the catalog marks it"
    assert approval.expires_at - approval.requested_at == timedelta(seconds=90)
    rows = approval.routes.order_by("position").values_list(
        "kind", "name", "quorum", "rule", "rule_version", "because"
    )
    assert list(rows) == [
        ("role", "finance", 1, "big-refunds", "3", "Refunds above 500"),
        ("group", "board", 2, "", "", "the catalog marks it"),
    ]
    body = Event.objects.get(name="approval.asked").body
    assert '"rule":"big-refunds"' in body


@pytest.mark.parametrize(
    "changed",
    [
        {"arguments_digest": "cd" * 32},
        {"tool_version": 2},
        {"step": 2},
        {"policy_revision": 10**9},
        {"asked": digest_of([])},
        {
            "asked": digest_of(
                [FINANCE.asked_by("big-refunds", version="4", because="")]
            )
        },
        {"asked": digest_of([BIG, FINANCE])},
    ],
)
def test_an_approval_does_not_hold_for_anything_else(
    cast: Cast, changed: dict[str, Any]
) -> None:
    approval = ask(cast, BIG)
    decide(approval, cast.finance)
    asked_for = binding(approval.run, BIG, policy_revision=approval.policy_revision)
    other = Binding(**({f: getattr(asked_for, f) for f in Binding.__slots__} | changed))
    with pytest.raises(ApprovalClosed, match="another call"):
        approvals.use(approval=approval, binding=other, at=now())
    approvals.use(approval=approval, binding=asked_for, at=now())
    with pytest.raises(ApprovalClosed, match="good for one call"):
        approvals.use(approval=approval, binding=asked_for, at=now())


def test_a_change_of_policy_between_two_votes_closes_it(cast: Cast) -> None:
    make_group("board", cast.approver, cast.member)
    approval = make_approval(routes=[TWO_OF_BOARD])
    decide(approval, cast.approver)
    raise_revision(Revision.POLICY)
    with pytest.raises(ApprovalClosed, match="policy"):
        decide(approval, cast.member)
    assert approval.votes.count() == 1


def test_a_tools_own_mark_is_asked_beside_the_rules(
    trivial: Server, agent: Principal
) -> None:
    tool = Tool.objects.get(server=trivial, name="add")
    catalog.set_approval(tool_id=tool.pk, needed=True, actor=ACTOR, at=now())
    marked = usable_by(agent).catalog.tools["trivial.add"]
    asked = gate.demands(marked, [BIG])
    assert [str(one.to) for one in asked] == ["role finance", "role approver"]
    assert [one.because for one in asked] == ["Refunds above 500", gate.BECAUSE]
