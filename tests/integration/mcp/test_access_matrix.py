"""Every MCP method and tool × who asks: what is answered, and what is not changed.

A line has a letter for each of the CAST: people with personal keys, then the agents of
another team and of the run's own.

    S asked for a key (401)    3 the key lacks the scope (403)
    N refused or not found     + answered
"""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.mcp_server.auth import METHODS, NEEDED
from policy.models import Membership
from tests.builders.identity import make_personal_key, make_team, make_user
from tests.integration.mcp.tasks import ask
from tests.integration.mcp.wire import CALL, send
from tests.integration.mcp.world import World
from tests.integration.state import digest
from tests.stack import LEGACY, MODERN

CAST = (
    "anonymous",
    "outsider",
    "member",
    "approver",
    "auditor",
    "finance",
    "admin",
    "stranger",
    "agent",
)
# Health checks, heartbeats and quotas' windows move by themselves.
_BACKGROUND = frozenset(
    {
        "audit_checkpoint",
        "audit_leaf",
        "audit_treenode",
        "audit_verification",
        "finops_budget",
        "finops_budgetuse",
        "finops_dayfigures",
        "finops_daysketch",
        "finops_dirtyday",
        "finops_rollupstate",
        "gateway_server",
        "gateway_tooluse",
        "gateway_toolusemark",
        "policy_quotause",
    }
)


@dataclass(frozen=True)
class Line:
    """A request: ``tool`` where the method is tools/call; "@run" is the sales run."""

    method: str
    letters: str
    era: str
    tool: str = ""
    arguments: str = "{}"

    def __str__(self) -> str:
        return f"{self.tool or self.method}-{self.era}"


def _both(method: str, letters: str, **more: str) -> tuple[Line, Line]:
    return Line(method, letters, MODERN, **more), Line(method, letters, LEGACY, **more)


_RUN = '{"taskId": "@run"}'
_ANSWER = '{"id": "a", "provider": "acme", "model": "m", "input": 1}'
_UPDATE = '{"taskId": "@run", "inputResponses": {}}'
TABLE = (
    *_both("tools/list", "S++++++++"),
    Line("server/discover", "S++++++++", MODERN),
    Line("ping", "S++++++++", LEGACY),
    *_both(CALL, "S333333++", tool="search", arguments='{"query": "add"}'),
    *_both(CALL, "S333333++", tool="get_schema", arguments='{"tools": ["crm.x"]}'),
    *_both(CALL, "S333333++", tool="execute", arguments='{"code": "return 1"}'),
    *_both(CALL, "SN+++++N+", tool="get_run", arguments='{"run": "@run"}'),
    *_both(CALL, "S33333333", tool="report_usage", arguments=_ANSWER),
    *_both(CALL, "SNNNNNN++", tool="trivial.add", arguments='{"a": 1, "b": 2}'),
    *_both("tasks/get", "SN+++++N+", arguments=_RUN),
    Line("tasks/result", "SN+++++N+", LEGACY, arguments=_RUN),
    Line("tasks/list", "S++++++++", LEGACY),
    Line("tasks/update", "S333333N+", MODERN, arguments=_UPDATE),
    Line("tasks/cancel", "S333333N+", MODERN, arguments=_RUN),
    # The run has ended: 2025-11-25 refuses to cancel it.
    Line("tasks/cancel", "S333333NN", LEGACY, arguments=_RUN),
)  # fmt: skip


@pytest.fixture(scope="module")
def callers(world: World) -> dict[str, str]:
    """The text of each one's key."""
    role = Membership.Role
    with world.stack.database():
        sales, support = make_team("sales"), make_team("support")
        people = {
            "outsider": (support, role.MEMBER),
            "member": (sales, role.MEMBER),
            "approver": (sales, role.APPROVER),
            "auditor": (sales, role.AUDITOR),
            "finance": (sales, role.FINANCE),
            "admin": (sales, role.ADMIN),
        }
        texts = {
            name: make_personal_key(make_user(f"cast-{name}", held)).text
            for name, held in people.items()
        }
    return texts | {"anonymous": "", "stranger": world.support, "agent": world.sales}


@pytest.fixture(scope="module")
def run(world: World) -> str:
    """A run of the sales agent that has ended."""
    uid: str = world.stack.execute(world.sales, "return 1")["run"]
    return uid


def test_every_method_and_tool_has_a_line() -> None:
    named = {line.tool or line.method for line in TABLE}
    assert set(METHODS) | set(NEEDED) <= named


@pytest.mark.parametrize("line", TABLE, ids=str)
def test_each_is_answered_or_refused_and_refusals_change_nothing(
    line: Line, world: World, callers: dict[str, str], run: str
) -> None:
    letters = dict(zip(CAST, line.letters, strict=True))
    # Those that are let in may change something, so they come last.
    refused_first = sorted(CAST, key=lambda who: letters[who] == "+")
    with world.stack.database():
        before = digest(leaving_out=_BACKGROUND)
    wrong = []
    for who in refused_first:
        if letters[who] == "+" and before:
            with world.stack.database():
                after = digest(leaving_out=_BACKGROUND)
            assert {name for name in after if after[name] != before[name]} == set()
            before = {}
        got = _letter(_send(line, world, callers[who], run))
        if got != letters[who]:
            wrong.append(f"{who}: {got}, not {letters[who]}")
    assert wrong == []


def _send(line: Line, world: World, key: str, run: str) -> Any:
    arguments = json.loads(line.arguments.replace("@run", run))
    params = {"name": line.tool, "arguments": arguments} if line.tool else arguments
    if key and line.method.startswith("tasks/"):
        return ask(world, line.era, line.method, params, key)
    return send(world.stack.mcp_url, key, line.era, line.method, params)


def _letter(answer: Any) -> str:
    if answer.status_code in (401, 403):
        return "S" if answer.status_code == 401 else "3"
    assert answer.status_code < 500, answer.text
    body = answer.json()
    refused = "error" in body or body["result"].get("isError")
    return "N" if refused else "+"
