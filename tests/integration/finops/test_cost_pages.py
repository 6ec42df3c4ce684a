"""The cost report and the price book in the browser."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from audit.models import Event
from core.clock import now
from finops.models import Price
from policy.models import User
from tests.builders.finops import make_metered_run, make_price, make_usage
from tests.builders.identity import Cast

pytestmark = pytest.mark.django_db


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _rows(client: Client, query: str = "") -> list[dict[str, str]]:
    response = client.get(f"/costs/?export=csv{query}")
    assert response.status_code == 200
    text = b"".join(response).decode()
    return list(csv.DictReader(io.StringIO(text)))


def _figure(page: str) -> dict[str, Any]:
    found = re.search(
        r'<script id="cost-figure" type="application/json">(.*?)</script>', page
    )
    assert found
    figure: dict[str, Any] = json.loads(found[1])
    return figure


def test_people_see_the_costs_of_their_teams(cast: Cast) -> None:
    make_usage(cost="1.25", team="sales", at=now())
    make_usage(cost="7.50", team="support", at=now())
    member = _client(cast.member).get("/costs/").content.decode()
    assert "1.25 USD" in member
    assert "7.50" not in member
    for user in (cast.finance, cast.auditor, cast.admin):
        assert "8.75 USD" in _client(user).get("/costs/").content.decode()
    assert _rows(_client(cast.member))[0]["team"] == "sales"
    # A filter narrows what may be seen, and never widens it.
    other = _client(cast.member).get("/costs/?team=support").content.decode()
    assert "7.50" not in other
    assert "Nothing was booked that matches" in other
    outsider = _client(cast.outsider).get("/costs/").content.decode()
    assert "7.50 USD" in outsider
    assert "1.25" not in outsider


@pytest.mark.parametrize(
    "by", ["team", "project", "environment", "tool", "model", "sku", "day", "principal"]
)
def test_the_download_says_what_the_page_says(cast: Cast, by: str) -> None:
    at = now()
    make_metered_run(tool="crm.list", calls=3, tokens=500, at=at, model="m-1")
    make_metered_run(
        tool="mail.send", calls=1, tokens=70, at=at, team="sales", environment="prod"
    )
    make_metered_run(
        tool="crm.get", calls=9, at=at - timedelta(days=3), status="failed"
    )
    client = _client(cast.finance)
    response = client.get(f"/costs/?by={by}")
    report = response.context["report"]
    rows = _rows(client, f"&by={by}")
    assert [row[by] for row in rows] == [group.key for group in report.groups]
    assert [Decimal(row["cost"]) for row in rows] == [
        group.cost for group in report.groups
    ]
    assert [int(row["calls"]) for row in rows] == [
        group.calls for group in report.groups
    ]
    assert sum(Decimal(row["cost"]) for row in rows) == Decimal("0.01771")
    lines = client.get(f"/costs/?by={by}&export=json")
    parsed = [json.loads(line) for line in b"".join(lines).decode().splitlines()]
    assert [str(row["cost"]) for row in parsed] == [row["cost"] for row in rows]


def test_a_download_is_on_record_with_its_filters(cast: Cast) -> None:
    day = f"{now():%Y-%m-%d}"
    _rows(_client(cast.finance), f"&by=tool&environment=prod&first={day}")
    event = Event.objects.get(name="costs.exported")
    body = json.loads(event.body)
    assert event.actor_id == f"user:{cast.finance.username}"
    assert body["payload"]["filters"] == f"first={day}, environment=prod, by=tool"
    assert body["payload"]["form"] == "csv"


def test_an_unknown_form_is_refused_and_not_recorded(cast: Cast) -> None:
    response = _client(cast.finance).get("/costs/?export=xlsb")
    assert response.status_code == 422
    assert "use csv or json" in response.content.decode()
    assert not Event.objects.filter(name="costs.exported").exists()


def test_the_figure_is_one_that_plotly_knows_and_adds_up(cast: Cast) -> None:
    at = now()
    for number in range(9):
        make_usage(cost=str(number + 1), team=f"t{number}", at=at)
    page = _client(cast.finance).get("/costs/").content.decode()
    figure = _figure(page)
    go.Figure(**figure)  # raises ValueError for anything that is no figure
    bars = [trace for trace in figure["data"] if trace["type"] == "bar"]
    assert [bar["name"] for bar in bars] == [
        "t8", "t7", "t6", "t5", "t4", "t3", "All others",
    ]  # fmt: skip
    assert sum(bar["y"][-1] for bar in bars) == 45
    assert figure["data"][-1]["name"] == "Previous period"
    for bar in bars:
        assert all(link[0].startswith("/costs/?") for link in bar["customdata"])
    assert not re.search(r"Z|[+-]\d\d:\d\d", "".join(bars[0]["x"]))


def test_a_click_on_a_bar_leads_to_its_day_and_group(cast: Cast) -> None:
    day = now().date()
    make_usage(cost="3", team="sales", at=now())
    make_usage(cost="4", team="support", at=now())
    client = _client(cast.finance)
    figure = _figure(client.get("/costs/").content.decode())
    sales = next(trace for trace in figure["data"] if trace["name"] == "sales")
    link = sales["customdata"][-1][0]
    assert f"first={day}" in link
    behind = client.get(link)
    assert behind.context["report"].total.cost == 3
    assert behind.context["report"].dimension == "project"


def test_a_row_leads_to_its_runs_in_the_same_period(cast: Cast) -> None:
    make_metered_run(team="sales", at=now())
    page = _client(cast.finance).get("/costs/?period=month&by=team").content.decode()
    first = now().date().replace(day=1)
    assert f"/runs/?first={first}&amp;last={now().date()}&amp;team=sales" in page
    by_project = _client(cast.finance).get("/costs/?by=project").content.decode()
    assert "/runs/?period=30d&amp;project=sales%2Fdefault" in by_project
    # The list of runs has no filter by SKU: no link that would show too much.
    assert "/runs/?" not in _client(cast.finance).get("/costs/?by=sku").content.decode()


@pytest.mark.parametrize(
    "query",
    ["period=decade", "first=yesterday", "by=colour", "mode=x", "team=" + "x" * 41],
)
def test_filters_that_cannot_be_used_are_marked(cast: Cast, query: str) -> None:
    response = _client(cast.finance).get(f"/costs/?{query}")
    assert response.status_code == 422
    assert 'role="alert"' in response.content.decode()


def test_dates_in_the_wrong_order_say_what_to_do(cast: Cast) -> None:
    response = _client(cast.finance).get("/costs/?first=2026-11-02&last=2026-11-01")
    assert response.status_code == 422
    assert "swap the two dates" in response.content.decode()


def test_a_team_that_is_gone_stays_a_filter(cast: Cast) -> None:
    make_usage(cost="3", team="dissolved", at=now())
    response = _client(cast.finance).get("/costs/?team=dissolved")
    assert response.context["report"].total.cost == 3
    assert '<option value="dissolved" selected>' in response.content.decode()


def test_unrated_usage_is_shown_and_not_free(cast: Cast) -> None:
    make_usage(cost=None, at=now())
    page = _client(cast.finance).get("/costs/").content.decode()
    assert "and 1 unrated" in page
    assert "Which SKUs have no price?" in page


def test_nothing_booked_says_what_next(cast: Cast) -> None:
    page = _client(cast.member).get("/costs/").content.decode()
    assert "Nothing was booked in this period" in page


def test_columns_sort_what_is_shown(cast: Cast) -> None:
    at = now()
    make_metered_run(team="a", calls=1, tokens=0, at=at)
    make_metered_run(team="b", calls=0, tokens=9, at=at)
    client = _client(cast.finance)

    def order(sort: str) -> list[str]:
        rows = client.get(f"/costs/?sort={sort}").context["rows"]
        return [row.label for row in rows]

    assert order("-cost") == ["a", "b"]
    assert order("cost") == ["b", "a"]
    assert order("-tokens") == ["b", "a"]
    assert order("nonsense") == ["a", "b"]


@pytest.mark.parametrize("path", ["/costs/", "/costs/?by=tool", "/costs/?by=day"])
def test_the_page_costs_the_same_queries_with_more_rows(cast: Cast, path: str) -> None:
    client = _client(cast.finance)
    counts = []
    for rows in (3, 27):
        for number in range(rows):
            make_metered_run(team=f"t{rows}{number}", tool=f"crm.x{number}", at=now())
        client.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 14


def _price(client: Client, **changes: str) -> Any:
    values = {
        "sku": "tool/crm.*",
        "unit": "Requests",
        "amount": "0.0002",
        "valid_from": "2026-12-01",
        "reason": "Contract 2026-117",
    }
    return client.post("/costs/prices/set/", values | changes)


def test_finance_sets_a_price_and_the_book_shows_it(cast: Cast) -> None:
    make_price("tool/crm.*", "0.0001", unit="Requests")
    client = _client(cast.finance)
    day = f"{now() + timedelta(days=9):%Y-%m-%d}"
    response = _price(client, valid_from=day)
    assert response.status_code == 302
    page = client.get(response["Location"]).content.decode()
    assert f"tool/crm.* costs 0.0002 USD a Requests from {day}" in page
    assert "planned" in page
    assert "replaced" in page
    event = Event.objects.get(name="price.set")
    assert event.actor_id == f"user:{cast.finance.username}"
    assert "Contract 2026-117" in event.summary


def test_days_of_prices_are_those_of_the_zone(cast: Cast, settings: Settings) -> None:
    settings.REPORT_TIME_ZONE = "Pacific/Auckland"
    client = _client(cast.finance)
    response = _price(client, valid_from="2026-10-01")
    for page in (
        client.get(response["Location"]).content.decode(),
        client.get("/costs/prices/").content.decode(),
    ):
        assert "2026-10-01" in page
        assert "2026-09-30" not in page
    make_price(
        "platform/licence/gw",
        "5",
        unit="Months",
        valid_from=datetime(2026, 9, 30, 11, tzinfo=UTC),
    )
    fixed = client.get("/costs/platform/").content.decode()
    assert "2026-10-01" in fixed
    assert "2026-09-30" not in fixed


@pytest.mark.parametrize("role", ["member", "auditor", "outsider"])
def test_others_may_not_set_prices_and_nothing_changes(cast: Cast, role: str) -> None:
    response = _price(_client(getattr(cast, role)))
    assert response.status_code == 403
    assert not Price.objects.exists()
    denied = Event.objects.get(name="access.denied")
    assert denied.decision == "deny"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amount": "-1"}, "greater than or equal to 0"),
        ({"amount": "free"}, "Enter a number"),
        ({"amount": "0.0000000000001"}, "12 decimal places"),
        ({"sku": "tokens"}, "is no SKU"),
        ({"reason": ""}, "required"),
        ({"unit": ""}, "required"),
        ({"valid_from": "soon"}, "valid date"),
    ],
)
def test_a_bad_price_is_marked_and_not_set(
    cast: Cast, changes: dict[str, str], message: str
) -> None:
    response = _price(_client(cast.finance), **changes)
    assert response.status_code == 422
    assert message in response.content.decode()
    assert not Price.objects.exists()


def test_the_form_is_shown_to_those_who_may(cast: Cast) -> None:
    assert 'action="/costs/prices/set/"' in (
        _client(cast.finance).get("/costs/prices/").content.decode()
    )
    member = _client(cast.member).get("/costs/prices/").content.decode()
    assert 'action="/costs/prices/set/"' not in member
    assert "Ask one of them" in member


def test_prices_are_set_by_post_only(cast: Cast) -> None:
    assert _client(cast.finance).get("/costs/prices/set/").status_code == 405
