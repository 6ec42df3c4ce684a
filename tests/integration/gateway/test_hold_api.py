"""Approvals and unknown outcomes over REST: for people who may decide, never keys."""

from typing import Any

import pytest
from django.test import Client

from audit.models import Event
from gateway.models import Run
from policy.models import User
from policy.routing import Audience, Route
from tests.builders.holds import make_approval, make_held_run, make_unknown
from tests.builders.identity import Cast, make_account, make_key


def ask(user: User, path: str, data: Any = None) -> Any:
    client = Client()
    client.force_login(user)
    if data is None:
        return client.get(f"/api/v1/{path}")
    return client.post(f"/api/v1/{path}", data, content_type="application/json")


def found(response: Any, field: str) -> list[Any]:
    assert response.status_code == 200, response.content
    return [row[field] for row in response.json()["results"]]


def test_the_list_has_what_waits_in_ones_teams(cast: Cast) -> None:
    ours = make_approval()
    used = make_approval(state="used")
    theirs = make_approval(make_held_run(team="support"))
    assert found(ask(cast.approver, "approvals/"), "approval") == [ours.uid]
    assert found(ask(cast.admin, "approvals/"), "approval") == [theirs.uid, ours.uid]
    assert found(ask(cast.approver, "approvals/?state=used"), "approval") == [used.uid]
    one = ask(cast.approver, f"approvals/{ours.uid}/").json()
    assert one["arguments"] == {"order": "o-17", "amount": 25}
    assert (one["state"], one["run"], one["step"]) == ("pending", ours.run, 2)
    assert ask(cast.approver, f"approvals/{theirs.uid}/").status_code == 404
    assert ask(cast.member, "approvals/").status_code == 403


def test_a_decision_lets_the_run_go_on(cast: Cast) -> None:
    approval = make_approval()
    path = f"approvals/{approval.uid}/decide/"
    response = ask(cast.approver, path, {"approve": True, "reason": "4711"})
    assert response.status_code == 200
    assert response.json()["state"] == "approved"
    assert response.json()["decided_by"] == "user:bob"
    assert Run.objects.get(uid=approval.run).status == "queued"
    again = ask(cast.admin, path, {"approve": False, "reason": "no"})
    assert again.status_code == 409
    assert again.json()["error"]["code"] == "approval_closed"


@pytest.mark.parametrize(
    "data", [{}, {"approve": True}, {"reason": "x"}, {"approve": True, "reason": " "}]
)
def test_a_decision_needs_a_verdict_and_a_reason(
    cast: Cast, data: dict[str, Any]
) -> None:
    approval = make_approval()
    response = ask(cast.approver, f"approvals/{approval.uid}/decide/", data)
    assert response.status_code == 422
    approval.refresh_from_db()
    assert approval.state == "pending"


def test_ones_own_request_is_refused_on_record(cast: Cast) -> None:
    approval = make_approval(requesters=["user:bob"])
    path = f"approvals/{approval.uid}/decide/"
    response = ask(cast.approver, path, {"approve": True, "reason": "mine"})
    assert response.status_code == 403
    assert Event.objects.get(name="approval.refused").actor_id == "user:bob"


def test_an_outcome_is_resolved_with_its_value(cast: Cast) -> None:
    call, other = make_unknown(), make_unknown()
    assert found(ask(cast.approver, "outcomes/"), "id") == [other.pk, call.pk]
    value = {"id": "r-1", "lines": [1, 2]}
    response = ask(
        cast.approver,
        f"outcomes/{call.pk}/",
        {"resolution": "happened", "reason": "seen", "value": value},
    )
    assert response.status_code == 200
    assert response.json()["state"] == "decided"
    call.refresh_from_db()
    assert call.result == value
    assert found(ask(cast.approver, "outcomes/"), "id") == [other.pk]


@pytest.mark.parametrize(
    "data",
    [
        {"resolution": "perhaps", "reason": "x"},
        {"resolution": "happened"},
        {"resolution": "did_not", "reason": "x", "value": 1},
    ],
)
def test_a_senseless_resolution_is_a_422(cast: Cast, data: dict[str, Any]) -> None:
    call = make_unknown()
    assert ask(cast.approver, f"outcomes/{call.pk}/", data).status_code == 422
    call.refresh_from_db()
    assert call.outcome == "unknown"


def test_routes_votes_and_a_decision_on_many(cast: Cast) -> None:
    finance = Route(Audience("role", "finance"), quorum=2)
    asks, own = make_approval(routes=[finance]), make_approval(requesters=["user:bob"])
    mine = make_approval()
    uids = [own.uid, mine.uid]
    data = {"approvals": uids, "approve": True, "reason": "4711"}
    response = ask(cast.approver, "approvals/decide/", data)
    assert [(row["approval"], row["state"]) for row in response.json()] == [
        (own.uid, ""),
        (mine.uid, "approved"),
    ]
    assert "Nobody approves their own" in response.json()[0]["error"]
    decide = f"approvals/{asks.uid}/decide/"
    shown = ask(cast.finance, decide, {"approve": True, "reason": "fine"}).json()
    assert shown["state"] == "pending"
    assert [(one["name"], one["quorum"]) for one in shown["routes"]] == [("finance", 2)]
    assert [(one["voter"], one["routes"]) for one in shown["votes"]] == [
        ("user:dan", [0])
    ]
    hidden = make_approval(make_held_run(team="support"))
    for wanted in ([hidden.uid], ["apr_none"]):
        data = {"approvals": [asks.uid, *wanted], "approve": False, "reason": "x"}
        assert ask(cast.finance, "approvals/decide/", data).status_code == 404
    for senseless in ([], [mine.uid] * 101):
        data = {"approve": True, "reason": "x", "approvals": senseless}
        assert ask(cast.approver, "approvals/decide/", data).status_code == 422
    asks.refresh_from_db()
    assert asks.state == "pending"


def test_keys_never_decide_whatever_their_scopes(cast: Cast) -> None:
    approval, call = make_approval(), make_unknown()
    scopes = ["tools:*", "runs:*", "audit:*", "admin:*", "catalog:*", "costs:*"]
    key = make_key(make_account(cast.team), scopes=scopes)
    client = Client(headers={"Authorization": f"Bearer {key.text}"})
    for path in ("approvals/", f"approvals/{approval.uid}/", "outcomes/"):
        assert client.get(f"/api/v1/{path}").status_code == 403
    for path, data in (
        (f"approvals/{approval.uid}/decide/", {"approve": True, "reason": "x"}),
        (f"outcomes/{call.pk}/", {"resolution": "did_not", "reason": "x"}),
    ):
        response = client.post(f"/api/v1/{path}", data, content_type="application/json")
        assert response.status_code == 403
        assert "never keys" in response.json()["error"]["message"]
    approval.refresh_from_db()
    call.refresh_from_db()
    assert (approval.state, call.outcome) == ("pending", "unknown")
    assert Event.objects.filter(name="access.denied").count() == 5
