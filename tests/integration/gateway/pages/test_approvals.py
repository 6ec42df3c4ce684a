"""The inbox of approvals, their history, and decisions made on the pages."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from gateway.models import Run
from policy.models import Approval
from tests.builders.holds import REFUND, make_approval, make_held_run
from tests.builders.identity import Cast, make_team, make_user
from tests.integration.gateway.pages.conftest import Browse, queries_of

BUTTON = "Approve this call"


def inbox(client: Client, query: str = "") -> str:
    response = client.get(reverse("approvals") + query)
    assert response.status_code == 200
    return response.content.decode()


def detail(client: Client, approval: Approval) -> str:
    response = client.get(reverse("approval", args=[approval.uid]))
    assert response.status_code == 200
    return response.content.decode()


def decide(
    client: Client, approval: Approval, verdict: str = "approve", reason: str = "4711"
) -> Any:
    url = reverse("approval_decide", args=[approval.uid])
    return client.post(url, {"verdict": verdict, "reason": reason})


def test_approvers_see_their_teams_and_admins_see_all(
    cast: Cast, browse: Browse
) -> None:
    ours = make_approval(make_held_run(team="sales"))
    theirs = make_approval(make_held_run(team="support"))
    for user, seen in ((cast.approver, [True, False]), (cast.admin, [True, True])):
        html = inbox(browse(user))
        assert [ours.uid in html, theirs.uid in html] == seen
    hidden = browse(cast.approver).get(reverse("approval", args=[theirs.uid]))
    assert hidden.status_code == 404
    assert decide(browse(cast.approver), theirs).status_code == 404
    theirs.refresh_from_db()
    assert theirs.state == "pending"


def test_the_exact_call_is_shown_with_its_place_in_the_script(
    cast: Cast, browse: Browse
) -> None:
    run = make_held_run(code=REFUND)
    approval = make_approval(
        run, arguments={"note": "<script>alert(1)</script>\u202e", "amount": 25}
    )
    for html in (inbox(browse(cast.approver)), detail(browse(cast.approver), approval)):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in html
        assert "<script>alert" not in html
        assert '<span class="tg-line tg-line-called">' in html
        assert html.count("tg-line-called") == 1
        assert reverse("run", args=[run.uid]) in html
        assert "the catalog marks this tool as needing approval" in html
        assert "in <strong>prod</strong>" in html
        assert "in 10 h" in html
        assert BUTTON in html


def test_an_approved_call_lets_its_run_go_on(cast: Cast, browse: Browse) -> None:
    run = make_held_run()
    approval = make_approval(run)
    response = decide(browse(cast.approver), approval)
    assert (response.status_code, response["Location"]) == (302, reverse("approvals"))
    approval.refresh_from_db()
    run.refresh_from_db()
    assert (approval.state, approval.decided_by) == ("approved", "user:bob")
    assert (approval.reason, run.status) == ("4711", "queued")
    event = Event.objects.get(name="approval.decided")
    assert (event.actor_id, event.decision) == ("user:bob", "allow")


def test_a_rejection_is_kept_with_its_reason(cast: Cast, browse: Browse) -> None:
    approval = make_approval()
    assert decide(browse(cast.approver), approval, "reject").status_code == 302
    approval.refresh_from_db()
    assert approval.state == "rejected"
    html = detail(browse(cast.approver), approval)
    assert "4711" in html
    assert BUTTON not in html


def test_nobody_decides_their_own_and_the_attempt_is_on_record(
    cast: Cast, browse: Browse
) -> None:
    approval = make_approval(requesters=["sa:sales/agent", "user:bob"])
    client = browse(cast.approver)
    for html in (inbox(client), detail(client, approval)):
        assert "You asked for this call yourself" in html
        assert BUTTON not in html
    assert "Erin Example may." in detail(client, approval)
    # Nor with an empty reason: the refusal comes before the form is looked at.
    for reason in ("it is fine", ""):
        assert decide(client, approval, reason=reason).status_code == 403
    approval.refresh_from_db()
    assert approval.state == "pending"
    refused = Event.objects.filter(name="approval.refused", actor_id="user:bob")
    assert refused.count() == 2
    assert BUTTON in inbox(browse(cast.admin))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"verdict": "approve", "reason": "  "}, "Give a reason"),
        ({"verdict": "perhaps", "reason": "x"}, "Choose approve or reject"),
        ({"reason": "x"}, "Choose approve or reject"),
        ({"verdict": "approve", "reason": "x" * 401}, "at most 400 characters"),
    ],
)
def test_a_decision_that_says_too_little_is_a_422(
    cast: Cast, browse: Browse, data: dict[str, str], says: str
) -> None:
    approval = make_approval()
    url = reverse("approval_decide", args=[approval.uid])
    response = browse(cast.approver).post(url, data)
    assert response.status_code == 422
    html = response.content.decode()
    assert says in html
    assert BUTTON in html
    approval.refresh_from_db()
    assert approval.state == "pending"
    assert Run.objects.get(uid=approval.run).status == "awaiting_approval"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"state": "rejected"}, "rejected already"),
        ({"minutes_left": -1}, "has expired"),
        ({"policy_revision": 999}, "policy has changed"),
    ],
)
def test_what_can_no_longer_be_decided_says_why(
    cast: Cast, browse: Browse, fields: dict[str, Any], says: str
) -> None:
    approval = make_approval(**fields)
    response = decide(browse(cast.approver), approval)
    assert response.status_code == 409
    assert says in response.content.decode()
    assert Event.objects.get(name="approval.refused").actor_id == "user:bob"


def test_an_expired_request_waits_for_nobody(cast: Cast, browse: Browse) -> None:
    approval = make_approval(minutes_left=-1)
    html = inbox(browse(cast.approver))
    assert approval.uid not in html
    assert "Nothing waits for you" in html
    assert approval.uid in inbox(browse(cast.approver), "?state=expired")
    assert "Nobody decided in time" in detail(browse(cast.approver), approval)


@pytest.mark.parametrize(
    "query",
    [
        "?state=used",
        "?state=all&tool=crm.charge",
        "?state=all&environment=dev",
        "?state=all&team=support",
        "?state=all&q=Zoe",
        "?state=all&q=user:zoe",
        "?state=all&q={run}",
        "?state=all&q={uid}",
    ],
)
def test_each_filter_finds_its_approval(cast: Cast, browse: Browse, query: str) -> None:
    other = make_approval(state="rejected")
    run = make_held_run(team="support", environment="dev")
    wanted = make_approval(
        run,
        tool="crm.charge",
        state="used",
        requesters=["user:zoe"],
        decided_label="Zoe Example",
    )
    html = inbox(browse(cast.admin), query.format(run=run.uid, uid=wanted.uid))
    assert wanted.uid in html
    assert other.uid not in html


def test_a_senseless_filter_is_a_422(cast: Cast, browse: Browse) -> None:
    response = browse(cast.approver).get(reverse("approvals") + "?state=perhaps")
    assert response.status_code == 422


def test_the_export_has_the_filters_rows_and_is_on_record(
    cast: Cast, browse: Browse
) -> None:
    make_approval()
    used = make_approval(state="used")
    response = browse(cast.approver).get(
        reverse("approvals") + "?state=used&export=json"
    )
    rows = [
        json.loads(line)
        for line in b"".join(response.streaming_content).splitlines()  # type: ignore[attr-defined]
    ]
    assert [(row["approval"], row["decided_by"]) for row in rows] == [
        (used.uid, "user:bob")
    ]
    assert Event.objects.filter(name="list.exported", actor_id="user:bob").exists()


def test_the_navigation_counts_what_one_may_decide(cast: Cast, browse: Browse) -> None:
    make_approval()
    make_approval(requesters=["user:bob"])
    make_approval(make_held_run(team="support"))
    make_approval(minutes_left=-1)
    make_approval(state="used")

    def count(client: Client) -> int:
        sections = client.get("/").context["navigation"]
        links = [link for section in sections for link in section.links]
        return sum(link.count for link in links)

    assert count(browse(cast.approver)) == 1
    assert count(browse(cast.admin)) == 3
    member = browse(cast.member)
    assert count(member) == 0
    assert reverse("approvals") not in member.get("/").content.decode()
    assert '<span class="tg-badge tg-badge-busy tg-nav-count">3' in inbox(
        browse(cast.admin)
    )


def test_those_who_may_decide_are_named(cast: Cast, browse: Browse) -> None:
    make_user("zoe", (make_team("support"), "approver"))
    inactive = make_user("ivan", (cast.team, "approver"))
    inactive.is_active = False
    inactive.save()
    approval = make_approval()
    html = detail(browse(cast.admin), approval)
    assert "<dd>Bob Example, Erin Example</dd>" in html


def test_thirty_approvals_cost_as_many_queries_as_three(
    cast: Cast, browse: Browse
) -> None:
    client = browse(cast.approver)
    paths = (reverse("approvals"), reverse("approvals") + "?state=all", "/")
    counts = []
    for more in (3, 15):
        for _ in range(more):
            make_approval()
        counts.append([queries_of(client, path) for path in paths])
    assert counts[0] == counts[1]
