"""Deployments and changes on the charts: who notes them, and who sees what of them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from audit.models import Event
from core.clock import now
from finops.models import Annotation
from policy.models import User
from tests.builders.audit import make_event
from tests.builders.finops import make_price, make_usage
from tests.builders.identity import Cast, make_account, make_key
from tests.builders.reports import make_annotation

pytestmark = pytest.mark.django_db
API = "/api/v1/annotations/"


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _ci(cast: Cast) -> Client:
    key = make_key(make_account(cast.team), scopes=["costs:read", "costs:write"]).text
    return Client(headers={"Authorization": f"Bearer {key}"})


def _post(client: Client, **note: str) -> Any:
    return client.post(API, json.dumps(note), content_type="application/json")


def test_a_ci_system_notes_a_deployment_once(cast: Cast) -> None:
    client = _ci(cast)
    note = {"text": "Release  7", "external_id": "build-7", "link": "https://ci/7"}
    first, second = _post(client, **note), _post(client, **note)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["uid"] == second.json()["uid"]
    found = Annotation.objects.get()
    assert (found.team, found.kind, found.text) == ("sales", "deployment", "Release 7")
    event = Event.objects.get(name="annotation.added")
    assert event.summary.endswith("noted for sales: Release 7")
    listed = client.get(API).json()["results"]
    assert [one["external_id"] for one in listed] == ["build-7"]


@pytest.mark.parametrize(
    ("note", "status"),
    [
        ({"text": ""}, 422),
        ({"text": "x", "kind": "party"}, 422),
        ({"text": "x", "link": "javascript:alert(1)"}, 422),
        ({"text": "x", "team": "support"}, 404),
        ({"text": "x", "team": ""}, 404),
    ],
)
def test_what_cannot_be_noted_is_refused(
    cast: Cast, note: dict[str, str], status: int
) -> None:
    assert _post(_ci(cast), **note).status_code == status
    assert not Annotation.objects.exists()


def test_people_note_on_the_page_for_their_teams(cast: Cast) -> None:
    data = {"text": "New prompt", "kind": "note", "when": "2026-11-20T10:00"}
    member = _client(cast.member)
    assert member.post("/reports/annotations/", data).status_code == 422
    assert (
        member.post("/reports/annotations/", {**data, "team": "support"}).status_code
        == 422
    )
    assert (
        member.post("/reports/annotations/", {**data, "team": "sales"}).status_code
        == 302
    )
    assert _client(cast.finance).post("/reports/annotations/", data).status_code == 302
    assert [one.team for one in Annotation.objects.order_by("pk")] == ["sales", ""]
    page = member.get("/reports/annotations/").content.decode()
    assert page.count("New prompt") >= 2
    outsider = _client(cast.outsider).get("/reports/annotations/")
    assert [one.team for one in outsider.context["page"]] == [""]


def test_one_takes_away_ones_own_and_those_of_ones_teams(cast: Cast) -> None:
    mine, others = make_annotation(), make_annotation(team="support")
    path = "/reports/annotations/{}/remove/"
    member = _client(cast.member)
    assert member.post(path.format(others.uid)).status_code == 404
    assert member.post(path.format(mine.uid)).status_code == 302
    assert [one.uid for one in Annotation.objects.all()] == [others.uid]
    assert Event.objects.filter(name="annotation.removed").count() == 1


@pytest.mark.parametrize("path", ["/costs/", "/reports/time/", "/costs/?by=day"])
def test_the_chart_and_its_list_show_what_happened(cast: Cast, path: str) -> None:
    at = now() - timedelta(hours=1)
    make_usage(at=at)
    make_annotation(at=at, text="Release <b>7</b>", link="https://ci/7")
    make_annotation(at=at, text="Not theirs", team="support")
    make_event("policy.published", at=at, payload={"version": 3, "reason": "r"})
    response = _client(cast.member).get(path)
    assert [(mark.kind, mark.text) for mark in response.context["marks"]] == [
        ("deployment", "Release <b>7</b>"),
        ("policy", "Policy changed"),
    ]
    page = response.content.decode()
    assert "published version" not in page
    figure = response.context["figure"]
    assert len(figure["layout"]["shapes"]) == 1
    assert figure["data"][-1]["text"] == [
        "Release &lt;b&gt;7&lt;/b&gt;<br>Policy changed"
    ]
    told = _client(cast.auditor).get(path)
    texts = [mark.text for mark in told.context["marks"]]
    assert any("published version 3" in text for text in texts)
    assert "Not theirs" in texts


def test_a_change_in_many_steps_is_one_mark(cast: Cast) -> None:
    at = (now() - timedelta(hours=3)).replace(minute=5)
    make_usage(at=at)
    make_annotation(at=at - timedelta(hours=1), text="Release 7")
    for step in range(4):
        make_event(
            "policy.published",
            at=at + timedelta(minutes=step),
            payload={"version": step, "reason": "r"},
        )
    marks = _client(cast.auditor).get("/costs/").context["marks"]
    assert [mark.text == "Release 7" for mark in marks] == [True, False]
    assert "version 0" in marks[1].text
    assert marks[1].text.endswith(", and 3 more")


def test_marks_outside_the_period_and_of_other_teams_stay_away(cast: Cast) -> None:
    make_price("tool/*", "1", unit="Requests")
    make_annotation(at=now() - timedelta(days=40))
    make_annotation(at=now() - timedelta(hours=1), team="support", text="Theirs")
    client = _client(cast.finance)
    assert client.get("/costs/?team=sales").context["marks"] == ()
    assert len(client.get("/costs/").context["marks"]) == 1
