"""Calls counted beside rules: enforced, and what monitored ones would have done."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from core.clock import now
from gateway.selectors import rule_hits
from policy.services import drafts
from tests.builders.identity import ACTOR, Cast
from tests.builders.policy import make_version
from tests.builders.runs import make_call, make_run
from tests.integration.gateway.pages.conftest import Browse, queries_of

BIG: dict[str, Any] = {
    "id": "big-refunds",
    "effect": "require_approval",
    "select": {"tools": ["shop.refund"]},
}
WATCH: dict[str, Any] = {"id": "no-nights", "mode": "monitor", "effect": "deny"}


def test_calls_are_counted_beside_each_rule(cast: Cast, browse: Browse) -> None:
    make_version(BIG, WATCH)
    at_night = {"rule": "no-nights", "effect": "deny"}
    for team, days in (("sales", 0), ("support", 1), ("sales", 8)):
        run = make_run(team=team, at=now() - timedelta(days=days))
        make_call(run, rules={"applied": ["big-refunds"], "would": [at_night]})
    client = browse(cast.admin)
    found = client.get("/policy/rules/").context["page"].object_list
    assert {one.id: (one.hits.applied, one.hits.would) for one in found} == {
        "big-refunds": (2, 0),
        "no-nights": (0, 2),
    }
    assert "2 would" in client.get("/policy/rules/").content.decode()
    same = drafts.begin(name="d", actor=ACTOR, at=now())
    new = {"id": "new", "effect": "deny"}
    drafts.set_rule(uid=same.uid, rule=new, actor=ACTOR, at=now())
    page = client.get(reverse("draft", args=[same.uid])).content.decode()
    assert "2 would" in page
    assert "not in force" in page
    shown = client.get("/policy/rules/rule/no-nights/")
    assert "It would have applied to" in shown.content.decode()
    assert [one.would for one in shown.context["calls"]] == ["would deny"] * 2
    own = browse(cast.member).get("/policy/rules/rule/no-nights/")
    assert [one.call.run.team for one in own.context["calls"]] == ["sales"]
    csv = client.get("/policy/rules/?export=csv&state=monitor")
    text = b"".join(csv.streaming_content).decode()  # type: ignore[attr-defined]
    assert "calls_7_days,would_7_days" in text
    assert ",0,2," in text


def test_a_count_that_is_cut_says_how_far_it_went(
    cast: Cast, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_version(BIG)
    run = make_run(team="sales", at=now())
    for _ in range(3):
        make_call(run, rules={"applied": ["big-refunds"], "would": []})
    page = "/policy/rules/"
    client = browse(cast.admin)
    assert client.get(page).context["recent"].back_to is None
    monkeypatch.setattr(rule_hits, "_MOST_COUNTED", 2)
    recent = client.get(page).context["recent"]
    assert recent.by_rule["big-refunds"].applied == 2
    assert recent.back_to == run.calls.get(step=2).intent_at


def test_a_rule_costs_the_same_for_many_calls(cast: Cast, browse: Browse) -> None:
    make_version(WATCH)
    client, page = browse(cast.admin), "/policy/rules/rule/no-nights/"
    would = {"applied": [], "would": [{"rule": "no-nights", "effect": "deny"}]}
    make_call(make_run(at=now()), rules=would)
    few = queries_of(client, page)
    for _ in range(30):
        make_call(make_run(at=now()), rules=would)
    assert queries_of(client, page) == few
    shown = client.get(page).context
    assert (len(shown["calls"]), shown["rule"].hits.would) == (20, 31)
