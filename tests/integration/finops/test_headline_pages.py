"""The headline reports as pages, files and REST: figures counted by hand."""

import csv
import io
import json
import re
from datetime import timedelta
from itertools import cycle
from typing import Any

import plotly.graph_objects as go
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from core.clock import now
from finops.headline_kinds import KINDS
from finops.selectors.headline import DIMENSIONS
from finops.services.rollups import keep_up
from policy.models import User
from tests.builders.finops import make_fact, make_metered_run
from tests.builders.identity import (
    Cast,
    make_account,
    make_environment,
    make_key,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def finance(cast: Cast) -> Client:
    return _client(cast.finance)


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _figure(page: str, name: str) -> dict[str, Any]:
    found = re.search(rf'id="{name}" type="application/json">(.*?)</script>', page)
    assert found
    figure: dict[str, Any] = json.loads(found[1])
    go.Figure(**figure)
    return figure


def _csv(client: Client, path: str) -> list[dict[str, str]]:
    text = b"".join(client.get(path)).decode()
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("slug", "by"),
    [*((slug, "") for slug in KINDS), *zip(cycle(KINDS), DIMENSIONS, strict=False)],
)
def test_each_report_by_each_dimension(finance: Client, slug: str, by: str) -> None:
    make_metered_run(at=now(), calls=3, model="m-1")
    make_metered_run(at=now(), team="sales", status="failed")
    response = finance.get(f"/reports/{slug}/?by={by}")
    page = response.content.decode()
    assert response.status_code == 200
    assert "Figures: exact." in page
    _figure(page, "time-figure")
    rows = _csv(finance, f"/reports/{slug}/?by={by}&export=csv")
    assert rows
    assert {row["precision"] for row in rows} == {"exact"}
    if by:
        _figure(page, "group-figure")
        assert len(rows) == len(response.context["rows"])


def test_pages_and_files_of_sums_say_so(finance: Client, settings: Any) -> None:
    settings.EXACT_RUNS = 1
    for days in (2, 9):
        make_metered_run(at=now() - timedelta(days=days), run_seconds=9.5)
    keep_up(at=now())
    paths = ("/", "/reports/", *(f"/reports/{slug}/?by=team" for slug in KINDS))
    for path in paths:
        assert "Figures: ±1 %." in finance.get(path).content.decode(), path
    for row in _csv(finance, "/reports/time/?by=team&export=csv"):
        assert (row["precision"], row["team"]) == ("±1 %", "support")
        assert float(row["p50_seconds"]) == pytest.approx(10, rel=0.01)
    # No sketch is of two dimensions beside the team.
    page = finance.get("/reports/time/?by=mode&model=m-1").content.decode()
    assert "Figures: exact." in page


def test_first_try_with_its_interval_and_against_the_week_before(
    finance: Client,
) -> None:
    at, before = now(), now() - timedelta(days=7)
    for status in ("succeeded", "succeeded", "succeeded", "failed"):
        make_fact(ended_at=at, status=status)
    make_fact(ended_at=before)
    make_fact(ended_at=before, status="failed")
    make_fact(ended_at=at, team="sales")
    response = finance.get("/reports/first-try/?by=team")
    rows = {row.label: row for row in response.context["rows"]}
    support = rows["support"]
    assert (support.value, support.before) == ("75.0 %", "50.0 %")
    assert support.delta.text == "+25.0 points"
    # Wilson's interval of 3 in 4.
    assert support.cells == ("30.1 %", "95.4 %", "3", "4")
    assert rows["sales"].delta.text == "no figure before"
    figure = _figure(response.content.decode(), "group-figure")
    bar = figure["data"][0]
    place = bar["y"].index("support")
    assert bar["x"][place] == 75
    assert bar["error_x"]["array"][place] == pytest.approx(20.44, abs=0.01)


def test_time_shows_the_parts_near_p95_and_cost_is_a_ratio_of_sums(
    finance: Client,
) -> None:
    for seconds in range(1, 41):
        make_fact(
            ended_at=now(), queue_seconds=seconds, hold_seconds=0, run_seconds=1,
            tool_calls=2, cost="0.10",
        )  # fmt: skip
    time = finance.get("/reports/time/").context["whole"]
    assert time.value == "39.0 s"
    assert time.cells[:4] == ("21.5 s", "38.0 s", "0 µs", "1.0 s")
    cost = _csv(finance, "/reports/cost-per-action/?export=csv")[0]
    assert (cost["cost_per_action"], cost["actions"]) == ("0.050000000000", "80")
    body = json.loads(Event.objects.get(name="costs.exported").body)
    assert body["target"]["id"] == "reports/cost-per-action"


def test_a_group_leads_to_a_finer_report_and_to_its_runs(finance: Client) -> None:
    make_environment("dev")
    make_fact(ended_at=now(), model="m-1")
    row = finance.get("/reports/tokens/?by=team&environment=dev").context["rows"][0]
    assert row.url.startswith("/reports/tokens/?")
    assert "team=support" in row.url
    assert "by=project" in row.url
    assert "environment=dev" in row.url
    assert row.runs_url.startswith("/runs/?")
    figure = finance.get("/reports/first-try/?environment=dev").context["figure"]
    point = figure["data"][0]["customdata"][-1][0]
    assert "status=failed" in point
    assert "counted=ended" in point
    assert finance.get(point).status_code == 200
    assert finance.get(row.url).status_code == 200
    assert finance.get(row.runs_url).status_code == 200


def test_members_see_their_teams_and_nothing_is_said_of_others(cast: Cast) -> None:
    make_fact(ended_at=now(), team="support", tokens=777_777)
    client = _client(cast.member)
    assert "777,777" not in client.get("/reports/tokens/?by=team").content.decode()
    index = client.get("/reports/").content.decode()
    assert "Your teams only." in index
    assert "777,777" not in index


def test_the_index_has_each_figure_and_keeps_the_filters(finance: Client) -> None:
    make_fact(ended_at=now(), tokens=1_234, tokens_avoided=-50)
    page = finance.get("/reports/?team=support").content.decode()
    for slug in KINDS:
        assert f"/reports/{slug}/?team=support" in page
    assert "1,234" in page
    assert "-50" in page


def test_what_cannot_be_used_says_so(finance: Client) -> None:
    assert finance.get("/reports/none/").status_code == 404
    for query in ("by=sku", "by=day", "period=decade", "first=x"):
        assert finance.get(f"/reports/time/?{query}").status_code == 422
    assert finance.get("/reports/?period=decade").status_code == 422
    assert finance.get("/reports/time/?export=xls").status_code == 422


def test_rest_answers_as_the_page_does(cast: Cast) -> None:
    make_metered_run(at=now(), calls=2, team="sales")
    make_metered_run(at=now(), calls=9, team="support")
    key = make_key(make_account(cast.team), scopes=["costs:read"]).text
    client = Client(headers={"Authorization": f"Bearer {key}"})
    path = "/api/v1/reports/cost-per-action/"
    body = client.get(f"{path}?by=tool").json()
    assert body["precision"] == "exact"
    assert (body["total"]["actions"], body["currency"]) == (2, "USD")
    assert [group["key"] for group in body["groups"]] == ["crm.list_orders"]
    assert body["groups"][0]["value"] == "0.001000000000"
    rows = _csv(client, f"{path}?export=csv")
    assert [row["actions"] for row in rows] == ["2"]
    assert client.get("/api/v1/reports/none/").status_code == 404
    wrong = client.get(f"{path}?by=colour")
    assert wrong.status_code == 422
    assert "by" in wrong.json()["error"]["message"]


def test_more_groups_ask_no_more_queries(finance: Client) -> None:
    counts = []
    for rows in (3, 27):
        for number in range(rows):
            make_fact(ended_at=now(), team=f"t{rows}{number}")
        finance.get("/reports/time/?by=team")
        with CaptureQueriesContext(connection) as queries:
            assert finance.get("/reports/time/?by=team").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 28
