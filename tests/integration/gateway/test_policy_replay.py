"""Drafts over recorded calls: what would change, for whom, and what cannot be said."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from core.clock import now
from core.errors import Invalid, NotFound
from gateway.models import PolicyReplay, Run, ToolCall
from gateway.selectors.rule_hits import rule_hits
from gateway.services import policy_replay
from gateway.tasks import replay_policy
from policy.access import access_of
from policy.models import PolicyDraft
from policy.services import drafts
from tests.builders.identity import ACTOR, Cast, make_cast
from tests.builders.policy import make_version
from tests.builders.runs import make_call, make_run

pytestmark = pytest.mark.django_db
REFUND = "shop.refund"
BIG = {
    "id": "big",
    "effect": "require_approval",
    "select": {"tools": [REFUND]},
    "when": "args.amount > 500",
    "approve": {"role": "finance"},
}


def draft(*rules: dict[str, Any]) -> PolicyDraft:
    return drafts.begin(name="test", rules=list(rules), actor=ACTOR, at=now())


def replayed(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"days": 7, "teams": None, "actor": ACTOR, "at": now()}
    done = policy_replay.ask(draft=draft(*rules).uid, **(values | more))
    assert done.state == "done"
    found: dict[str, Any] = done.result or {}
    return found


def record(
    amount: Any,
    *,
    team: str = "sales",
    run: Run | None = None,
    arguments: Any = None,
    **fields: Any,
) -> ToolCall:
    at = now() - timedelta(hours=1)
    run = run or make_run(team=team, environment="prod", at=at)
    call = make_call(run, **({"tool": REFUND} | fields))
    call.arguments = {"amount": amount} if arguments is None else arguments
    call.save()
    return call


def test_it_counts_what_would_change_and_for_whom() -> None:
    record(100)
    first = record(600)
    record(700, team="support")
    record(900, tool="crm.list")
    found = replayed(BIG)
    assert (found["examined"], found["changed"], found["same"]) == (4, 2, 2)
    assert found["transitions"] == [
        {"before": "allow", "after": "require_approval: role finance (1)", "calls": 2}
    ]
    assert found["by_team"] == [
        {"name": "sales", "calls": 1},
        {"name": "support", "calls": 1},
    ]
    assert found["by_tool"] == [{"name": REFUND, "calls": 2}]
    assert found["by_rule"] == [{"name": "big", "calls": 2}]
    change = found["changes"][1]
    assert (change["call"], change["run"], change["step"]) == (
        first.pk,
        first.run.uid,
        1,
    )
    assert change["reasons"] == ["rule big: require_approval: it applies to the call"]
    assert found["stopped"] == ""


def test_a_rule_that_goes_is_a_change_too() -> None:
    make_version({"id": "no", "effect": "deny", "select": {"teams": ["sales"]}})
    record(1)
    found = replayed()
    assert found["transitions"] == [{"before": "deny", "after": "allow", "calls": 1}]
    assert found["by_rule"] == [{"name": "no", "calls": 1}]


def test_what_reads_a_redacted_value_is_undecidable_never_guessed() -> None:
    record("[redacted by policy]")
    record(1, arguments={"amount": 1, "note": "[redacted]"})
    hidden = record(1, arguments="[redacted by policy]")
    found = replayed(BIG)
    assert (found["undecidable"], found["same"], found["changed"]) == (2, 1, 0)
    assert found["undecidable_by_rule"] == [{"name": "big", "calls": 2}]
    assert {one["call"] for one in found["undecidable_calls"]} >= {hidden.pk}


def test_a_doubtful_rule_that_both_have_changes_nothing() -> None:
    doubtful = {"id": "d", "effect": "deny", "when": 'args.note == "x"'}
    make_version(doubtful)
    record(1, arguments={"amount": 1, "note": "[redacted]"})
    same = replayed(doubtful, {**BIG, "when": "args.amount > 500"})
    assert (same["same"], same["undecidable"]) == (1, 0)
    moved = replayed(doubtful, {"id": "e", "effect": "deny"})
    assert moved["undecidable_by_rule"] == [{"name": "e", "calls": 1}]


def test_calls_that_no_rule_was_asked_about_are_left_out() -> None:
    record(600, decision="deny", outcome="denied", reasons=["grant: none"])
    record(600, decision="deny", outcome="invalid", reasons=["amount is wrong"])
    record(600, decision="deny", outcome="denied", reasons=["quota: used up"])
    found = replayed(BIG)
    assert (found["unruled"], found["changed"]) == (2, 1)


def test_calls_of_a_run_are_counted_as_they_were_made() -> None:
    run = make_run(team="sales", at=now() - timedelta(hours=1))
    for _ in range(4):
        record(1, run=run)
    limit = {"id": "l", "effect": "limit", "limit": {"calls_per_run": 3}}
    found = replayed(limit)
    assert [one["step"] for one in found["changes"]] == [4]


def test_it_is_bounded_by_days_calls_and_teams() -> None:
    old = now() - timedelta(days=9)
    record(600, run=make_run(team="sales", at=old))
    for _ in range(3):
        record(600)
    record(600, team="support")
    assert replayed(BIG)["examined"] == 4
    assert replayed(BIG, days=30)["examined"] == 5
    assert replayed(BIG, teams=frozenset({"support"}))["examined"] == 1
    cut = replayed(BIG, most_calls=2)
    assert (cut["examined"], cut["stopped"]) == (2, "after 2 calls")
    for wrong in ({"days": 0}, {"days": 91}, {"most_calls": 0}):
        with pytest.raises(Invalid):
            replayed(BIG, **wrong)


def test_calls_out_of_order_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_replay, "_BATCH", 2)
    at = now()
    for hours in (30, 26, 23, 24.5, 1):
        record(600, run=make_run(team="sales", at=at - timedelta(hours=hours)))
    assert replayed(BIG, days=1, at=at)["examined"] == 2


def test_nothing_is_changed_and_the_queries_are_bounded() -> None:
    for _ in range(3):
        record(600)
    uid = draft(BIG).uid
    before = list(ToolCall.objects.values()), list(Run.objects.values())

    def queries() -> int:
        with CaptureQueriesContext(connection) as counted:
            policy_replay.ask(draft=uid, days=7, teams=None, actor=ACTOR, at=now())
        return len(counted)

    queries()
    few = queries()
    assert (list(ToolCall.objects.values()), list(Run.objects.values())) == before
    for _ in range(30):
        record(600)
    assert queries() == few


def test_many_calls_are_replayed_by_a_task(
    django_capture_on_commit_callbacks: Any,
) -> None:
    record(600)
    with django_capture_on_commit_callbacks() as sent:
        asked = policy_replay.ask(
            draft=draft(BIG).uid,
            days=7,
            most_calls=100_000,
            teams=None,
            actor=ACTOR,
            at=now(),
        )
    assert asked.state == "queued"
    assert len(sent) == 1
    replay_policy(replay=asked.uid)
    replay_policy(replay=asked.uid)
    asked.refresh_from_db()
    assert (asked.state, asked.examined) == ("done", 1)
    assert Event.objects.filter(name="policy.replayed").count() == 1


def test_over_the_api_and_only_for_who_may_see_the_calls(client: Client) -> None:
    cast: Cast = make_cast()
    record(600)
    uid = draft(BIG).uid
    client.force_login(cast.admin)
    done = client.post(
        f"/api/v1/policy/drafts/{uid}/replay/",
        json.dumps({"days": 3}),
        "application/json",
    )
    assert (done.status_code, done.json()["result"]["changed"]) == (200, 1)
    again = client.get(f"/api/v1/policy/replays/{done.json()['uid']}/")
    assert again.json()["state"] == "done"
    replay = PolicyReplay.objects.get()
    with pytest.raises(NotFound):
        policy_replay.replay_for(access_of(cast.member), replay.uid)
    hits = client.get("/api/v1/policy/hits/?days=3").json()
    assert hits == {"days": 3, "rules": []}
    assert client.get("/api/v1/policy/hits/?days=x").status_code == 422


def test_calls_by_rule_are_counted() -> None:
    would = [{"rule": "m", "effect": "deny"}]
    record(1, rules={"applied": ["a"], "would": would})
    record(1, rules={"applied": ["a", "b"], "would": []})
    record(1)
    found = rule_hits(since=now() - timedelta(days=1))
    assert {name: (one.applied, one.would) for name, one in found.items()} == {
        "a": (2, 0),
        "b": (1, 0),
        "m": (0, 1),
    }
    assert rule_hits(since=now()) == {}
