"""Top movers: what the ledger says of two windows, in words, figures and downloads."""

import csv
import io
import json
import re
from datetime import timedelta
from decimal import Decimal

import plotly.graph_objects as go
import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.models import Event
from core.clock import now
from core.money import total
from core.period import Period
from finops.movers import together
from finops.selectors.breakdown import breakdown
from finops.selectors.movers import cost_movers
from finops.selectors.scope import Scope
from policy.models import User
from tests.builders.finops import AT, make_fact, make_metered_run, make_usage
from tests.builders.identity import Cast
from tests.builders.reports import make_annotation

pytestmark = pytest.mark.django_db
ALL = Scope(teams=None)
NOW = Period(AT - timedelta(days=1), AT + timedelta(days=1), "UTC")
BEFORE = NOW.previous


def _of(*values: object) -> tuple[object, ...]:
    return values


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_calls_prices_and_mix_are_told_apart() -> None:
    before = AT - timedelta(days=2)
    # Ten calls at 0.10, with one token each at 0.05 …
    make_usage("tool/crm.list", "10", cost="1", at=before)
    make_usage("tokens/result", "10", cost="0.5", at=before)
    # … become twenty at 0.15, with three tokens each.
    make_usage("tool/crm.list", "20", cost="3", at=AT)
    make_usage("tokens/result", "60", cost="3", at=AT)
    found = cost_movers(ALL, NOW, BEFORE, "team")[0]
    assert _of(found.key, found.measure, found.change) == ("support", "calls", 4.5)
    assert _of(found.volume, found.rate, found.mix) == (1.5, 1, 2)
    assert {part.sku: _of(part.rate, part.mix) for part in found.parts} == {
        "tool/crm.list": (1, 0),
        "tokens/result": (0, 2),
    }


def test_reversed_and_unrated_usage_moves_nothing() -> None:
    booked = make_usage("tool/crm.list", "1", cost="5", at=AT)
    make_usage("tool/crm.list", "-1", cost="-5", at=AT, reverses=booked.uid)
    make_usage("tool/crm.list", "1", cost=None, at=AT)
    make_usage("tool/crm.list", "1", cost="1", at=AT)
    make_usage("tool/crm.list", "1", cost="1", at=AT - timedelta(days=2))
    found = cost_movers(ALL, NOW, BEFORE, "team")[0]
    # Two calls now, of which one has a price.
    assert _of(found.change, found.volume, found.mix) == (0, 1, -1)


@pytest.mark.parametrize("dimension", ["mode", "language"])
def test_what_stands_with_the_run_can_be_a_group(dimension: str) -> None:
    make_metered_run(at=AT, calls=1, tokens=0)
    make_metered_run(at=AT, calls=2, tokens=0, mode="direct", language="")
    keys = [one.key for one in cost_movers(ALL, NOW, BEFORE, dimension)]
    assert keys == {"mode": ["direct", "script"], "language": ["", "python"]}[dimension]
    assert [row.key for row in breakdown(ALL, NOW, dimension).groups] == keys


_rows = st.lists(
    st.tuples(
        st.sampled_from(["support", "sales"]),
        st.sampled_from(["tool/crm.list", "tokens/result", "tool/mail.send"]),
        st.integers(1, 10**9),
        st.integers(0, 10**15).map(lambda number: Decimal(number).scaleb(-12)),
        st.booleans(),
    ),
    max_size=12,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=_rows, dimension=st.sampled_from(["team", "tool", "sku", "server"]))
def test_effects_add_up_to_what_the_reports_say(
    rows: list[tuple[str, str, int, Decimal, bool]], dimension: str
) -> None:
    with transaction.atomic():
        for team, sku, quantity, cost, late in rows:
            at = AT if late else AT - timedelta(days=2)
            make_usage(sku, str(quantity), cost=str(cost), team=team, at=at)
        whole = together("", cost_movers(ALL, NOW, BEFORE, dimension))
        report = breakdown(ALL, NOW, dimension, against=BEFORE).total
        transaction.set_rollback(True)
    assert (whole.now, whole.before) == (report.cost, report.before)
    assert total((whole.volume, whole.rate, whole.mix)) == whole.change


def test_the_page_tells_why_and_leads_on(cast: Cast) -> None:
    at = now()
    for _ in range(2):
        make_metered_run(team="sales", calls=3, tokens=0, at=at)
    make_metered_run(team="sales", calls=1, tokens=0, at=at - timedelta(days=7))
    response = _client(cast.finance).get("/costs/movers/?period=7d")
    page = response.content.decode()
    assert "+0.005 USD: 5 more calls (+0.005)" in page
    figure = json.loads(
        re.findall(r'id="movers-figure" type="application/json">(.*?)</script>', page)[
            0
        ]
    )
    go.Figure(**figure)
    assert [trace["name"] for trace in figure["data"]] == ["Volume", "Rate", "Mix"]
    assert figure["data"][0]["x"] == [0.005]
    link = figure["data"][0]["customdata"][0][0]
    assert link.startswith("/costs/movers/?")
    assert "team=sales" in link
    inner = _client(cast.finance).get(link)
    assert inner.status_code == 200
    assert inner.context["dimension"] == "Project"
    assert "/runs/?" in page


def test_what_is_gone_leads_to_the_runs_before_and_changes_are_listed(
    cast: Cast,
) -> None:
    at = now()
    make_metered_run(team="sales", at=at - timedelta(days=7))
    make_annotation("Release 7", at=at, team="")
    response = _client(cast.finance).get("/costs/movers/?period=7d")
    [row] = response.context["page"].rows
    first = (at - timedelta(days=13)).date()
    assert f"first={first}" in row.runs_url
    assert "Release 7" in response.content.decode()


def test_any_window_can_be_compared_with(cast: Cast) -> None:
    make_usage(cost="3", at=AT)
    make_usage(cost="1", at=AT - timedelta(days=30))
    query = "first=2026-11-20&last=2026-11-20&against_first=2026-10-21"
    client = _client(cast.finance)
    for path in ("/costs/movers/", "/costs/"):
        response = client.get(f"{path}?{query}")
        assert "compared with 2026-10-21 UTC" in response.content.decode()
    assert client.get(f"/costs/?{query}").context["report"].total.before == 1
    until = client.get(
        "/costs/?first=2026-11-20&last=2026-11-21&against_last=2026-10-21"
    )
    assert until.context["against"].label == "2026-10-20 to 2026-10-21 UTC"
    wrong = client.get(f"/costs/?{query}&against_last=2026-10-01")
    assert wrong.status_code == 422


def test_the_download_is_exact_and_on_record(cast: Cast) -> None:
    make_usage("tool/crm.list", "3", cost="1.000000000001", team="sales", at=now())
    response = _client(cast.member).get("/costs/movers/?by=tool&export=csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(response).decode())))
    assert [(row["tool"], row["change"], row["volume"]) for row in rows] == [
        ("crm.list", "1.000000000001", "1.000000000001")
    ]
    body = json.loads(Event.objects.get(name="costs.exported").body)
    assert body["target"]["id"] == "movers/tool"
    refused = _client(cast.member).get("/costs/movers/?export=xls")
    assert refused.status_code == 422


def test_people_see_their_teams_alone(cast: Cast) -> None:
    make_usage(cost="4.5", team="support", at=now())
    page = _client(cast.member).get("/costs/movers/").content.decode()
    assert "4.5" not in page
    assert "Nothing was booked in either window" in page


def test_nothing_more_is_asked_for_more_rows(cast: Cast) -> None:
    client = _client(cast.finance)
    counts = []
    for rows in (3, 27):
        for number in range(rows):
            make_metered_run(team=f"t{rows}{number}", at=now())
        client.get("/costs/movers/")
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/costs/movers/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 14


def test_a_language_and_a_mode_narrow_what_is_counted() -> None:
    fact = make_fact(mode="script", language="typescript")
    make_usage(run=fact.run, cost="2", at=AT)
    make_usage(cost="9", at=AT)
    scope = Scope(teams=None, mode="script", language="typescript")
    assert breakdown(scope, NOW, "team").total.cost == 2
