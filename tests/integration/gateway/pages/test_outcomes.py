"""Calls whose outcome nobody knows: the list, and what people say about them."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from core.clock import now
from gateway.models import Run, ToolCall
from gateway.services.cancel import cancel
from tests.builders.holds import make_held_run, make_unknown
from tests.builders.identity import ACTOR, Cast
from tests.integration.gateway.pages.conftest import Browse, queries_of

BUTTON = "Put it on record"


def page(client: Client, query: str = "") -> str:
    response = client.get(reverse("unknown_outcomes") + query)
    assert response.status_code == 200
    return response.content.decode()


def resolve(client: Client, call: ToolCall, **data: str) -> Any:
    url = reverse("outcome_resolve", args=[call.pk])
    return client.post(url, {"reason": "seen in the shop", **data})


def test_approvers_see_their_teams_and_admins_see_all(
    cast: Cast, browse: Browse
) -> None:
    ours = make_unknown()
    theirs = make_unknown(make_held_run(team="support", status="awaiting_outcome"))
    for user, seen in ((cast.approver, [True, False]), (cast.admin, [True, True])):
        html = page(browse(user))
        assert [ours.run.uid in html, theirs.run.uid in html] == seen
    response = resolve(browse(cast.approver), theirs, resolution="did_not")
    assert response.status_code == 404
    theirs.refresh_from_db()
    assert (theirs.outcome, theirs.resolution) == ("unknown", "")


def test_the_call_is_shown_with_its_place_in_the_script(
    cast: Cast, browse: Browse
) -> None:
    call = make_unknown(arguments={"note": "<b>\u202e"})
    one = reverse("outcome_resolve", args=[call.pk])
    for html in (
        page(browse(cast.approver)),
        browse(cast.approver).get(one).content.decode(),
    ):
        assert "&lt;b&gt;\\u202e" in html
        assert html.count("tg-line-called") == 1
        assert reverse("run", args=[call.run.uid]) in html
        assert BUTTON in html


def test_it_happened_keeps_the_value_and_the_run_goes_on(
    cast: Cast, browse: Browse
) -> None:
    call = make_unknown()
    response = resolve(
        browse(cast.approver), call, resolution="happened", value='{"id": "r-1"}'
    )
    assert response.status_code == 302
    call.refresh_from_db()
    assert (call.outcome, call.result) == ("ok", {"id": "r-1"})
    assert (call.resolved_by, call.resolved_because) == ("user:bob", "seen in the shop")
    assert Run.objects.get(pk=call.run_id).status == "queued"
    assert Event.objects.get(name="call.resolved").actor_id == "user:bob"
    assert call.run.uid in page(browse(cast.approver), "?state=decided")
    assert "Every outcome is known" in page(browse(cast.approver))


def test_it_did_not_happen_lets_the_call_be_made_again(
    cast: Cast, browse: Browse
) -> None:
    call = make_unknown()
    assert resolve(browse(cast.approver), call, resolution="did_not").status_code == 302
    call.refresh_from_db()
    assert (call.outcome, call.resolution) == ("", "did_not")
    assert Run.objects.get(pk=call.run_id).status == "queued"


def test_an_abandoned_run_ends(cast: Cast, browse: Browse) -> None:
    call = make_unknown()
    assert resolve(browse(cast.approver), call, resolution="abandon").status_code == 302
    run = Run.objects.get(pk=call.run_id)
    assert (run.status, run.error["code"]) == ("failed", "abandoned")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "Say whether it happened"),
        ({"resolution": "perhaps"}, "Say whether it happened"),
        ({"resolution": "happened", "value": "{id: 1}"}, "This is no JSON"),
        ({"resolution": "happened", "value": "[" * 200_000}, "This is no JSON"),
        ({"resolution": "happened", "value": "NaN"}, "This is no JSON"),
        ({"resolution": "did_not", "value": "1"}, "Only a call that happened"),
        ({"resolution": "did_not", "reason": " "}, "Give a reason"),
    ],
)
def test_what_cannot_be_put_on_record_is_a_422_that_says_why(
    cast: Cast, browse: Browse, data: dict[str, str], says: str
) -> None:
    call = make_unknown()
    response = resolve(browse(cast.approver), call, **data)
    assert response.status_code == 422
    assert says in response.content.decode()
    call.refresh_from_db()
    assert (call.outcome, call.resolution) == ("unknown", "")


def test_nobody_decides_while_the_call_may_be_under_way(
    cast: Cast, browse: Browse
) -> None:
    call = make_unknown(sent_minutes_ago=1)
    html = page(browse(cast.approver))
    assert "may still be under way" in html
    assert BUTTON not in html
    response = resolve(browse(cast.approver), call, resolution="did_not")
    assert response.status_code == 422
    assert "may still be under way" in response.content.decode()


def test_a_run_that_has_not_come_to_rest_is_left_alone(
    cast: Cast, browse: Browse
) -> None:
    call = make_unknown(make_held_run(status="running"))
    assert BUTTON not in page(browse(cast.approver))
    response = resolve(browse(cast.approver), call, resolution="did_not")
    assert response.status_code == 422
    call.refresh_from_db()
    assert call.outcome == "unknown"


def test_a_cancelled_run_leaves_its_call_to_be_looked_at(
    cast: Cast, browse: Browse
) -> None:
    call = make_unknown()
    cancel(uid=call.run.uid, actor=ACTOR, at=now())
    assert call.run.uid not in page(browse(cast.approver))
    html = page(browse(cast.approver), "?state=ended")
    assert call.run.uid in html
    assert BUTTON not in html
    response = resolve(browse(cast.approver), call, resolution="happened")
    assert response.status_code == 422


@pytest.mark.parametrize(
    "query", ["?team=support", "?environment=dev", "?tool=crm.charge", "?run={run}"]
)
def test_each_filter_finds_its_call(cast: Cast, browse: Browse, query: str) -> None:
    run = make_held_run(team="support", environment="dev", status="awaiting_outcome")
    wanted, other = make_unknown(run, tool="crm.charge"), make_unknown()
    html = page(browse(cast.admin), query.format(run=run.uid))
    assert wanted.run.uid in html
    assert other.run.uid not in html


def test_the_export_has_the_filters_rows(cast: Cast, browse: Browse) -> None:
    call = make_unknown()
    make_unknown(make_held_run(status="failed"))
    response = browse(cast.approver).get(reverse("unknown_outcomes") + "?export=json")
    body = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    rows = [json.loads(line) for line in body.splitlines()]
    assert [(row["run"], row["state"]) for row in rows] == [(call.run.uid, "open")]


def test_the_first_page_and_the_list_of_runs_lead_here(
    cast: Cast, browse: Browse
) -> None:
    make_unknown()
    make_unknown()
    client = browse(cast.approver)
    url = reverse("unknown_outcomes")
    first = client.get("/").context["todo"][0]
    assert (first.count, first.url) == (2, url)
    assert f'href="{url}"' in client.get(reverse("runs")).content.decode()
    member = browse(cast.member)
    for path in ("/", reverse("runs")):
        assert url not in member.get(path).content.decode()


def test_thirty_calls_cost_as_many_queries_as_three(cast: Cast, browse: Browse) -> None:
    client = browse(cast.approver)
    counts = []
    for more in (3, 15):
        for _ in range(more):
            make_unknown()
        counts.append(queries_of(client, reverse("unknown_outcomes")))
    assert counts[0] == counts[1]
