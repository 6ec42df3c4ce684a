"""What an agent sees: its four tools, search and signatures, in both eras."""

import asyncio
import json
from typing import Any

import pytest

from gateway.codemode import tokens
from gateway.models import Tool
from tests.integration.mcp.world import World
from tests.stack import ERAS

FOUR = ["search", "get_schema", "execute", "get_run"]
pytestmark = pytest.mark.parametrize("era", ERAS)


def listed(world: World, key: str, era: str) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]]:
        async with world.stack.client(key, era) as client:
            tools = (await client.list_tools()).tools
        return [
            tool.model_dump(mode="json", by_alias=True, exclude_none=True)
            for tool in tools
        ]

    return asyncio.run(ask())


def tools_of(world: World) -> int:
    with world.stack.database():
        return Tool.objects.filter(server__name__in=("trivial", "shop", "crm")).count()


def test_the_definitions_cost_at_most_a_thousand_tokens(world: World, era: str) -> None:
    found = listed(world, world.sales, era)

    assert [tool["name"] for tool in found] == [*FOUR, "trivial.add"]
    assert tokens.count(json.dumps(found[:4])) <= 1_000


def test_a_direct_tool_is_listed_with_its_schema(world: World, era: str) -> None:
    add = listed(world, world.sales, era)[-1]

    assert add["description"] == "Add two numbers."
    assert set(add["inputSchema"]["properties"]) == {"a", "b"}


def test_search_says_how_many_tools_there_are(world: World, era: str) -> None:
    answer = world.stack.ask(
        world.sales, "search", {"query": "add two numbers", "limit": 2}, era
    )

    assert answer["summary"] == f"2 of {tools_of(world)} tools"
    assert len(answer["tools"]) == 2
    assert "def add(*, a: int, b: int) -> int" in answer["tools"][0]


def test_search_narrows_to_a_server(world: World, era: str) -> None:
    answer = world.stack.ask(
        world.sales,
        "search",
        {"query": "", "server": "trivial", "limit": 50, "detail": "brief"},
        era,
    )

    assert len(answer["tools"]) == 10
    assert all("trivial." in tool for tool in answer["tools"])


def test_search_suggests_where_nothing_matches(world: World, era: str) -> None:
    answer = world.stack.ask(world.sales, "search", {"query": "zxqwv"}, era)

    assert answer["tools"] == []
    assert answer["suggestions"]


def test_a_signature_comes_at_three_details(world: World, era: str) -> None:
    def at(detail: str) -> Any:
        return world.stack.ask(
            world.sales,
            "get_schema",
            {"tools": ["trivial.divide"], "detail": detail},
            era,
        )["tools"][0]

    assert at("brief").startswith("trivial.divide")
    assert "\n" not in at("brief")
    assert "def divide(*, a: int, b: int) -> " in at("detailed")
    assert at("full")["inputSchema"]["required"] == ["a", "b"]
    assert set(at("full")["outputSchema"]["properties"]) == {"quotient", "remainder"}


def test_an_unknown_name_gets_close_ones(world: World, era: str) -> None:
    answer = world.stack.ask(
        world.sales, "get_schema", {"tools": ["trivial.ad", "trivial.add"]}, era
    )

    assert answer["summary"] == "1 of 2 tools asked for"
    assert answer["unknown"][0]["name"] == "trivial.ad"
    assert "trivial.add" in answer["unknown"][0]["did_you_mean"]


def test_a_path_leads_into_a_schema(world: World, era: str) -> None:
    asked = {"tools": ["shop.list_orders"], "path": "$.return.orders"}

    answer = world.stack.ask(world.sales, "get_schema", asked, era)
    lost = world.stack.call(
        world.sales, "get_schema", {**asked, "path": "$.nowhere"}, era
    )

    assert "customer_id" in json.dumps(answer)
    assert lost.is_error
    assert lost.structured_content is not None
    assert lost.structured_content["error"]["code"] == "not_found"
