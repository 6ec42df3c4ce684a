"""Models that agents name in `_meta`, and ways of calling, through the endpoint."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from core.clock import now
from gateway.models import Run, Tool
from gateway.services import catalog
from policy.models import Environment
from policy.services.sandbox import Scope, set_sandbox_policy
from tests.builders.identity import ACTOR
from tests.integration.mcp.world import World
from tests.stack import ERAS

pytestmark = pytest.mark.parametrize("era", ERAS)


def put(world: World, **asked: Any) -> None:
    with world.stack.database():
        scope = Scope(environment=Environment.objects.get(slug="dev"))
        asked = {"limits": {}, "reason": "r"} | asked
        set_sandbox_policy(scope=scope, actor=ACTOR, at=now(), **asked)


@pytest.fixture
def lenient(world: World) -> Iterator[World]:
    """The world, whose policy is taken back afterwards."""
    yield world
    put(world)
    with world.stack.database():
        tool = Tool.objects.get(server__name="trivial", name="add")
        catalog.set_ways(
            tool_id=tool.pk, script=True, direct=True, actor=ACTOR, at=now()
        )


def execute(world: World, era: str, meta: Any) -> dict[str, Any]:
    async def call() -> Any:
        async with world.stack.client(world.sales, era) as client:
            return await client.call_tool("execute", {"code": "return 1"}, meta=meta)

    body: dict[str, Any] = asyncio.run(call()).structured_content
    return body


def test_a_model_is_named_in_meta(lenient: World, era: str) -> None:
    put(lenient, models=["gpt-5*"], require_model=True)
    assert execute(lenient, era, {})["error"]["code"] == "model_required"
    wrong = execute(lenient, era, {"tollgate/model": "gpt-4o"})
    assert wrong["error"]["code"] == "model_not_allowed"
    ran = execute(lenient, era, {"tollgate/model": "gpt-5-mini"})
    assert ran["value"] == 1
    with lenient.stack.database():
        assert Run.objects.get(uid=ran["run"]).model == "gpt-5-mini"


def names(world: World, era: str) -> set[str]:
    async def listed() -> set[str]:
        async with world.stack.client(world.sales, era) as client:
            return {tool.name for tool in (await client.list_tools()).tools}

    return asyncio.run(listed())


def test_what_may_not_be_called_is_not_listed(lenient: World, era: str) -> None:
    assert {"execute", "trivial.add"} <= names(lenient, era)
    put(lenient, modes=["direct"])
    assert names(lenient, era) & {"execute", "trivial.add"} == {"trivial.add"}
    assert execute(lenient, era, {})["error"]["code"] == "mode_not_allowed"
    put(lenient, modes=["script"])
    assert names(lenient, era) & {"execute", "trivial.add"} == {"execute"}
    assert execute(lenient, era, {})["value"] == 1


def test_a_tool_called_directly_only_says_so_and_is_denied_to_scripts(
    lenient: World, era: str
) -> None:
    with lenient.stack.database():
        tool = Tool.objects.get(server__name="trivial", name="add")
        catalog.set_ways(
            tool_id=tool.pk, script=False, direct=True, actor=ACTOR, at=now()
        )
    stack, key = lenient.stack, lenient.sales
    shown = stack.ask(key, "get_schema", {"tools": ["trivial.add"]}, era)
    assert "call it directly, as the MCP tool trivial.add" in shown["tools"][0]
    code = "return call_tool('trivial.' + 'add', {'a': 1, 'b': 2})"
    envelope = stack.execute(key, code, era)
    assert envelope["calls"] == [{"tool": "trivial.add", "outcome": "denied"}]
    assert "may not be called from scripts" in envelope["error"]["message"]
    direct = stack.call(key, "trivial.add", {"a": 1, "b": 2}, era)
    assert not direct.is_error
