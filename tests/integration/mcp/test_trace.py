"""Each event of a run names the trace of the request that asked for it."""

from typing import Any

import httpx2
import pytest

from audit.models import Event
from tests.integration.mcp.world import World

HEADER, META = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
CODE = "from tools import trivial\nreturn trivial.add(a=2, b=3)"


def parent(trace: str) -> str:
    return f"00-{trace}-00f067aa0ba902b7-01"


def traces(world: World, headers: dict[str, str], meta: dict[str, str]) -> set[str]:
    """Traces on the events of a run that is asked for in this way."""
    arguments: dict[str, Any] = {"name": "execute", "arguments": {"code": CODE}}
    answer = httpx2.post(
        world.stack.mcp_url,
        headers={
            "Authorization": f"Bearer {world.sales}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
            **headers,
        },
        json={
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": arguments | ({"_meta": meta} if meta else {}),
        },
        timeout=60,
    )
    run = answer.json()["result"]["structuredContent"]["run"]
    with world.stack.database():
        found = Event.objects.filter(run=run)
        assert {"run.submitted", "call.intended", "call.ended", "run.ended"} == {
            one.name for one in found
        }
        return {one.trace_id for one in found}


@pytest.mark.parametrize(
    ("headers", "meta", "trace"),
    [
        ({"traceparent": parent(HEADER)}, {}, HEADER),
        ({}, {"traceparent": parent(META)}, META),
        ({"traceparent": parent(HEADER)}, {"traceparent": parent(META)}, META),
        ({"traceparent": parent(HEADER)}, {"traceparent": "nonsense"}, HEADER),
        ({"traceparent": "nonsense"}, {}, ""),
    ],
)
def test_a_run_is_in_the_trace_of_its_request(
    world: World, headers: dict[str, str], meta: dict[str, str], trace: str
) -> None:
    assert traces(world, headers, meta) == {trace}
