"""Saved views of the explorer: kept, replaced, shared, removed, all on record."""

import json

import pytest
from django.test import Client

from audit.models import Event, SavedView
from tests.builders.audit import make_view
from tests.builders.identity import Cast

pytestmark = pytest.mark.django_db


def _save(client: Client, **data: str) -> int:
    data = {"name": "Refusals", "query": "q=decision%3Adeny&before=1-2", **data}
    return client.post("/audit/views/save/", data).status_code


def test_a_view_keeps_the_filters_and_is_on_record(auditor: Client, cast: Cast) -> None:
    assert _save(auditor, shared="on") == 302
    view = SavedView.objects.get()
    assert view.owner == f"user:{cast.auditor.username}"
    assert (view.query, view.shared) == ("q=decision%3Adeny", True)
    event = Event.objects.newest_first()[0]
    assert event.name == "audit.view_saved"
    assert json.loads(event.body)["after"]["query"] == view.query
    assert "Refusals" in auditor.get("/audit/").content.decode()


def test_the_same_name_replaces_ones_own_view_alone(auditor: Client) -> None:
    other = make_view()
    assert (_save(auditor), _save(auditor, query="period=30d&x=1")) == (302, 302)
    mine = SavedView.objects.exclude(pk=other.pk).get()
    assert mine.query == "period=30d"
    before = json.loads(Event.objects.newest_first()[0].body)["before"]
    assert before["query"] == "q=decision%3Adeny"
    other.refresh_from_db()
    assert other.query == "q=decision%3Adeny"


@pytest.mark.parametrize(
    "data", [{"name": "  "}, {"name": "n" * 61}, {"query": f"q={'x' * 2_000}"}]
)
def test_what_cannot_be_kept_says_so(auditor: Client, data: dict[str, str]) -> None:
    assert _save(auditor, **data) == 422
    assert not SavedView.objects.exists()


def test_others_see_what_is_shared_and_nothing_else(
    client: Client, auditor: Client, cast: Cast
) -> None:
    make_view("For all")
    hidden = make_view("For me", shared=False)
    names = [view.name for view in auditor.get("/audit/").context["views"]]
    assert names == ["For all"]
    assert auditor.post(f"/audit/views/{hidden.pk}/remove/").status_code == 404
    assert SavedView.objects.filter(pk=hidden.pk).exists()


def test_a_shared_view_can_be_removed_and_that_is_on_record(auditor: Client) -> None:
    view = make_view()
    assert auditor.post(f"/audit/views/{view.pk}/remove/").status_code == 302
    assert not SavedView.objects.exists()
    event = Event.objects.newest_first()[0]
    assert (event.name, event.target_label) == ("audit.view_removed", "Refusals")
