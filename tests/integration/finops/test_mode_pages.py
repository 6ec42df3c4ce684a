"""Scripts against direct calls: which tasks count, and the page, files and REST."""

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from audit.models import Event
from core.clock import now
from core.ids import new_id
from core.period import asked_for
from finops.modes import Comparison
from finops.selectors.modes import ModesReport, modes_report
from finops.selectors.scope import Scope
from policy.models import User
from tests.builders.finops import make_fact
from tests.builders.identity import Cast, make_account, make_key
from tests.integration.gateway.pages.conftest import queries_of

pytestmark = pytest.mark.django_db
PATH, API = "/reports/modes/", "/api/v1/reports/modes/"
CRM = ("crm.get_order", "crm.list_orders")


def script(*tools: str, failed: bool = False, **more: object) -> None:
    """A task of one script."""
    values = {"tools": list(tools), "tool_calls": 2, "ended_at": now(), **more}
    make_fact(status="failed" if failed else "succeeded", **values)  # type: ignore[arg-type]


def direct(*tools: str, failed: bool = False, **more: object) -> None:
    """A task of one direct call for each tool; the last may fail."""
    task, values = new_id("task"), {"tool_calls": 1, "ended_at": now(), **more}
    for number, tool in enumerate(tools, 1):
        last = number == len(tools)
        make_fact(
            task=task,
            attempt=number,
            mode="direct",
            language="",
            tools=[tool],
            status="failed" if failed and last else "succeeded",
            **values,  # type: ignore[arg-type]
        )


def report(**scope: str) -> ModesReport:
    period = asked_for(first=None, last=None, name="30d", zone="UTC", at=now())
    return modes_report(Scope(teams=None, **scope), period)


def chief(**scope: str) -> Comparison:
    return report(**scope).comparisons[0]


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_tasks_are_alike_when_they_used_the_same_tools() -> None:
    script(*CRM)
    script("web.fetch", *CRM)
    direct(*CRM)
    direct(*reversed(CRM), failed=True)
    direct("crm.list_orders")  # One call: it shows nothing of kinds of run.
    found = chief()
    assert [side.tasks for side in found.whole] == [2, 2]
    assert [side.tasks for side in found.like] == [1, 2]
    assert found.first_try is not None
    # Each direct call is a run of its own: the second's failure is the task's.
    assert (found.first_try.one, found.first_try.other) == (1, 0.5)
    assert found.cost is not None
    assert (found.cost.one, found.cost.other) == (0.01, 0.02)


def test_what_is_not_alike_settled_or_in_time_does_not_count() -> None:
    script(*CRM)
    script(*CRM, submitted=2)  # A second run is under way: pending.
    script(*CRM, ended_at=now() - timedelta(days=40))
    task = new_id("task")
    make_fact(task=task, tools=list(CRM), tool_calls=2, ended_at=now())
    make_fact(
        task=task, attempt=2, mode="direct", tools=["crm.x"], tool_calls=1,
        ended_at=now(),
    )  # fmt: skip
    found = report()
    assert [cell.tally.tasks for cell in found.cells] == [1]
    assert found.mixed == 1
    assert found.cells[0].p50 == pytest.approx(1.5)


def test_filters_by_tool_server_and_team() -> None:
    script(*CRM)
    script("web.fetch", team="sales")
    direct(*CRM)
    assert [side.tasks for side in chief(tool="crm.get_order").whole] == [1, 1]
    assert [side.tasks for side in chief(server="web").whole] == [1, 0]
    assert [side.tasks for side in chief(team="sales").whole] == [1, 0]
    # A name with a wildcard of SQL stands for itself.
    assert [side.tasks for side in chief(server="c_m").whole] == [0, 0]


def test_models_are_compared_within_a_kind_of_run() -> None:
    for _ in range(3):
        script(*CRM, model="big")
    script(*CRM, model="small", failed=True)
    direct(*CRM, model="small")
    titles = [(one.one, one.other, one.within) for one in report().comparisons]
    assert titles == [
        ("Scripts", "Direct calls", ""),
        ("Scripts", "Direct calls", "small"),
        ("big", "small", ""),
    ]
    models = report().comparisons[2]
    assert [side.tasks for side in models.like] == [3, 1]
    assert [side.tasks for side in models.whole] == [3, 2]


def test_the_page_says_what_it_shows_and_what_not(cast: Cast) -> None:
    client = client_of(cast.finance)
    assert "No task with two calls" in client.get(PATH).content.decode()
    script(*CRM, team="sales")
    page = client.get(PATH).content.decode()
    assert "Nothing can be said" in page
    for number in range(30):
        script(*CRM, team="sales", tokens=1000 + number, tokens_avoided=70)
        direct(*CRM, team="sales", failed=number % 2 == 0, tokens=3000)
    page = client.get(PATH).content.decode()
    assert "Scripts succeeded at first try more often: 100.0 % against 50.0 %" in page
    assert "Scripts needed fewer tokens a task" in page
    assert "Comparable: 31 of 31 tasks of Scripts and 30 of 30" in page
    assert "2,100" in page  # Context tokens avoided.
    assert "mode=direct" in page
    assert client.get(f"{PATH}?period=x").status_code == 422
    member = client_of(cast.member).get(PATH).content.decode()
    assert "Your teams only." in member
    script(*CRM, team="support", model="theirs")
    assert "theirs" not in client_of(cast.member).get(PATH).content.decode()
    assert "theirs" in client.get(PATH).content.decode()


def test_files_and_rest_hold_what_the_page_is_made_of(cast: Cast) -> None:
    for _ in range(30):
        script(*CRM, team="sales", cost="0.000000000001")
        direct(*CRM, team="sales", cost="0.5")
    client = client_of(cast.finance)
    text = b"".join(client.get(f"{PATH}?export=csv")).decode()
    rows = {row["mode"]: row for row in csv.DictReader(io.StringIO(text))}
    assert rows["script"]["tools"] == " ".join(CRM)
    assert Decimal(rows["script"]["cost"]) == Decimal("0.000000000030")
    assert Decimal(rows["direct"]["cost"]) == 30
    assert rows["direct"]["precision"] == "exact"
    assert Event.objects.filter(name="costs.exported").count() == 1
    key = make_key(make_account(cast.team), scopes=["costs:read"])
    bearer = {"Authorization": f"Bearer {key.text}"}
    body = Client().get(API, headers=bearer).json()
    found = body["comparisons"][0]
    assert (found["comparable_tasks"], found["enough"]) == ([30, 30], True)
    assert found["first_try"]["one"] == found["first_try"]["other"] == 1
    assert "No difference in first-try success" in found["says"]
    assert body["precision"] == "exact"
    assert {cell["mode"]: cell["tasks"] for cell in body["cells"]} == {
        "script": 30,
        "direct": 30,
    }
    assert Client().get(f"{API}?period=x", headers=bearer).status_code == 422


def test_the_page_costs_the_same_for_few_and_many(cast: Cast) -> None:
    client = client_of(cast.finance)
    script(*CRM)
    client.get(PATH)
    few = queries_of(client, PATH)
    for number in range(8):
        script(f"crm.tool_{number}", model=f"m-{number}")
        direct(f"crm.tool_{number}", "crm.more", model=f"m-{number}")
    assert queries_of(client, PATH) == few
    assert few <= 14
