"""2,500 tools cost an agent no more definitions than ten."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.clock import now
from core.models import Revision, raise_revision
from gateway.codemode import tokens
from gateway.models import Server, Tool, ToolVersion
from gateway.services import catalog
from policy.models import Environment
from tests.builders.catalog import make_grant, make_server
from tests.builders.identity import ACTOR, AT, make_account, make_key, make_team
from tests.integration.mcp.test_discovery import FOUR, listed
from tests.integration.mcp.world import World
from tests.stack import ERAS

NOUNS = ("order", "customer", "invoice", "ticket", "shipment", "refund", "contract",
         "asset", "device", "licence")  # fmt: skip
VERBS = ("list", "get", "create", "update", "close", "export", "count", "merge",
         "archive", "approve")  # fmt: skip
TOOLS = 2_500


def fill(server: Server) -> None:
    """Tools as a sync would have left them, in a few statements."""
    names = [
        f"{VERBS[n % 10]}_{NOUNS[n // 10 % 10]}_{n // 100:02}" for n in range(TOOLS)
    ]
    tools = Tool.objects.bulk_create(
        Tool(server=server, name=name, original=name, effect="read") for name in names
    )
    versions = ToolVersion.objects.bulk_create(
        ToolVersion(
            tool=tool,
            number=1,
            fingerprint=f"{tool.pk:064x}",
            description=f"{tool.name.replace('_', ' ').capitalize()} of a warehouse.",
            input_schema={
                "type": "object",
                "properties": {"id": {"type": "string"}, "day": {"type": "string"}},
                "required": ["id"],
            },
            annotations={},
            definition_tokens=120,
            created_at=AT,
        )
        for tool in tools
    )
    for tool, version in zip(tools, versions, strict=True):
        tool.current = version
    Tool.objects.bulk_update(tools, ["current"], batch_size=500)
    place = Environment.objects.get(slug="dev")
    offered: Any = Tool.environments.through
    offered.objects.bulk_create(
        offered(tool_id=tool.pk, environment_id=place.pk) for tool in tools
    )


@pytest.fixture(scope="module")
def planner(world: World) -> Iterator[str]:
    """A key of a team that may call the generated tools, which go again at the end."""
    with world.stack.database():
        server = make_server(name="warehouse")
        fill(server)
        team = make_team("planning")
        make_grant(team, server)
        raise_revision(Revision.CATALOG)
        key = make_key(make_account(team)).text
    yield key
    with world.stack.database():
        catalog.set_server_status(
            server_id=server.pk, status="disabled", actor=ACTOR, at=now()
        )


@pytest.mark.parametrize("era", ERAS)
def test_the_definitions_stay_under_a_thousand_tokens(
    world: World, planner: str, era: str
) -> None:
    found = listed(world, planner, era)

    assert [tool["name"] for tool in found] == FOUR
    assert tokens.count(json.dumps(found)) <= 1_000


@pytest.mark.parametrize("era", ERAS)
def test_search_finds_the_two_of_2500(world: World, planner: str, era: str) -> None:
    asked = {"query": "approve refund 07", "limit": 2}

    answer = world.stack.ask(planner, "search", asked, era)

    assert answer["summary"] == "2 of 2,500 tools"
    assert "def approve_refund_07(*, id: str" in answer["tools"][0]


def test_a_search_of_another_team_does_not_count_them(
    world: World, planner: str
) -> None:
    answer = world.stack.ask(world.support, "search", {"query": "approve refund 07"})

    assert answer["summary"].endswith(" of 10 tools")
