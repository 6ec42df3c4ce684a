"""The inbox by routes: who sees what, identical calls at once, history and figures."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from core.clock import now
from gateway.models import Run
from policy.models import Approval, ApprovalVote
from policy.routing import Audience, Route
from policy.services.approvals import escalate_due
from tests.builders.holds import make_approval, make_group, make_held_run, make_route
from tests.builders.identity import Cast
from tests.integration.gateway.pages.conftest import Browse, queries_of

FINANCE = Route(Audience("role", "finance")).asked_by(
    "big-refunds", version="7", because="Refunds above 500 need finance"
)
TWO = Route(Audience("group", "board"), quorum=2)
BUTTON = "Approve this call"


def inbox(client: Client, query: str = "") -> str:
    response = client.get(reverse("approvals") + query)
    assert response.status_code == 200
    return response.content.decode()


def vote(approval: Approval, voter: str = "user:bob") -> None:
    ApprovalVote.objects.create(
        approval=approval, voter=voter, label="Bob Example", approve=True,
        reason="seen by me", routes=[0], at=now(),
    )  # fmt: skip


def test_finance_sees_what_asks_finance_and_why(cast: Cast, browse: Browse) -> None:
    run = make_held_run()
    Run.objects.filter(pk=run.pk).update(cost="1.25")
    asks = make_approval(run, routes=[FINANCE])
    other = make_approval()
    html = inbox(browse(cast.finance))
    assert asks.uid in html
    assert other.uid not in html
    because = "Refunds above 500 need finance"
    parts = ("big-refunds", "version 7", because, "Role finance", "0 of 1", "asks you")
    for text in (*parts, "1.25 USD", BUTTON):
        assert text in html, text
    # An approver of the team may look at it, and is told that it asks others.
    bob = browse(cast.approver)
    assert asks.uid not in inbox(bob)
    page = bob.get(reverse("approval", args=[asks.uid])).content.decode()
    assert "This request asks other people." in page
    assert "Dan Example may." in page
    assert BUTTON not in page


def test_a_vote_takes_it_out_of_ones_own_inbox(cast: Cast, browse: Browse) -> None:
    make_group("board", cast.approver, cast.member, cast.finance)
    approval = make_approval(routes=[TWO])
    bob = browse(cast.approver)
    url = reverse("approval_decide", args=[approval.uid])
    response = bob.post(url, {"verdict": "approve", "reason": "fine"}, follow=True)
    assert "it waits for others to agree too" in response.content.decode()
    assert approval.uid not in inbox(bob)
    assert Run.objects.get(uid=approval.run).status == "awaiting_approval"
    alice = browse(cast.member)
    html = inbox(alice)
    assert "1 of 2" in html
    assert "Bob Example" in html
    alice.post(url, {"verdict": "approve", "reason": "fine"})
    approval.refresh_from_db()
    assert approval.state == "approved"
    assert approval.uid not in inbox(browse(cast.finance))


def test_an_escalated_request_appears_to_the_further_people(
    cast: Cast, browse: Browse
) -> None:
    route = Route(
        Audience("role", "finance"),
        escalate_after_seconds=60,
        escalate_to=Audience("role", "admin"),
    )
    approval = make_approval(routes=[route])
    erin = browse(cast.admin)
    assert approval.uid not in inbox(erin)
    escalate_due(at=now())
    html = inbox(erin)
    assert approval.uid in html
    assert "Role finance or role admin" in html


def test_identical_calls_are_decided_by_one_form(cast: Cast, browse: Browse) -> None:
    same = [make_approval(make_held_run()) for _ in range(3)]
    own = make_approval(make_held_run(), requesters=["user:bob"])
    other = make_approval(arguments_digest="cd" * 32)
    elsewhere = make_approval(make_held_run(environment="dev"))
    bob = browse(cast.approver)
    html = inbox(bob)
    assert "4 identical calls" in html
    assert html.count("<article") == 3
    assert "yours: skipped" in html
    chosen = [one.uid for one in (*same, own)]
    response = bob.post(
        reverse("approvals_decide"),
        {"approval": chosen, "verdict": "approve", "reason": "batch 12"},
        follow=True,
    )
    said = response.content.decode()
    assert "You approved 3 calls" in said
    assert f"{own.uid} was skipped: Nobody approves their own" in said
    states = dict(Approval.objects.values_list("uid", "state"))
    assert [states[one.uid] for one in same] == ["approved"] * 3
    assert [states[one.uid] for one in (own, other, elsewhere)] == ["pending"] * 3
    decided = Event.objects.filter(name="approval.decided")
    assert sorted(decided.values_list("run", flat=True)) == sorted(
        one.run for one in same
    )
    assert Event.objects.filter(name="approval.refused", run=own.run).exists()
    statuses = Run.objects.filter(uid__in=[one.run for one in same])
    assert set(statuses.values_list("status", flat=True)) == {"queued"}


@pytest.mark.parametrize(
    "data",
    [
        {"verdict": "approve", "reason": "x"},
        {"approval": ["apr_none"], "verdict": "approve", "reason": "x"},
        {"approval": ["@"], "verdict": "approve", "reason": " "},
        {"approval": ["@"], "verdict": "perhaps", "reason": "x"},
    ],
)
def test_a_senseless_decision_on_many_decides_nothing(
    cast: Cast, browse: Browse, data: dict[str, Any]
) -> None:
    approval = make_approval()
    if "@" in data.get("approval", ()):
        data = data | {"approval": [approval.uid]}
    response = browse(cast.approver).post(reverse("approvals_decide"), data)
    assert response.status_code == 422
    approval.refresh_from_db()
    assert approval.state == "pending"


@pytest.mark.parametrize(
    "query",
    [
        "&rule=big-refunds",
        "&asks=finance",
        "&asks=role+finance",
        "&person=bob",
        "&person=user:bob",
        "&person=zoe",
        "&period=24h",
    ],
)
def test_each_filter_of_the_history_finds_its_approval(
    cast: Cast, browse: Browse, query: str
) -> None:
    other = make_approval(
        state="rejected", decided_by="user:erin",
        requested_at=now() - timedelta(days=3),
    )  # fmt: skip
    wanted = make_approval(state="used", routes=[FINANCE], requesters=["user:zoe"])
    vote(wanted)
    html = inbox(browse(cast.admin), "?state=all" + query)
    assert wanted.uid in html
    assert other.uid not in html


def test_the_export_has_routes_rules_and_votes(cast: Cast, browse: Browse) -> None:
    approval = make_approval(state="used", routes=[FINANCE])
    vote(approval, "user:dan")
    client = browse(cast.finance)
    response = client.get(reverse("approvals") + "?state=all&export=json")
    row = json.loads(b"".join(response.streaming_content))  # type: ignore[attr-defined]
    assert (row["asks"], row["rules"]) == ("1 of role finance", "big-refunds")
    assert row["votes"] == "user:dan approves (seen by me)"
    assert row["seconds_to_decision"] == 480


def test_figures_are_exact(cast: Cast, browse: Browse) -> None:
    at = now()

    def decided(minutes: float, state: str, *routes: Route) -> None:
        approval = make_approval(
            state=state,
            requested_at=at - timedelta(minutes=minutes),
            decided_at=at,
        )
        approval.routes.all().delete()
        for position, route in enumerate(routes):
            make_route(approval, route, position=position)

    for minutes in (1, 2, 3, 4):
        decided(minutes, "used", FINANCE)
    decided(10, "rejected", FINANCE, TWO)
    decided(50, "expired", TWO)
    make_approval(requested_at=at - timedelta(days=60), state="used")
    response = browse(cast.admin).get(reverse("approval_figures"))
    everything = response.context["all"]
    assert (everything.asked, everything.approved, everything.rejected) == (6, 4, 1)
    assert (everything.expired, everything.open) == (1, 0)
    # Of 1, 2, 3, 4 and 10 minutes; the expired one was decided by nobody.
    assert everything.median == 180
    assert everything.p95 == pytest.approx((4 + 0.8 * 6) * 60)
    assert everything.approved_share == "67 %"
    (_, _, rules), (_, _, asked) = response.context["parts"]
    assert [(one.label, one.asked) for one in rules] == [
        ("big-refunds", 5),
        ("the tool's own mark", 2),
    ]
    assert [(one.label, one.asked, one.median) for one in asked] == [
        ("role finance", 5, 180),
        ("group board", 2, 600),
    ]
    other = browse(cast.finance).get(reverse("approval_figures") + "?asks=board")
    assert other.context["all"].asked == 1


def test_thirty_identical_calls_cost_as_many_queries_as_three(
    cast: Cast, browse: Browse
) -> None:
    make_group("board", cast.approver)
    client = browse(cast.approver)
    paths = (
        reverse("approvals"),
        reverse("approvals") + "?state=all",
        reverse("approval_figures"),
    )
    counts = []
    for start, end in ((0, 3), (3, 30)):
        for number in range(start, end):
            vote(make_approval(routes=[FINANCE, TWO], arguments_digest=f"{number}"))
            make_approval(state="used", routes=[TWO])
            make_approval(make_held_run())
        counts.append([queries_of(client, path) for path in paths])
    assert counts[0] == counts[1]
