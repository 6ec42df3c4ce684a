"""Every MCP method and tool × every scope: exactly the keys that hold it pass.

What the endpoint serves is found in it: a new method or tool fails here until it says
which scope it needs, or is named among those that need a good key and no more.
"""

from typing import Any

import pytest

from audit.models import Event
from gateway.codemode import agent_tools
from gateway.mcp_server.auth import METHODS, NEEDED
from gateway.mcp_server.server import Endpoint
from policy import scopes
from tests.builders.identity import make_account, make_key, make_team
from tests.integration.mcp.wire import CALL, send
from tests.integration.mcp.world import World
from tests.stack import ERAS

HELD = tuple(
    dict.fromkeys(
        (
            *(scope for scope, _ in scopes.EXPLAINED),
            *(f"{area}:*" for area in scopes.AREAS),
        )
    )
)
# They say what there is, as far as the key may know; none of them acts. Direct tools
# are called through tools/call and need the scope of the tool itself.
FREE = {
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    CALL,
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "search": {"query": "add"},
    "get_schema": {"tools": ["trivial.add"]},
    "execute": {"code": "return 1"},
    "get_run": {"run": "run_none"},
    "report_usage": {"id": "a", "provider": "acme", "model": "m", "input": 1},
}


def test_all_that_is_served_says_which_scope_it_needs() -> None:
    served = set(Endpoint()._server._request_handlers)
    assert served - set(METHODS) - FREE == set()
    assert set(METHODS) <= served
    offered = {
        value["name"]
        for value in vars(agent_tools).values()
        if isinstance(value, dict) and "inputSchema" in value
    }
    assert offered == set(NEEDED) == set(ARGUMENTS)


@pytest.mark.parametrize("era", ERAS)
def test_exactly_the_keys_with_the_scope_pass(world: World, era: str) -> None:
    with world.stack.database():
        agent = make_account(make_team("sales"), "scoped")
        keys = {
            scope: make_key(agent, name=scope, scopes=[scope]).text for scope in HELD
        }
        before = _refusals()
    asked: list[tuple[str, dict[str, Any], str]] = [
        (method, {"taskId": "task_none"}, needed) for method, needed in METHODS.items()
    ]
    asked += [
        (CALL, {"name": name, "arguments": ARGUMENTS[name]}, needed)
        for name, needed in NEEDED.items()
    ]
    asked += [(method, {}, "") for method in sorted(FREE - {CALL, "initialize"})]
    wrong, refused = [], 0
    for method, params, needed in asked:
        for scope, key in keys.items():
            holds = not needed or scopes.covers([scope], needed)
            refused += not holds
            answer = send(world.stack.mcp_url, key, era, method, params)
            challenge = answer.headers.get("www-authenticate", "")
            if holds == (answer.status_code == 403) or holds == (
                f'scope="{needed}"' in challenge and bool(needed)
            ):
                wrong.append(f"{method} {params} with {scope}: {answer.status_code}")
            if answer.status_code in (401, 500, 502, 503):
                wrong.append(f"{method} {params} with {scope}: {answer.status_code}")
    assert wrong == []
    with world.stack.database():
        assert _refusals() == before + refused


def _refusals() -> int:
    return Event.objects.filter(name="scope.refused").count()
