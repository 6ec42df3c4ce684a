"""Model usage as it is reported over REST: booked once, for the right payer."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from core.clock import now
from finops.models import UsageEvent, UsageReport
from gateway.models import Task
from policy.services.keys import NewKey
from tests.builders.finops import make_price
from tests.builders.identity import make_account, make_key, make_team
from tests.builders.runs import make_run, make_task

SCOPES = ("costs:write",)


@pytest.fixture
def key(db: None) -> NewKey:
    """A key of sales that may report usage."""
    return make_key(make_account(make_team()), scopes=SCOPES)


def item(name: str = "a1", **fields: Any) -> dict[str, Any]:
    """A report of a thousand tokens, an hour ago."""
    return {
        "id": name,
        "at": (now() - timedelta(hours=1)).isoformat(),
        "provider": "acme",
        "model": "m-1",
        "input": 1000,
        "output": 100,
        **fields,
    }


def send(key: NewKey, *items: Any, status: int = 200) -> Any:
    client = Client(headers={"Authorization": f"Bearer {key.text}"})
    body = {"items": list(items)}
    response = client.post("/api/v1/usage/", body, content_type="application/json")
    assert response.status_code == status, response.content
    return response.json()


def test_a_report_is_booked_by_kind_of_token_and_priced(key: NewKey) -> None:
    make_price("model/acme/m-1/*", "0.001")
    answer = send(key, item(cached_read=400, reasoning=30))
    assert answer["results"][0] | {"cost": None} == {
        "id": "a1",
        "result": "booked",
        "cost": None,
        "currency": "USD",
        "unrated": 0,
        "error": None,
    }
    assert Decimal(answer["results"][0]["cost"]) == Decimal("1.1")
    rows = UsageEvent.objects.order_by("token_kind")
    assert [(row.token_kind, int(row.quantity), row.known) for row in rows] == [
        ("cached_read", 400, "reported"),
        ("input", 600, "reported"),
        ("output", 70, "reported"),
        ("reasoning", 30, "reported"),
    ]
    assert {row.principal for row in rows} == {"sa:sales/agent"}
    assert {row.reported_at is None for row in rows} == {False}
    told = UsageReport.objects.get()
    assert (told.input, told.cached_read, told.cache_write) == (1000, 400, None)


def test_the_same_report_again_adds_nothing(key: NewKey) -> None:
    first = send(key, item(), item())
    assert (first["booked"], first["duplicates"]) == (1, 1)
    again = send(key, item(input=7), item("a2"))
    assert [one["result"] for one in again["results"]] == ["duplicate", "booked"]
    assert UsageEvent.objects.count() == 4
    assert UsageEvent.objects.filter(token_kind="input", quantity=7).count() == 0


def test_names_of_answers_are_a_teams_own(key: NewKey) -> None:
    other = make_key(make_account(make_team("support")), scopes=SCOPES)
    assert send(other, item())["booked"] == 1
    assert send(key, item())["booked"] == 1
    assert set(UsageReport.objects.values_list("team", flat=True)) == {
        "sales",
        "support",
    }


def test_a_report_of_a_run_is_paid_by_whoever_paid_for_the_run(key: NewKey) -> None:
    run = make_run(team="sales", environment="prod", project="web", trace_id="ab" * 16)
    at = run.queued_at.isoformat()
    recent = now() - timedelta(minutes=1)
    later = make_run(team="sales", trace_id="ab" * 16, at=recent)
    send(
        key,
        item("by-run", run=run.uid),
        item("by-trace", trace_id="ab" * 16, at=at),
        item("last", trace_id="ab" * 16, at=now().isoformat()),
        item("loose", trace_id="cd" * 16),
    )
    found = dict(UsageReport.objects.values_list("event", "run"))
    assert found == {
        "by-run": run.uid,
        "by-trace": run.uid,
        "last": later.uid,
        "loose": "",
    }
    row = UsageReport.objects.get(event="by-run")
    assert (row.project, row.environment) == ("web", "prod")
    assert (row.cost_centre, row.task) == (run.cost_centre, run.task.uid)
    assert row.principal == run.principal


def test_a_report_of_a_task_by_its_id_or_its_own_name(key: NewKey) -> None:
    task = make_task(label="month end", team="sales", principal="sa:sales/other")
    send(
        key,
        item("by-id", task=task.uid),
        item("by-name", task="month end"),
        item("new", task="not begun yet"),
    )
    begun = Task.objects.get(label="not begun yet")
    assert begun.attempts == 0
    assert dict(UsageReport.objects.values_list("event", "task")) == {
        "by-id": task.uid,
        "by-name": task.uid,
        "new": begun.uid,
    }


@pytest.mark.parametrize("kind", ["run", "task"])
def test_work_of_another_team_is_refused_on_record(key: NewKey, kind: str) -> None:
    run = make_run(team="support")
    name = run.uid if kind == "run" else run.task.uid
    missing = f"{kind}_00000000000000"
    answer = send(
        key, item("a", **{kind: name}), item("b", **{kind: missing}), item("c")
    )
    told = [(one["result"], one["error"]) for one in answer["results"]]
    assert [result for result, _ in told] == ["refused", "refused", "booked"]
    # The same answer, but for the name: nothing can be found out by trying.
    assert told[0][1]["message"].replace(name, missing) == told[1][1]["message"]
    assert UsageReport.objects.get().event == "c"
    denied = Event.objects.get(name="usage.refused")
    assert (denied.decision, denied.target_id) == ("deny", name)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input": -1}, "input"),
        ({"input": 10, "cached_read": 11}, "cache reads"),
        ({"output": 10, "reasoning": 11}, "reasoning"),
        ({"output": 2_000_000_000}, "output"),
        ({"input": "many"}, "input"),
        ({"input": None, "output": None}, "no tokens"),
        ({"at": timedelta(minutes=9)}, "future"),
        ({"at": -timedelta(days=400)}, "days ago"),
        ({"at": "yesterday"}, "at"),
        ({"id": ""}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"provider": ""}, "provider"),
        ({"model": "m" * 101}, "model"),
        ({"known": "measured"}, "known"),
        ({"trace_id": "xyz"}, "trace id"),
        ({"run": "run_\u200b"}, "run"),
        ({"task": "\u200b"}, "task"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    key: NewKey, fields: dict[str, Any], said: str
) -> None:
    # From now on, not from when the tests were collected, which may be long ago.
    if isinstance(ahead := fields.get("at"), timedelta):
        fields = {"at": (now() + ahead).isoformat()}
    answer = send(key, item("bad") | fields, item("good"))
    assert (answer["refused"], answer["booked"]) == (1, 1)
    assert said in answer["results"][0]["error"]["message"]
    assert UsageReport.objects.get().event == "good"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"items": 3}',
        b'{"items": []}',
        b'{"items": {"id": 1}}',
        b"{",
        b'{"items": [' + b"[" * 9000,
        b'{"items": [1e999]}',
        b"\xff\xfe",
        b'{"items": [' + b"1," * 1000 + b"1]}",
    ],
)
def test_a_body_that_is_no_batch_is_refused(key: NewKey, body: bytes) -> None:
    client = Client(headers={"Authorization": f"Bearer {key.text}"})
    answer = client.post("/api/v1/usage/", body, content_type="application/json")
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["message"]
    assert UsageReport.objects.count() == 0


@pytest.mark.parametrize("odd", [None, 3, "x", [], {"id": {"a": 1}}, {"id": "a\x00"}])
def test_an_item_of_any_shape_is_refused_by_itself(key: NewKey, odd: Any) -> None:
    answer = send(key, odd, item())
    assert [one["result"] for one in answer["results"]] == ["refused", "booked"]


def test_a_batch_is_one_event_of_the_trail(key: NewKey) -> None:
    make_price("model/acme/m-1/*", "0.001")
    send(key, item("a"), item("b"), item("a"), item("c", input=-1))
    event = Event.objects.get(name="usage.reported")
    assert json.loads(event.body)["payload"] == {
        "answers": 2,
        "source": "rest",
        "duplicates": 1,
        "refused": 1,
        "cost": "2.200000000000",
        "unrated": 0,
        "models": ["m-1"],
    }
    send(key, item("a"))
    assert Event.objects.filter(name="usage.reported").count() == 1


def test_without_a_price_usage_is_unrated_and_never_free(key: NewKey) -> None:
    answer = send(key, item())["results"][0]
    assert answer["unrated"] == 2
    assert set(UsageEvent.objects.values_list("cost", flat=True)) == {None}


def test_names_of_providers_are_those_of_the_price_book(key: NewKey) -> None:
    make_price("model/google/m-1/*", "0.001")
    answer = send(key, item(provider="gcp.vertex_ai"))["results"][0]
    assert Decimal(answer["cost"]) == Decimal("1.1")


@pytest.mark.parametrize("scopes", [("costs:read",), ("runs:execute", "tools:*")])
def test_a_key_without_the_scope_reports_nothing(
    key: NewKey, scopes: tuple[str, ...]
) -> None:
    weak = make_key(make_account(make_team()), name="weak", scopes=scopes)
    answer = send(weak, item(), status=403)
    assert answer["error"]["details"] == {"needs": "costs:write"}
    assert UsageReport.objects.count() == 0
    assert Event.objects.filter(name="access.denied", decision="deny").count() == 1


def test_a_batch_costs_a_bounded_number_of_look_ups(key: NewKey) -> None:
    def queries(count: int) -> int:
        runs = [make_run(team="sales", trace_id=f"{n:032x}") for n in range(1, count)]
        items = [item(f"{count}.{run.uid}", run=run.uid) for run in runs]
        items += [item(f"{count}.t.{run.uid}", trace_id=run.trace_id) for run in runs]
        with CaptureQueriesContext(connection) as captured:
            send(key, *items)
        # A report has its own statement in the ledger, with the price book's revision.
        asked = [one["sql"] or "core_revision" for one in captured]
        return sum("core_revision" not in one for one in asked)

    queries(2)
    assert queries(30) == queries(4)


def test_a_report_at_the_edge_of_what_is_taken(key: NewKey) -> None:
    soon: datetime = now() + timedelta(minutes=4)
    old = now() - timedelta(days=99)
    answer = send(key, item("a", at=soon.isoformat()), item("b", at=old.isoformat()))
    assert answer["booked"] == 2
