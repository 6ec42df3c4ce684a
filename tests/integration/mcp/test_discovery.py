"""What an agent sees: its four tools, search and signatures, in both eras."""

import asyncio
import json

import pytest

from gateway.codemode import tokens
from gateway.codemode.agent_tools import AGENT_TOOLS
from tests.integration.mcp.conftest import World
from tests.stack import ERAS

FOUR = ["search", "get_schema", "execute", "get_run"]
pytestmark = pytest.mark.parametrize("era", ERAS)


def listed(world: World, key: str, era: str) -> list[dict[str, object]]:
    async def ask() -> list[dict[str, object]]:
        async with world.stack.client(key, era) as client:
            tools = (await client.list_tools()).tools
        return [
            tool.model_dump(mode="json", by_alias=True, exclude_none=True)
            for tool in tools
        ]

    return asyncio.run(ask())


def test_the_definitions_cost_at_most_a_thousand_tokens(world: World, era: str) -> None:
    found = listed(world, world.sales, era)

    assert [tool["name"] for tool in found] == [*FOUR, "trivial.add"]
    assert tokens.count(json.dumps(found[:4])) <= 1_000
    assert len(AGENT_TOOLS) == 4


def test_search_says_how_many_tools_there_are(world: World, era: str) -> None:
    answer = world.stack.ask(
        world.sales, "search", {"query": "list orders by date", "limit": 2}, era
    )

    with world.stack.database():
        from gateway.models import Tool

        total = Tool.objects.count()
    assert answer["summary"] == f"2 of {total} tools"
