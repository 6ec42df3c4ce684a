"""The first page: figures, what waits, recent runs, first steps."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from core.clock import now
from policy.models import Quota, QuotaUse
from policy.quota import window_of
from tests.builders.audit import make_event
from tests.builders.catalog import make_server, make_tool
from tests.builders.finops import make_fact, make_usage
from tests.builders.identity import Cast
from tests.builders.runs import make_run
from tests.integration.gateway.pages.conftest import Browse, queries_of

PATH = "/"


def test_headline_figures_with_the_change_in_words(cast: Cast, browse: Browse) -> None:
    at = now() - timedelta(minutes=5)
    make_fact(tokens=3000, cost="0.06", tool_calls=3, ended_at=at, team="sales")
    make_fact(tokens=2000, status="failed", cost="0.03", ended_at=at, team="sales",
              tool_calls=4, successful_calls=0)  # fmt: skip
    before = at - timedelta(days=7)
    make_fact(tokens=4000, cost="0.02", tool_calls=2, ended_at=before, team="sales")
    page = browse(cast.member).get(PATH).content.decode()
    assert "50.0 %" in page
    assert "−50.0 points, worse" in page
    assert "1 of 2 tasks with two or more tool calls; 95 % sure of 9 to 91 %." in page
    assert "+25.0 %, worse" in page  # 5,000 tokens a task, was 4,000
    assert "was 4,000" in page
    assert "0.09 USD, failures included, ÷ 3 successful tool calls." in page
    assert "+200.0 %, worse" in page  # 0.03 an action, was 0.01
    assert "500 ms in the queue, 1.5 s running" in page
    assert "no change" in page


def test_a_member_sees_the_own_team_only(cast: Cast, browse: Browse) -> None:
    at = now() - timedelta(minutes=5)
    make_fact(ended_at=at, team="sales")
    make_fact(ended_at=at, team="elsewhere")
    mine = make_run(team="sales", at=at)
    theirs = make_run(team="elsewhere", at=at)
    member = browse(cast.member).get(PATH)
    assert member.context["figures"].runs == 1
    assert mine.uid in member.content.decode()
    assert theirs.uid not in member.content.decode()
    assert browse(cast.member).get("/?team=elsewhere").context["figures"].runs == 0
    assert browse(cast.auditor).get(PATH).context["figures"].runs == 2


def test_nobody_sees_it_without_signing_in(client: Client, db: None) -> None:
    response = client.get(PATH)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("sign_in"))


def test_an_empty_installation_says_what_to_do_first(
    cast: Cast, browse: Browse
) -> None:
    admin = browse(cast.admin).get(PATH).content.decode()
    assert "Nothing has run yet" in admin
    assert f'href="{reverse("server_add")}"' in admin
    member = browse(cast.member).get(PATH).content.decode()
    assert f'href="{reverse("server_add")}"' not in member
    make_fact(ended_at=now() - timedelta(days=90))
    assert "Nothing has run yet" not in browse(cast.admin).get(PATH).content.decode()


def test_what_waits_is_listed_for_whom_it_concerns(cast: Cast, browse: Browse) -> None:
    at = now()
    server = make_server(health="down")
    make_tool(server, confirmed_by="")
    make_run(team="sales", status="failed", at=at - timedelta(hours=1))
    make_run(team="elsewhere", status="failed", at=at - timedelta(hours=1))
    make_run(team="sales", status="failed", at=at - timedelta(hours=25))
    make_usage(team="sales", cost=None, at=at)
    quota = Quota.objects.create(team=cast.team, metric="runs", window="day", limit=10)
    full = QuotaUse.objects.create(
        quota=quota, window_start=window_of("day", at)[0], used=8
    )
    texts = [
        (item.count, item.text)
        for item in browse(cast.member).get(PATH).context["todo"]
    ]
    assert texts == [
        (1, "tool server does not answer"),
        (1, "run failed in the last 24 hours"),
        (1, "quota is near its limit"),
        (1, "quantity of the last 30 days without a price"),
    ]
    admin = [item.text for item in browse(cast.admin).get(PATH).context["todo"]]
    assert "tool's effect is to be confirmed; until then it is a write" in admin
    assert "runs failed in the last 24 hours" in admin
    full.used = 7
    full.save()
    left = [item.text for item in browse(cast.member).get(PATH).context["todo"]]
    assert "quota is near its limit" not in left


def test_nothing_that_waits_is_said_too(cast: Cast, browse: Browse) -> None:
    assert "Nothing waits for you" in browse(cast.member).get(PATH).content.decode()


def test_open_first_runs_are_told_as_pending(cast: Cast, browse: Browse) -> None:
    make_fact(ended_at=now() - timedelta(minutes=1), team="sales")
    make_run(team="sales", status="running", at=now())
    page = browse(cast.member).get(PATH).content.decode()
    assert "1 first run is still open (50.0 % pending)" in page


@pytest.mark.parametrize("query", ["period=never", "last=31.12.2026"])
def test_filters_that_cannot_be_used_are_marked(
    cast: Cast, browse: Browse, query: str
) -> None:
    response = browse(cast.member).get(f"/?{query}")
    assert response.status_code == 422
    assert 'role="alert"' in response.content.decode()


def test_the_page_costs_the_same_queries_with_more_runs(
    cast: Cast, browse: Browse
) -> None:
    client = browse(cast.admin)
    counts = []
    for rows in (3, 27):
        for _ in range(rows):
            make_fact(ended_at=now() - timedelta(minutes=1))
            make_run(at=now())
        counts.append(queries_of(client, PATH))
    assert counts[0] == counts[1] <= 27


def test_refusals_of_a_day_are_told_to_who_reads_the_trail(
    cast: Cast, browse: Browse
) -> None:
    text = "refusals in the last 24 hours"
    make_event(at=now() - timedelta(days=2), decision="deny")
    for _ in range(2):
        make_event(at=now(), decision="deny")
    make_event(at=now(), decision="allow")
    (found,) = [
        item
        for item in browse(cast.auditor).get(PATH).context["todo"]
        if item.text == text
    ]
    assert found.count == 2
    page = browse(cast.auditor).get(found.url).context["page"]
    assert [event.decision for event in page.rows] == ["deny", "deny"]
    assert text not in str(browse(cast.member).get(PATH).context["todo"])
