"""Pages and REST API of budgets."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from audit.models import Event
from core.clock import now
from finops.models import Budget, BudgetAlert, BudgetHold, BudgetRefusal, BudgetUse
from finops.selectors import budgets as selectors
from finops.services.budget_changes import remove_budget
from policy.models import User
from tests.builders.budgets import make_budget
from tests.builders.finops import make_fact, make_usage
from tests.builders.identity import (
    ACTOR,
    Cast,
    make_account,
    make_key,
    make_project,
    make_team,
)
from tests.integration.gateway.pages.conftest import queries_of

pytestmark = pytest.mark.django_db
PATH, API = "/budgets/", "/api/v1/budgets/"
Browse = Callable[[User], Client]
TERMS = {"name": "Sales month", "amount": "25", "reason": "agreed"}


@pytest.fixture
def browse() -> Browse:
    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


def _now(amount: str, *, spent: str = "0", held: str = "0", **values: Any) -> Budget:
    budget = make_budget(amount, at=now(), **values)
    uses = BudgetUse.objects.filter(budget=budget)
    uses.update(spent=Decimal(spent), held=Decimal(held))
    return budget


def test_the_list_shows_the_fullest_first_and_exports_it(
    cast: Cast, browse: Browse
) -> None:
    _now("10", name="Low", spent="1")
    _now("10", name="Stopped", spent="9.5", held="0.5")
    _now("10", name="Near", spent="8", hard=False, thresholds=(50,))
    _now("10", name="Over", spent="11", hard=False)
    client = browse(cast.finance)
    page = client.get(PATH).content.decode()
    order = [page.index(f">{name}</a>") for name in ("Over", "Stopped", "Near", "Low")]
    assert order == sorted(order)
    rows = list(csv.DictReader(io.StringIO(_text(client, f"{PATH}?export=csv"))))
    assert [(row["name"], row["state"], row["left"]) for row in rows] == [
        ("Over", "over", "0"),
        ("Stopped", "stopped", "0"),
        ("Near", "near", "2"),
        ("Low", "ok", "9"),
    ]
    near = client.get(f"{PATH}?state=pressing").content.decode()
    assert ">Low</a>" not in near
    assert ">Near</a>" in near
    assert Event.objects.filter(name="list.exported").count() == 1


def _text(client: Client, path: str) -> str:
    response: Any = client.get(path)
    return b"".join(response.streaming_content).decode()


def test_members_see_their_teams_budgets_alone(cast: Cast, browse: Browse) -> None:
    key = make_key(make_account(cast.team)).key
    make_project(cast.team, "web")
    _now("10", name="Our team", team=cast.team)
    _now("10", name="Our key", key=key)
    hidden = [
        _now("10", name="Everybody"),
        _now("10", name="Theirs", team=make_team("support")),
        _now("10", name="Modelled", model="qwen3"),
    ]
    client = browse(cast.member)
    page = client.get(PATH).content.decode()
    assert ">Our team</a>" in page
    assert ">Our key</a>" in page
    for budget in hidden:
        assert budget.name not in page
        assert client.get(f"{PATH}{budget.uid}/").status_code == 404
        assert client.get(f"{API}{budget.uid}/").status_code == 404
    assert "New budget" not in page


def test_the_page_tells_all_of_a_budget(cast: Cast, browse: Browse) -> None:
    at = now()
    # Of this month, also in its first minutes.
    used = max(at - timedelta(minutes=5), at.replace(day=1, hour=0, minute=0, second=0))
    make_usage(cost="3", at=used, team=cast.team.slug)
    fact = make_fact(team=cast.team.slug, cost="3", ended_at=used)
    budget = make_budget("10", name="Ours", team=cast.team, at=at, thresholds=(20,))
    use = BudgetUse.objects.get(budget=budget)
    assert use.spent == 3
    BudgetHold.objects.create(
        holder="run_held",
        budget=budget,
        window_start=use.window_start,
        amount=Decimal(1),
        at=at,
    )
    BudgetRefusal.objects.create(
        budget=budget,
        at=at,
        principal="shop agent",
        team="sales",
        asked=Decimal(9),
        left=Decimal(7),
        event="ev_1",
    )
    BudgetAlert.objects.create(
        uid="alert_1",
        budget=budget,
        window_start=use.window_start,
        kind="threshold",
        about="20",
        at=at,
        text="20 % is reached.",
    )
    page = browse(cast.member).get(f"{PATH}{budget.uid}/").content.decode()
    for text in ("run_held", fact.run, "shop agent", "20 % is reached.", "a test"):
        assert text in page, text
    client = browse(cast.admin)
    rows = list(
        csv.DictReader(io.StringIO(_text(client, f"{PATH}{budget.uid}/?export=csv")))
    )
    assert sum(Decimal(row["cost"]) for row in rows) == 3
    today = selectors.days_of(selectors.line_of(budget, at=at), at=at)
    assert max(day.total for day in today if day.total is not None) == 3


def test_a_budget_is_set_changed_and_removed_on_its_pages(
    cast: Cast, browse: Browse
) -> None:
    client = browse(cast.finance)
    sent = {
        **TERMS,
        "team": cast.team.slug,
        "period": "weeks",
        "first_day": "2026-11-02",
        "every": "2",
        "hard": "on",
        "grace_percent": "10",
        "grace_until": "2026-11-30",
        "thresholds": "80, 50",
    }
    assert client.post(f"{PATH}add/", sent | {"first_day": ""}).status_code == 422
    assert client.post(f"{PATH}add/", sent | {"thresholds": "x"}).status_code == 422
    assert client.post(f"{PATH}add/", sent | {"project": "no"}).status_code == 422
    assert client.post(f"{PATH}add/", sent).status_code == 302
    budget = Budget.objects.get()
    assert (budget.every_days, budget.first_day) == (14, date(2026, 11, 2))
    assert budget.thresholds == [50, 80]
    assert budget.grace_until is not None
    assert budget.grace_until.isoformat() == "2026-12-01T00:00:00+00:00"
    form = client.get(f"{PATH}{budget.uid}/change/").content.decode()
    assert 'value="2026-11-30"' in form
    changed = {"name": "Sales", "amount": "30", "reason": "more", "thresholds": "90"}
    response = client.post(f"{PATH}{budget.uid}/change/", changed)
    assert response.status_code == 302
    budget.refresh_from_db()
    assert (int(budget.amount), budget.hard, budget.version) == (30, False, 2)
    assert budget.every_days == 14
    pause = f"{PATH}{budget.uid}/pause/"
    assert client.post(pause, {}).status_code == 422
    client.post(pause, {"reason": "a migration"})
    assert ">Sales</a>" in client.get(f"{PATH}?state=paused").content.decode()
    assert "refuses nothing and tells nobody" in client.get(pause[:-6]).content.decode()
    client.post(pause, {"reason": "it is over", "resume": "1"})
    budget.refresh_from_db()
    assert (budget.paused, budget.version) == (False, 4)
    assert client.post(f"{PATH}{budget.uid}/remove/", {}).status_code == 422
    client.post(f"{PATH}{budget.uid}/remove/", {"reason": "over"})
    assert ">Sales</a>" not in client.get(PATH).content.decode()
    assert ">Sales</a>" in client.get(f"{PATH}?state=removed").content.decode()
    page = client.get(f"{PATH}{budget.uid}/").content.decode()
    assert "bounds nothing" in page
    assert "/change/" not in page


def test_the_api_reads_for_keys_and_writes_for_people(
    cast: Cast, browse: Browse
) -> None:
    client = browse(cast.finance)

    def post(path: str, body: dict[str, Any]) -> Any:
        return client.post(path, json.dumps(body), content_type="application/json")

    body = {
        **TERMS,
        "team": cast.team.slug,
        "hard": True,
        "thresholds": [50],
        "reserve": "0.5",
    }
    made = post(f"{API}set/", body)
    assert made.status_code == 201, made.content
    uid = made.json()["budget"]
    assert made.json()["limit"] == "25.000000000000"
    changed = post(f"{API}{uid}/change/", {"amount": "50", "reason": "more"}).json()
    assert (changed["amount"], changed["hard"]) == ("50.000000000000", True)
    assert (changed["thresholds"], changed["version"]) == ([50], 2)
    wrong = post(f"{API}{uid}/change/", {"channels": ["none"], "reason": "r"})
    assert wrong.status_code == 422
    key = make_key(make_account(cast.team), scopes=["costs:read", "costs:write"])
    bearer = {"Authorization": f"Bearer {key.text}"}
    shown = Client().get(API, headers=bearer).json()["results"]
    assert [one["name"] for one in shown] == ["Sales month"]
    refused = Client().post(
        f"{API}{uid}/change/",
        json.dumps({"amount": "1000", "reason": "mine"}),
        content_type="application/json",
        headers=bearer,
    )
    assert refused.status_code == 403
    assert Budget.objects.get().amount == 50
    assert post(f"{API}{uid}/remove/", {"reason": "over"}).status_code == 204
    assert client.get(API).json()["results"] == []


def test_what_needs_a_look_is_on_the_overview(cast: Cast, browse: Browse) -> None:
    client = browse(cast.member)
    _now("10", team=cast.team, spent="7.9")
    _now("10", spent="10")
    assert "needs a look" not in client.get("/").content.decode()
    _now("10", team=cast.team, spent="8")
    assert "budget needs a look" in client.get("/").content.decode()


def test_the_list_costs_the_same_for_3_and_30(cast: Cast, browse: Browse) -> None:
    client = browse(cast.finance)
    for number in range(3):
        _now("10", name=f"B{number}", team=cast.team, thresholds=(50,))
    client.get(PATH)
    few = queries_of(client, PATH)
    for number in range(3, 30):
        _now("10", name=f"B{number}", team=cast.team, thresholds=(50,))
    assert queries_of(client, PATH) == few
    assert few <= 12


def test_a_page_costs_a_bounded_number(cast: Cast, browse: Browse) -> None:
    client = browse(cast.finance)
    budget = _now("10", team=cast.team)
    remove_budget(uid=_now("1").uid, reason="r", actor=ACTOR, at=now())
    path = f"{PATH}{budget.uid}/"
    client.get(path)
    assert queries_of(client, path) <= 20
