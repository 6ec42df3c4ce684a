"""The page that replays a draft: start, progress, what it found, and whose calls."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils.html import escape

from core.clock import now
from gateway.models import PolicyReplay
from gateway.services import policy_replay
from policy.models import PolicyDraft
from policy.services import drafts
from tests.builders.catalog import make_server, make_tool, make_version
from tests.builders.identity import ACTOR, Cast
from tests.builders.runs import make_call, make_run
from tests.integration.gateway.pages.conftest import Browse, queries_of

REFUND = "shop.create_refund"
BIG: dict[str, Any] = {
    "id": "big-refunds",
    "effect": "require_approval",
    "select": {"tools": [REFUND]},
    "when": "args.amount > 500",
    "approve": {"role": "finance"},
}


@pytest.fixture
def draft(cast: Cast) -> PolicyDraft:
    return drafts.begin(name="Refunds", rules=[BIG], actor=ACTOR, at=now())


def path_of(draft: PolicyDraft) -> str:
    return reverse("draft_replay", kwargs={"uid": draft.uid})


def refund(amount: Any, *, team: str = "sales", **fields: Any) -> str:
    """A recorded refund; the run's id."""
    run = make_run(team=team, environment="prod", at=now() - timedelta(hours=1))
    make_call(run, tool=REFUND, arguments={"amount": amount}, **fields)
    return run.uid


def replayed(draft: PolicyDraft, teams: frozenset[str] | None = None) -> PolicyReplay:
    return policy_replay.ask(
        draft=draft.uid, days=7, teams=teams, actor=ACTOR, at=now()
    )


def test_it_is_started_waited_for_and_read(
    cast: Cast,
    browse: Browse,
    draft: PolicyDraft,
    django_capture_on_commit_callbacks: Any,
) -> None:
    run = refund(600)
    refund(10)
    client, path = browse(cast.admin), path_of(draft)
    assert "Not replayed yet" in client.get(path).content.decode()
    with django_capture_on_commit_callbacks() as sent:
        started = client.post(path, {"days": "3"})
    assert len(sent) == 1
    replay = PolicyReplay.objects.get()
    assert started["Location"] == f"{path}?replay={replay.uid}"
    assert (replay.days, replay.state) == (3, "queued")
    waiting = client.get(started["Location"]).content.decode()
    assert "Waiting for a worker" in waiting
    live = f"{path}?replay={replay.uid}&live=1"
    part = client.get(live, headers={"hx-request": "true"})
    assert "HX-Refresh" not in part
    assert "<html" not in part.content.decode()
    policy_replay.perform(uid=replay.uid)
    part = client.get(live, headers={"hx-request": "true"})
    assert part["HX-Refresh"] == "true"
    page = client.get(path).content.decode()
    assert "1 of 2 decisions would change" in page
    assert "role finance" in page
    assert f'/runs/{run}/#step-1"' in page


def test_progress_is_how_far_back_it_went(draft: PolicyDraft) -> None:
    replay = PolicyReplay(
        days=4, most_calls=100, examined=10, asked_at=now(), state="running"
    )
    assert replay.percent == 0
    replay.reached_at = replay.asked_at - timedelta(days=1)
    assert replay.percent == 25
    replay.examined = 80
    assert replay.percent == 80


def test_one_that_never_comes_says_where_to_look(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    replay = replayed(draft)
    client = browse(cast.admin)
    ago = now() - timedelta(minutes=2)
    PolicyReplay.objects.update(state="running", asked_at=ago)
    page = client.get(path_of(draft)).content.decode()
    assert "Nobody has worked on it" not in page
    PolicyReplay.objects.update(alive_at=ago)
    page = client.get(path_of(draft)).content.decode()
    assert "Nobody has worked on it" in page
    assert "hx-trigger" not in page
    live = f"{path_of(draft)}?live=1"
    part = client.get(live, headers={"hx-request": "true"})
    assert part["HX-Refresh"] == "true"
    PolicyReplay.objects.update(state="failed", result=None)
    page = client.get(path_of(draft)).content.decode()
    assert "This replay failed" in page
    assert replay.uid in page


def test_days_out_of_bounds_are_refused(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    for wrong in ("0", "91", "x", ""):
        response = browse(cast.admin).post(path_of(draft), {"days": wrong})
        assert response.status_code == 422
        assert response.context["form"].errors["days"]
    assert not PolicyReplay.objects.exists()


def test_a_draft_or_live_rules_that_changed_since_are_said(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    refund(600)
    replayed(draft)
    client, path = browse(cast.admin), path_of(draft)
    draft_path = reverse("draft", kwargs={"uid": draft.uid})
    assert "since this replay" not in client.get(path).content.decode()
    assert "1 of 1 past decisions would" in client.get(draft_path).content.decode()
    other = {"id": "other", "effect": "deny"}
    drafts.put_live(name="n", rules=[other], reason="r", actor=ACTOR, at=now())
    assert "was published since this replay" in client.get(path).content.decode()
    drafts.remove_rule(uid=draft.uid, rule="big-refunds", actor=ACTOR, at=now())
    assert "The draft was changed since" in client.get(path).content.decode()
    assert "changed since." in client.get(draft_path).content.decode()


def test_calls_are_narrowed_by_what_the_tables_link_to(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    refund(600)
    refund(700, team="support")
    replayed(draft)
    client = browse(cast.admin)
    page = client.get(path_of(draft))
    assert len(page.context["page"]) == 2
    links = dict(page.context["groups"])["team"]
    (row, link) = next(one for one in links if one[0]["name"] == "support")
    assert row["calls"] == 1
    narrowed = client.get(f"{path_of(draft)}{link}")
    found = narrowed.context["page"].object_list
    assert [one.row["team"] for one in found] == ["support"]
    ((_, link),) = page.context["moved"]
    assert len(client.get(f"{path_of(draft)}{link}").context["page"]) == 2
    for query, number in (
        ("rule=big-refunds", 2),
        ("key=tg_abcd2345", 2),
        ("rule=big", 0),
        ("team=sales&tool=crm.x", 0),
    ):
        found = client.get(f"{path_of(draft)}?{query}").context["page"]
        assert len(found.object_list) == number, query


def test_a_call_is_explained_by_the_draft(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    run = refund(600)
    tool = make_tool(make_server(name="shop"), name="create_refund", effect="write")
    make_version(tool)
    replayed(draft)
    client = browse(cast.admin)
    link = f"/policy/explain/?run={run}&step=1"
    by_draft = f"{link}&draft={draft.uid}"
    assert escape(by_draft) in client.get(path_of(draft)).content.decode()
    page = client.get(by_draft)
    (rule,) = page.context["considered"]
    assert (rule[0].id, rule[1].says) == ("big-refunds", "require_approval")
    assert (
        reverse("draft_rule", args=[draft.uid, "big-refunds"]) in page.content.decode()
    )
    assert client.get(link).context["considered"] == []
    assert client.get(f"{link}&draft=none").status_code == 404


def test_what_cannot_be_decided_is_named_with_its_rule(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    run = refund("[redacted]")
    replayed(draft)
    page = browse(cast.admin).get(path_of(draft)).content.decode()
    assert "No decision would change" in page
    assert "Rules that read something hidden" in page
    assert f'/runs/{run}/#step-1"' in page


def test_what_was_found_is_downloaded(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    run = refund(600)
    refund("[redacted]", team="support")
    replayed(draft)
    client = browse(cast.admin)
    answer = client.get(f"{path_of(draft)}?export=csv")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [one["finding"] for one in rows] == ["would change", "cannot be decided"]
    assert (rows[0]["run"], rows[0]["before"]) == (run, "allow")
    assert rows[0]["after"] == "require_approval: role finance (1)"
    answer = client.get(f"{path_of(draft)}?export=csv&team=sales")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert len(list(csv.DictReader(io.StringIO(text)))) == 1


def test_nobody_sees_a_replay_over_calls_of_others(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    refund(600)
    whole = replayed(draft)
    part = replayed(draft, teams=frozenset({"sales"}))
    member = browse(cast.member)
    page = member.get(path_of(draft))
    assert page.context["replay"].uid == part.uid
    assert [one.uid for one in page.context["earlier"]] == [part.uid]
    hidden = member.get(f"{path_of(draft)}?replay={whole.uid}")
    assert hidden.status_code == 404
    assert member.post(path_of(draft), {"days": "1"}).status_code == 403
    assert PolicyReplay.objects.count() == 2
    other = drafts.begin(name="o", actor=ACTOR, at=now())
    wrong = browse(cast.admin).get(f"{path_of(other)}?replay={whole.uid}")
    assert wrong.status_code == 404


def test_a_draft_that_changes_nothing_or_is_closed_says_so(
    cast: Cast, browse: Browse
) -> None:
    same = drafts.begin(name="same", actor=ACTOR, at=now())
    client = browse(cast.admin)
    assert "changes nothing yet" in client.get(path_of(same)).content.decode()
    replayed(same)
    assert "No call was made" in client.get(path_of(same)).content.decode()
    drafts.discard(uid=same.uid, actor=ACTOR, at=now())
    assert "Replay again" not in client.get(path_of(same)).content.decode()


def test_it_costs_the_same_for_many_calls(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    refund(600)
    replayed(draft)
    client = browse(cast.admin)
    few = queries_of(client, path_of(draft))
    for number in range(30):
        refund(600 + number)
    for _ in range(4):
        replayed(draft)
    assert queries_of(client, path_of(draft)) <= few
