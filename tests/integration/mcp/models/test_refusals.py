"""What is refused before a model is asked, and errors of the model server."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx2
import pytest

from audit.models import Event
from core.clock import now
from finops.models import BudgetHold, BudgetRefusal, BudgetUse, UsageReport
from gateway.models import ModelCall
from policy.models import Quota, QuotaHold, QuotaUse
from policy.services.sandbox import Scope, set_sandbox_policy
from tests.builders.budgets import make_budget
from tests.builders.identity import ACTOR, make_account, make_key, make_team
from tests.integration.mcp.models.asking import (
    ASKED,
    ask,
    ended_call,
)
from tests.integration.mcp.world import World
from tests.model_server import SECRET, ModelServerOnLoopback


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("error", 400, "x"),
        ("refused", 502, "model_server_away"),
        ("slow", 504, "model_server_slow"),
        ("not-http", 502, "model_server_away"),
        ("nobody", 404, "model_not_found"),
    ],
)
def test_errors_have_openais_shape_and_no_secret(
    world: World,
    key: str,
    server: ModelServerOnLoopback,
    model: str,
    status: int,
    code: str,
) -> None:
    answer = ask(world, key, {"model": model, "messages": ASKED})
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert SECRET not in answer.text
    if model != "nobody":
        call = ended_call(world)
        assert (call.model, call.outcome) == (model, "failed")
        with world.stack.database():
            assert not UsageReport.objects.filter(event=call.uid).exists()


def test_secrets_are_in_no_log_event_or_row(
    world: World, key: str, server: ModelServerOnLoopback
) -> None:
    ask(world, key, {"model": "refused", "messages": ASKED})
    assert SECRET not in world.stack.logs()
    with world.stack.database():
        assert not Event.objects.filter(body__contains=SECRET).exists()
        added = Event.objects.get(name="model_server.added")
        assert json.loads(added.body)["after"]["sealed"] == ["Authorization"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"{",
        b'{"model": "orchid"}',
        b'{"model": 3, "messages": [{}]}',
        b'{"model": "orchid", "messages": []}',
        b'{"model": "orchid", "messages": [1], "stream": "yes"}',
        b'{"model": "orchid", "messages": [1], "stream_options": 3}',
        b'{"model": "orchid", "model": "error", "messages": [1]}',
        b'{"model": "orchid", "messages": [1]} x',
        b'{"model": "orchid", "messages": [NaN]}',
        b'{"model": "orchid", "messages": ' + b"[" * 5_000,
        b"\xff\xfe",
    ],
)
def test_a_bad_body_is_refused_before_it_is_sent(
    world: World, key: str, server: ModelServerOnLoopback, body: bytes
) -> None:
    before = len(server.bodies)
    answer = ask(world, key, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert len(server.bodies) == before


def test_only_a_key_with_the_scope_asks_models(
    world: World, server: ModelServerOnLoopback
) -> None:
    body = {"model": "orchid", "messages": ASKED}
    answer = ask(world, world.sales, body)
    assert answer.status_code == 403
    assert "models:use" in answer.json()["error"]["message"]
    assert ask(world, "tg_00000000_nothing", body).status_code == 401
    with world.stack.database():
        refused = Event.objects.filter(name="scope.refused", decision="deny")
        assert refused.filter(body__contains="models:use").exists()


def test_a_model_that_policy_forbids_is_denied_on_record(
    world: World, server: ModelServerOnLoopback
) -> None:
    with world.stack.database():
        team = make_team("strict")
        strict = make_key(make_account(team), scopes=["models:use"]).text
        set_sandbox_policy(
            scope=Scope(team=team),
            limits={},
            models=["silent"],
            reason="only this one",
            actor=ACTOR,
            at=now(),
        )
    before = len(server.bodies)
    answer = ask(world, strict, {"model": "orchid", "messages": ASKED})
    assert (answer.status_code, len(server.bodies)) == (403, before)
    assert answer.json()["error"]["code"] == "model_not_allowed"
    listed = httpx2.get(
        f"{world.stack.url}/v1/models", headers={"Authorization": f"Bearer {strict}"}
    )
    assert [one["id"] for one in listed.json()["data"]] == ["silent"]
    with world.stack.database():
        event = Event.objects.get(name="model.refused", decision="deny")
        assert event.team == "strict"


def test_tokens_are_reserved_and_settled(
    world: World, server: ModelServerOnLoopback
) -> None:
    with world.stack.database():
        team = make_team("thrifty")
        thrifty = make_key(make_account(team), scopes=["models:use"]).text
        quota = Quota.objects.create(
            team=team, metric="tokens", window="month", limit=600
        )
    body = {"model": "orchid", "messages": ASKED, "max_tokens": 100}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(world, thrifty, body), range(8)))
    passed = [one for one in answers if one.status_code == 200]
    refused = [one for one in answers if one.status_code == 429]
    assert len(passed) + len(refused) == 8
    assert passed
    assert refused
    error = refused[0].json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "quota_exceeded")
    assert error["details"]["limit"] == 600
    assert refused[0].headers["x-should-retry"] == "false"
    used = sum(one.json()["usage"]["total_tokens"] for one in passed)
    with world.stack.database():
        assert QuotaUse.objects.get(quota=quota).used == used
        assert not QuotaHold.objects.filter(quota=quota).exists()


def test_a_hard_budget_refuses_before_anything_is_sent(
    world: World, server: ModelServerOnLoopback
) -> None:
    with world.stack.database():
        team = make_team("broke")
        broke = make_key(make_account(team), scopes=["models:use"]).text
        budget = make_budget("0.50", team=team, at=now())
    # A token costs 0.001: an answer of at most 300 tokens fits, one of 1,000 does not.
    fits = {"model": "orchid", "messages": ASKED[:1], "max_tokens": 100}
    before = len(server.bodies)
    passed = ask(world, broke, fits)
    assert passed.status_code == 200, passed.text
    used = passed.json()["usage"]["total_tokens"]
    with world.stack.database():
        use = BudgetUse.objects.get(budget=budget)
        assert (use.spent, use.held) == (Decimal(used) / 1000, Decimal(0))
    refused = ask(world, broke, fits | {"max_tokens": 1_000})
    assert (refused.status_code, len(server.bodies)) == (429, before + 1)
    error = refused.json()["error"]
    assert error["code"] == "budget_exceeded"
    assert Decimal(error["details"]["left"]) == Decimal("0.5") - use.spent
    assert Decimal(error["details"]["asked"]) > 1
    assert budget.name in error["message"]
    assert refused.headers["x-should-retry"] == "false"
    with world.stack.database():
        event = Event.objects.get(name="model.refused", decision="deny", team="broke")
        assert "budget_exceeded" in event.body
        assert BudgetRefusal.objects.filter(budget=budget).count() == 1
        assert not ModelCall.objects.filter(team="broke", outcome="").exists()
        assert ModelCall.objects.filter(team="broke").count() == 1
        assert not BudgetHold.objects.filter(budget=budget).exists()
