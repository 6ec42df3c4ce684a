"""REST endpoints of the auditor's reports."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core.clock import now
from gateway.selectors.audit_reports import REPORTS
from tests.builders.audit import AGENT, make_event
from tests.builders.catalog import make_grant, make_server
from tests.builders.holds import make_approval, make_held_run, make_unknown
from tests.builders.identity import Cast, make_account, make_key
from tests.integration.gateway.pages.reporting import deny

SLUGS = [report.slug for report in REPORTS]


@pytest.fixture
def client(cast: Cast) -> Client:
    made = Client()
    made.force_login(cast.auditor)
    return made


def ask(client: Client, slug: str, query: str = "", **headers: Any) -> dict[str, Any]:
    answer = client.get(reverse(f"api_report_{slug}") + query, headers=headers)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def fill(cast: Cast, number: int) -> None:
    for one in range(number):
        deny()
        make_event("quota.set", actor=AGENT, at=now() - timedelta(hours=1))
        make_approval(state="rejected")
        make_unknown()
        make_grant(cast.team, make_server(name=f"s{number}-{one}"))
        make_key(make_account(cast.team), name=f"k{number}-{one}")


@pytest.mark.parametrize("slug", SLUGS)
def test_each_report_has_figures_rows_and_a_bounded_number_of_queries(
    slug: str, cast: Cast, client: Client
) -> None:
    report = next(one for one in REPORTS if one.slug == slug)
    fill(cast, 3)
    found = ask(client, slug)
    assert (found["period"] is None) == (not report.dated)
    assert len(found["results"]) >= 3
    assert set(found["results"][0]) == {column.name for column in report.columns}
    assert found["figures"][0]["value"] >= 3

    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            ask(client, slug)
        return len(captured)

    few = cost()
    fill(cast, 20)
    assert cost() == few


@pytest.mark.parametrize("slug", ["denied", "access"])
def test_pages_lead_to_all_rows(slug: str, cast: Cast, client: Client) -> None:
    for one in range(130):
        if slug == "denied":
            deny(f"reason {one}")
        else:
            make_grant(cast.team, make_server(name=f"s{one}"))
    first = ask(client, slug)
    assert (len(first["results"]), first["previous"]) == (100, None)
    second = client.get(first["next"]).json()
    assert (len(second["results"]), second["next"]) == (30, None)
    name = "event" if slug == "denied" else "subject"
    seen = {row[name] for page in (first, second) for row in page["results"]}
    assert len(seen) == 130


def test_filters_are_those_of_the_page(client: Client) -> None:
    deny(rules=("big-refunds",))
    deny()
    assert len(ask(client, "denied", "?rule=big-refunds")["results"]) == 1
    for query in ("?period=century", "?first=x", "?what=gossip"):
        answer = client.get(reverse("api_report_denied") + query)
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "invalid"


@pytest.mark.parametrize("slug", SLUGS)
def test_a_key_sees_its_own_team_alone(slug: str, cast: Cast) -> None:
    fill(cast, 1)
    make_approval(make_held_run(team="support"))
    theirs = make_key(make_account(cast.other_team), scopes=["audit:read"])
    found = ask(Client(), slug, authorization=f"Bearer {theirs.text}")
    teams = {row.get("team", "support") for row in found["results"]}
    assert teams <= {"support"}
    if slug == "access":
        holders = {row["holder"] for row in found["results"]}
        assert not any(one.startswith("team sales") for one in holders)
    if slug == "approvals":
        assert len(found["results"]) == 1
    if slug == "keys":
        assert [row["key"] for row in found["results"]] == [theirs.key.prefix]
