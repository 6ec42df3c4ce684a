"""REST: what can they call, who can call this, and what is settled about a tool."""

import json
from typing import Any

import pytest
from django.test import Client

from audit.models import Event
from core.clock import now
from gateway.models import Tool
from gateway.selectors.tools import tool_named
from gateway.services import access
from policy.holders import ROLE, Holder
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import (
    ACTOR,
    Cast,
    make_account,
    make_environment,
    make_key,
)
from tests.integration.gateway.pages.conftest import queries_of

pytestmark = pytest.mark.django_db
SETTINGS = "/api/v1/tools/crm/list_orders/settings/"


@pytest.fixture
def tool(cast: Cast) -> Tool:
    """One of two tools that dev offers; sales is granted both, finance this one."""
    server = make_server()
    dev = make_environment("dev", position=0)
    make_environment("prod", position=1)
    tool = make_tool(server, environments=[dev])
    make_tool(server, name="delete_order", environments=[dev])
    make_grant(cast.team, server)
    finance = Holder(ROLE, "finance")
    access.give(subjects=[tool], holders=[finance], reason="r", actor=ACTOR, at=now())
    return tool


def as_user(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_what_they_can_call(cast: Cast, tool: Tool) -> None:
    member = as_user(cast.member)
    found = member.get("/api/v1/policy/reach/?holder=team:sales").json()
    assert [(one["name"], one["through"]) for one in found["results"]] == [
        ("crm.delete_order", ["server crm, in every environment"]),
        ("crm.list_orders", ["server crm, in every environment"]),
    ]
    address = "/api/v1/policy/reach/?holder=role:finance&q=orders"
    (one,) = member.get(address).json()["results"]
    assert one["through"] == ["the tool itself as finance, in every environment"]
    elsewhere = "/api/v1/policy/reach/?holder=team:sales&environment=prod"
    assert member.get(elsewhere).json()["results"] == []
    key = make_key(make_account(cast.team), scopes=["tools:crm.list_orders"]).key
    by_key = member.get(f"/api/v1/policy/reach/?key={key.pk}").json()["results"]
    assert [one["in_scope"] for one in by_key] == [False, True]


@pytest.mark.parametrize(
    "asked",
    ["", "holder=team:support", "holder=role:king", "holder=x", "key=0", "key=%00",
     "holder=team:sales&environment=moon", "holder=team:sales@dev"],
)  # fmt: skip
def test_what_one_may_not_ask_is_not_found(cast: Cast, tool: Tool, asked: str) -> None:
    answer = as_user(cast.member).get(f"/api/v1/policy/reach/?{asked}")
    assert answer.status_code == 404


def test_who_can_call_a_tool(cast: Cast, tool: Tool) -> None:
    new = make_key(make_account(cast.team), scopes=["tools:*", "policy:read"])
    make_key(make_account(cast.team), name="other", scopes=["tools:billing.*"])
    address = "/api/v1/policy/callers/crm/list_orders/"
    found = as_user(cast.admin).get(address).json()
    assert (found["tool"], found["environment"]) == ("crm.list_orders", "dev")
    assert (found["offered"], found["out_of_scope"]) == (True, 1)
    assert [(one["kind"], one["team"]) for one in found["callers"]] == [
        ("team grant", "sales"),
        ("role grant", ""),
        ("key", "sales"),
        ("person", "sales"),
    ]
    # A key asks for its own team.
    bearer = {"Authorization": f"Bearer {new.text}"}
    assert Client(headers=bearer).get(address).json()["callers"]
    reach = "/api/v1/policy/reach/?holder=team:{}"
    assert Client(headers=bearer).get(reach.format("sales")).status_code == 200
    assert Client(headers=bearer).get(reach.format("support")).status_code == 404


def test_both_cost_the_same_for_any_number_of_tools_and_keys(
    cast: Cast, tool: Tool
) -> None:
    client, account = as_user(cast.admin), make_account(cast.team)
    make_key(account, scopes=["tools:*"])
    addresses = (
        "/api/v1/policy/reach/?holder=team:sales",
        "/api/v1/policy/callers/crm/list_orders/",
        "/policy/access/callers/crm/list_orders/",
    )
    few = [queries_of(client, one) for one in addresses]
    for number in range(20):
        name = f"more_{number}"
        make_tool(tool.server, name=name, environments=list(tool.environments.all()))
        make_key(account, name=name, scopes=["tools:*"])
    assert [queries_of(client, one) for one in addresses] == few
    assert max(few) < 15


def change(client: Client, body: object) -> Any:
    return client.patch(SETTINGS, json.dumps(body), content_type="application/json")


def test_a_tools_settings_change_together_and_each_is_on_record(
    cast: Cast, tool: Tool
) -> None:
    admin = as_user(cast.admin)
    answer = change(admin, {"script": False, "direct": True, "needs_approval": True})
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert (shown["scripted"], shown["direct"]) == (False, True)
    assert shown["needs_approval"]
    more = {
        "effect": "read",
        "environments": ["prod"],
        "tags": ["Orders"],
        "idempotency": {"how": "meta"},
    }
    shown = change(admin, more).json()
    assert (shown["effect"], shown["tags"]) == ("read", ["orders"])
    assert (shown["environments"], shown["idempotency"]) == (["prod"], "meta")
    assert not shown["scripted"], "what is left out stays"
    assert Event.objects.filter(name="tool.reviewed").count() == 6


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"script": False, "direct": False}, "at least one way"),
        ({"environments": ["moon"]}, "moon"),
        ({"tags": ["a b"]}, "is no tag"),
        ({"effect": "harmless"}, "effect"),
        ({"idempotency": {"how": "argument"}}, "Name the argument"),
    ],
)
def test_nothing_changes_where_some_of_it_is_refused(
    cast: Cast, tool: Tool, wrong: dict[str, Any], says: str
) -> None:
    answer = change(as_user(cast.admin), {"needs_approval": True, **wrong})
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not tool_named("crm", "list_orders").needs_approval
    assert not Event.objects.filter(name="tool.reviewed").exists()


def test_no_key_changes_a_tool(cast: Cast, tool: Tool) -> None:
    key = make_key(make_account(cast.team), scopes=["policy:*", "admin:*"]).text
    answer = change(Client(headers={"Authorization": f"Bearer {key}"}), {})
    assert answer.status_code == 403
    assert Event.objects.filter(name="access.denied").count() == 1
