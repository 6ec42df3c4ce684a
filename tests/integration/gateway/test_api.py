"""The REST API of the catalog and the runs, for keys and for people."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from audit.models import Event
from core.clock import now
from gateway.catalog import forget
from gateway.models import Run
from policy.services.keys import NewKey
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import (
    Cast,
    make_account,
    make_cast,
    make_environment,
    make_key,
)
from tests.builders.quotas import make_quota
from tests.builders.runs import make_call, make_run


@pytest.fixture
def cast(db: None) -> Cast:
    """Alice and the others; sales may call crm in dev."""
    people = make_cast()
    crm = make_server()
    make_tool(crm, environments=[make_environment("dev")])
    make_tool(crm, name="hidden")
    make_tool(make_server(name="shop"), environments=[make_environment("dev")])
    make_grant(people.team, crm)
    forget()
    return people


@pytest.fixture
def key(cast: Cast) -> NewKey:
    """A key of sales with the usual scopes."""
    return make_key(make_account(cast.team))


def ask(key: NewKey, path: str, data: Any = None) -> Any:
    client = Client(headers={"Authorization": f"Bearer {key.text}"})
    if data is None:
        return client.get(f"/api/v1/{path}")
    return client.post(f"/api/v1/{path}", data, content_type="application/json")


def names(response: Any, field: str) -> list[str]:
    assert response.status_code == 200, response.content
    return [row[field] for row in response.json()["results"]]


def test_a_key_sees_the_part_of_the_catalog_it_may_call(
    cast: Cast, key: NewKey
) -> None:
    assert names(ask(key, "servers/"), "name") == ["crm"]
    assert names(ask(key, "tools/"), "full_name") == ["crm.list_orders"]
    assert ask(key, "tools/crm/list_orders/").json()["input_schema"]["required"] == [
        "since"
    ]
    for unseen in ("tools/crm/hidden/", "tools/shop/list_orders/", "tools/no/no/"):
        assert ask(key, unseen).status_code == 404


def test_a_person_sees_the_whole_catalog(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.member)
    assert names(client.get("/api/v1/servers/"), "name") == ["crm", "shop"]
    found = names(client.get("/api/v1/tools/?server=crm"), "full_name")
    assert found == ["crm.hidden", "crm.list_orders"]


def test_runs_are_those_of_the_keys_team(cast: Cast, key: NewKey) -> None:
    at = now() - timedelta(minutes=5)
    ours = make_run(team="sales", at=at, value={"rows": 3})
    theirs = make_run(team="support", at=at)
    make_call(ours)
    assert names(ask(key, "runs/"), "run") == [ours.uid]
    whole = ask(key, f"runs/{ours.uid}/").json()
    assert whole["envelope"]["value"] == {"rows": 3}
    assert [call["tool"] for call in whole["journal"]] == ["crm.list_orders"]
    assert ask(key, f"runs/{theirs.uid}/").status_code == 404
    assert ask(key, f"runs/{theirs.uid}/cancel/", {}).status_code == 404


def test_execute_queues_a_run_and_says_where_it_is(cast: Cast, key: NewKey) -> None:
    response = ask(key, "runs/", {"code": "return 1\n", "task": "sum"})
    run = Run.objects.get()
    assert response.status_code == 202
    assert response.json()["status"] == "queued"
    assert response["Location"].endswith(f"/api/v1/runs/{run.uid}/")
    assert (run.code, run.task.label, run.team) == ("return 1\n", "sum", "sales")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"code": ""}, "empty"),
        ({"code": "return 1", "language": "cobol"}, "not offered"),
        ({"code": "x" * 100_001}, "100,001 characters"),
        ({}, "required"),
        ({"code": {"a": 1}}, "Not a valid string"),
    ],
)
def test_a_script_that_cannot_be_used_is_a_422(
    cast: Cast, key: NewKey, data: dict[str, Any], words: str
) -> None:
    response = ask(key, "runs/", data)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Run.objects.exists()


def test_a_key_without_the_scope_is_refused_on_record(cast: Cast) -> None:
    reader = make_key(make_account(cast.team), scopes=["runs:read"])
    response = ask(reader, "runs/", {"code": "return 1"})
    assert response.status_code == 403
    assert response.json()["error"]["details"] == {"needs": "runs:execute"}
    assert not Run.objects.exists()
    assert Event.objects.filter(name="access.denied", decision="deny").count() == 1


def test_a_run_beyond_the_quota_is_429_and_says_when_to_come_back(
    cast: Cast, key: NewKey
) -> None:
    make_quota(1, metric="runs", window="day", team=cast.team)
    assert ask(key, "runs/", {"code": "return 1"}).status_code in (200, 202)
    response = ask(key, "runs/", {"code": "return 1"})
    assert response.status_code == 429
    error = response.json()["error"]
    assert error["code"] == "quota_exceeded"
    assert error["details"]["scope"] == "team sales"
    assert error["details"]["remaining"] == 0
    assert 0 < error["details"]["retry_after"] <= 86_400
    assert response["Retry-After"] == str(error["details"]["retry_after"])


def test_a_person_runs_scripts_in_the_playground_instead(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.member)
    response = client.post(
        "/api/v1/runs/", {"code": "return 1"}, content_type="application/json"
    )
    assert response.status_code == 403
    assert "playground" in response.json()["error"]["message"]
    assert not Run.objects.exists()


def test_cancel_asks_once(cast: Cast, key: NewKey) -> None:
    run = make_run(team="sales", status="running", at=now())
    for _ in range(2):
        assert ask(key, f"runs/{run.uid}/cancel/", {}).status_code == 202
    run.refresh_from_db()
    assert run.cancel_requested_at is not None
    assert Event.objects.filter(name="run.cancelled").count() == 1


def test_without_a_key_nothing_is_said(cast: Cast) -> None:
    for path in ("servers/", "tools/", "runs/", "tools/crm/list_orders/"):
        response = Client().get(f"/api/v1/{path}")
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")
