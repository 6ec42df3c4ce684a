"""Every page of one thing has its history, for those who may read the trail."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from audit.actor import Target
from core.clock import now
from policy.models import ApiKey
from tests.builders.audit import make_event
from tests.builders.world import make_world

pytestmark = pytest.mark.django_db
# The name of the page and its argument, and what the trail calls the thing.
PAGES = {
    ("server", "name", "crm"): ("server", "crm"),
    ("team", "slug", "sales"): ("team", "sales"),
    ("quota", "pk", "@quota"): ("quota", "@quota"),
    ("draft", "uid", "@draft"): ("policy_draft", "@draft"),
    ("rule_version", "number", 1): ("policy", "1"),
    ("approval", "uid", "@approval"): ("approval", "@approval"),
    ("approver_group", "slug", "board"): ("approver_group", "board"),
    ("notification_channel", "pk", "@channel"): ("notification_channel", "@channel"),
    ("key_revoke", "pk", "@key"): ("key", "@key"),
    ("environment_sandbox", "slug", "dev"): ("environment", "dev"),
    ("team_sandbox", "slug", "sales"): ("team", "sales"),
    ("key_sandbox", "pk", "@key"): ("api_key", "@prefix"),
}


def test_each_page_shows_its_history_and_leads_to_the_rest(client: Client) -> None:
    world = make_world()
    client.force_login(world["admin"])
    world["prefix"] = ApiKey.objects.get(pk=world["key"]).prefix

    def of(value: object) -> object:
        text = str(value)
        return world[text[1:]] if text.startswith("@") else value

    for (page, argument, value), (kind, target) in PAGES.items():
        wanted = Target(kind, str(of(target)), "it")
        name = "sandbox_policy.set" if page.endswith("_sandbox") else "team.changed"
        event = make_event(name, at=now(), target=wanted)
        make_event(name, at=now(), target=Target(kind, "another", "another"))
        response = client.get(reverse(page, kwargs={argument: of(value)}))
        shown = [one.uid for one in response.context["events"]]
        assert shown[:1] == [event.uid], page
        found = client.get(response.context["trail_url"]).context["page"].rows
        assert [one.uid for one in found] == shown, page
        assert event.uid in response.content.decode(), page


def test_a_person_who_may_not_read_the_trail_sees_none_of_it(client: Client) -> None:
    world = make_world()
    make_event(at=now())
    client.force_login(world["member"])
    response = client.get(reverse("team", kwargs={"slug": "sales"}))
    assert (response.context["events"], response.context["trail_url"]) == ([], "")
    assert "Auditors and administrators see" in response.content.decode()


def test_lists_of_keys_and_people_lead_to_what_they_did(client: Client) -> None:
    world = make_world()
    client.force_login(world["admin"])
    key = ApiKey.objects.get(pk=world["key"])
    text = client.get(reverse("keys")).content.decode()
    assert f"/audit/?q=key%3A{key.prefix}&amp;period=all" in text
    assert f"/audit/?q=target%3Akey%2F{key.pk}&amp;period=all" in text
    people = client.get(reverse("people")).content.decode()
    assert "/audit/?q=actor%3Auser%3Aalice&amp;period=all" in people


def test_a_long_history_costs_one_query_and_shows_the_newest(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    world = make_world()
    client.force_login(world["admin"])
    path = reverse("team", kwargs={"slug": "sales"})
    make_event(at=now())
    with CaptureQueriesContext(connection) as few:
        client.get(path)
    for _ in range(60):
        make_event(at=now())
    with django_assert_num_queries(len(few)):
        response = client.get(path)
    assert len(response.context["events"]) == 50
