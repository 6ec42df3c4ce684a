"""Makes the demo's traffic: agents of three teams at work through /mcp.

Every script really runs: an ordinary MCP client of each protocol revision searches,
reads signatures, executes, and mends what failed.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from deploy.demo.scripts import SCRIPTS, DemoScript

ROUNDS = 3
AT_ONCE = 3
PROTOCOLS = ("2026-07-28", "legacy")


@asynccontextmanager
async def connected(url: str, key: str, mode: str) -> AsyncIterator[Client]:
    """A client session that sends the key with each request."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=90) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


async def work(client: Client, script: DemoScript, number: int) -> list[str]:
    """One task as an agent does it; returns the status of each attempt."""
    await client.call_tool("search", {"query": script.task, "detail": "brief"})
    statuses = []
    for code in script.attempts:
        result = await client.call_tool(
            "execute", {"code": code, "task": f"{script.task} ({number})"}
        )
        envelope: Mapping[str, Any] = result.structured_content or {}
        statuses.append(str(envelope.get("status", "refused")))
        if statuses[-1] == "succeeded":
            break
    return statuses


async def direct(client: Client) -> None:
    """The classic path: call each tool that is listed for it, without arguments."""
    known = {"search", "get_schema", "execute", "get_run"}
    listed = await client.list_tools()
    for tool in listed.tools:
        if tool.name not in known and not tool.input_schema.get("required"):
            await client.call_tool(tool.name, {})


async def play(demo: Mapping[str, Any]) -> int:
    """Work through every script of every team ``ROUNDS`` times."""
    limit = asyncio.Semaphore(AT_ONCE)
    done: list[str] = []

    async def one(script: DemoScript, number: int) -> None:
        async with limit:
            mode = PROTOCOLS[number % len(PROTOCOLS)]
            key = demo["keys"][script.team]
            async with connected(demo["mcp_url"], key, mode) as client:
                done.extend(await work(client, script, number))
                if number == 0:
                    await direct(client)

    async with asyncio.TaskGroup() as group:
        for number in range(ROUNDS):
            for script in SCRIPTS:
                group.create_task(one(script, number))
    good = done.count("succeeded")
    print(f"{len(done)} runs of {len(SCRIPTS)} scripts, {good} succeeded")
    return 0 if good else 1


def main(play: Callable[[Mapping[str, Any]], Coroutine[Any, Any, int]]) -> int:
    """Read ``demo.json`` and play; the exit code."""
    data_dir = Path(os.environ.get("TOLLGATE_DATA_DIR", "var"))
    demo: dict[str, Any] = json.loads((data_dir / "demo.json").read_text())
    return asyncio.run(play(demo))


if __name__ == "__main__":
    sys.exit(main(play))
