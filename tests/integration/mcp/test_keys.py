"""Who is let in, what a key without scope or grant hears, and what is on record."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from mcp import MCPError

from audit.models import Event
from core.clock import now
from gateway.models import Run, ToolCall
from policy.models import ApiKey
from policy.services.keys import revoke_key
from tests.builders.identity import ACTOR, make_account, make_key, make_team
from tests.integration.mcp.wire import CALL, message, send
from tests.integration.mcp.world import World
from tests.stack import ERAS

pytestmark = pytest.mark.parametrize("era", ERAS)
SEARCH: dict[str, Any] = {"name": "search", "arguments": {"query": "add"}}
EXECUTE: dict[str, Any] = {"name": "execute", "arguments": {"code": "return 1"}}


def events(world: World, **wanted: object) -> int:
    with world.stack.database():
        return Event.objects.filter(**wanted).count()


def challenge(response: httpx2.Response) -> str:
    header: str = response.headers["www-authenticate"]
    return header


def test_without_a_key_the_scheme_is_named(world: World, era: str) -> None:
    answer = send(world.stack.mcp_url, "", era, "tools/list")

    assert answer.status_code == 401
    assert challenge(answer) == "Bearer"
    assert "Authorization: Bearer tg_" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "authorization",
    ["Basic dXNlcjpwYXNz", "Bearer", "tg_abcdefgh_" + "x" * 43],
)
def test_another_scheme_is_no_key(world: World, era: str, authorization: str) -> None:
    answer = send(
        world.stack.mcp_url, "", era, "tools/list", authorization=authorization
    )

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "text", ["nonsense", "tg_abcdefgh", "tg_abcdefgh_" + "x" * 43, "tg_" + "x" * 9_000]
)
def test_an_unknown_key_is_refused_on_record(world: World, era: str, text: str) -> None:
    before = events(world, name="key.refused", decision="deny")

    answer = send(world.stack.mcp_url, text, era, "tools/list")

    assert answer.status_code == 401
    assert challenge(answer) == 'Bearer error="invalid_token"'
    assert "This is no key" in answer.json()["error"]["message"]
    assert events(world, name="key.refused", decision="deny") == before + 1


def test_an_expired_key_is_refused(world: World, era: str) -> None:
    answer = send(world.stack.mcp_url, world.expired, era, CALL, EXECUTE)

    assert answer.status_code == 401
    assert "expired" in answer.json()["error"]["message"]


def test_a_key_revoked_stops_at_once_on_an_open_client(world: World, era: str) -> None:
    with world.stack.database():
        made = make_key(make_account(make_team("sales")), name="to be revoked")

    def revoke() -> None:
        with world.stack.database():
            revoke_key(key_id=made.key.pk, reason="leaked", actor=ACTOR, at=now())

    async def use() -> tuple[Any, Exception]:
        async with world.stack.client(made.text, era) as client:
            first = await client.call_tool("execute", EXECUTE["arguments"])
            await asyncio.to_thread(revoke)
            with pytest.raises((MCPError, httpx2.HTTPStatusError)) as refused:
                await client.call_tool("execute", EXECUTE["arguments"])
            return first.structured_content, refused.value

    first, _ = asyncio.run(use())
    after = send(world.stack.mcp_url, made.text, era, CALL, EXECUTE)

    assert first["value"] == 1
    assert after.status_code == 401
    assert "revoked" in after.json()["error"]["message"]
    with world.stack.database():
        assert Run.objects.filter(key=made.key.prefix).count() == 1


def test_a_key_revoked_during_a_run_makes_no_further_call(
    world: World, era: str
) -> None:
    with world.stack.database():
        made = make_key(make_account(make_team("sales")), name="to be revoked")
    code = (
        "import time\nfor n in range(200):\n    call_tool('trivial.negate', {'a': n})"
    )
    code += "\n    time.sleep(0.05)"
    uid = world.stack.execute(made.text, code, era, wait=0)["run"]

    def calls() -> int:
        with world.stack.database():
            return ToolCall.objects.filter(run__uid=uid).count()

    world.stack.wait_for(lambda: calls() >= 2, "two calls", 30)
    with world.stack.database():
        revoke_key(key_id=made.key.pk, reason="leaked", actor=ACTOR, at=now())
    at_revocation = calls()

    def ended() -> bool:
        with world.stack.database():
            return Run.objects.get(uid=uid).ended

    world.stack.wait_for(ended, "the run to end", 30)
    # One call may have had its intent on record when the key was revoked.
    assert calls() <= at_revocation + 1
    with world.stack.database():
        run = Run.objects.get(uid=uid)
    assert run.status == "failed"
    assert "revoked" in run.error["message"]


@pytest.mark.parametrize(
    ("name", "arguments", "scope"),
    [
        ("search", {"query": "add"}, "catalog:read"),
        ("get_schema", {"tools": ["trivial.add"]}, "catalog:read"),
        ("execute", {"code": "return 1"}, "runs:execute"),
        ("get_run", {"run": "run_x"}, "runs:read"),
    ],
)
def test_a_scope_that_is_lacking_is_named_and_on_record(
    world: World, era: str, name: str, arguments: dict[str, Any], scope: str
) -> None:
    before = events(world, name="scope.refused", decision="deny")
    with world.stack.database():
        runs = Run.objects.count()

    answer = send(
        world.stack.mcp_url,
        world.nothing,
        era,
        CALL,
        {"name": name, "arguments": arguments},
    )

    assert answer.status_code == 403
    assert challenge(answer) == f'Bearer error="insufficient_scope", scope="{scope}"'
    assert answer.json()["error"]["code"] == -32003
    assert scope in answer.json()["error"]["message"]
    assert events(world, name="scope.refused", decision="deny") == before + 1
    with world.stack.database():
        assert Run.objects.count() == runs


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_no_encoding_hides_a_call_from_the_scope_check(
    world: World, era: str, encoding: str
) -> None:
    body = json.dumps(message(CALL, SEARCH, era)).encode(encoding)

    answer = send(world.stack.mcp_url, world.nothing, era, CALL, SEARCH, body=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == -32700


def test_half_a_surrogate_hides_no_call_from_the_scope_check(
    world: World, era: str
) -> None:
    call = message(CALL, {**SEARCH, "arguments": {"query": "\ud800"}}, era)

    answer = send(
        world.stack.mcp_url,
        world.nothing,
        era,
        CALL,
        SEARCH,
        body=json.dumps(call).encode(),
    )

    assert answer.status_code == 400


def test_a_name_given_twice_counts_as_the_one_that_is_called(
    world: World, era: str
) -> None:
    meta = json.dumps(message(CALL, {}, era)["params"].get("_meta", {}))
    body = (
        '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": '
        '{"name": "trivial.add", "name": "search", "arguments": {"query": "x"}, '
        f'"_meta": {meta}}}}}'
    )

    answer = send(
        world.stack.mcp_url, world.nothing, era, CALL, SEARCH, body=body.encode()
    )

    assert answer.status_code == 403


def test_tools_of_a_server_that_is_not_granted_do_not_exist(
    world: World, era: str
) -> None:
    found = world.stack.ask(
        world.support, "search", {"query": "list orders customers", "limit": 50}, era
    )
    schema = world.stack.ask(
        world.support, "get_schema", {"tools": ["shop.list_orders"]}, era
    )

    assert found["summary"].endswith("of 10 tools")
    assert not [tool for tool in found["tools"] if "shop" in tool or "crm" in tool]
    assert schema["tools"] == []
    assert schema["unknown"][0]["name"] == "shop.list_orders"
    assert not [n for n in schema["unknown"][0]["did_you_mean"] if "shop" in n]


@pytest.mark.parametrize("tool", ["shop.list_products", "no.such_tool"])
def test_a_tool_that_is_not_granted_is_denied_by_name(
    world: World, era: str, tool: str
) -> None:
    # A name worked out while the script runs passes the check before it.
    code = f"name = '.'.join({tool.split('.')})\ntry:\n    call_tool(name, {{}})\n"
    code += "except ToolError as error:\n    return [error.code, error.message]"

    envelope = world.stack.execute(world.support, code, era)

    assert envelope["value"][0] == "denied"
    assert f"{tool} is not available to this key" in envelope["value"][1]
    assert envelope["calls"] == [{"tool": tool, "outcome": "denied"}]
    refused = {"name": "call.refused", "decision": "deny", "tool": tool}
    assert events(world, run=envelope["run"], **refused) == 1


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("from tools import shop\nreturn shop.list_products()", "'shop'"),
        ("return call_tool('shop.list_products', {})", "'shop.list_products'"),
    ],
)
def test_a_script_that_names_such_a_tool_is_refused_on_record(
    world: World, era: str, code: str, named: str
) -> None:
    envelope = world.stack.execute(world.support, code, era)

    assert envelope["error"]["code"] == "unknown_tool"
    assert named in envelope["error"]["message"]
    assert envelope["calls"] == []
    with world.stack.database():
        event = Event.objects.get(run=envelope["run"], decision="deny")
    assert event.name == "run.refused"
    assert named in event.body


def test_a_tool_that_is_not_granted_is_denied_directly(world: World, era: str) -> None:
    result = world.stack.call(world.support, "shop.list_products", {}, era)

    assert result.is_error
    assert result.structured_content is not None
    error = result.structured_content["error"]
    assert error["code"] == "denied"
    assert events(world, run=error["details"]["run"], decision="deny") == 1


def test_a_key_is_marked_as_used(world: World, era: str) -> None:
    with world.stack.database():
        made = make_key(make_account(make_team("sales")), name="fresh")

    world.stack.ask(made.text, "search", {"query": "add"}, era)

    with world.stack.database():
        assert ApiKey.objects.get(pk=made.key.pk).last_used_at is not None
