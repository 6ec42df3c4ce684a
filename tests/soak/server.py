"""A tool server that keeps a ledger of its own, which no part of Tollgate can touch.

``python -m tests.soak.server FILE --port N``. Each line of the file is on disk before
the answer goes out. Calls take a little while before and after their effect, some of
them long, so that crashes come before, during and after it.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from deploy.demo.servers.serve import IDEMPOTENT, READ, WRITE, run

KEY_HEADER = "x-idempotency-key"
KEY_META = "idempotencyKey"
_LONG_SHARE = 0.06

server = MCPServer("ledger", version="1.0", log_level="ERROR")
receipts: dict[str, str] = {}


class File:
    """Where the lines go."""

    path = Path("ledger.jsonl")


def note(kind: str, tool: str, entry: str, key: str = "", receipt: str = "") -> None:
    """Append a line and see it on disk."""
    line = {
        "at": time.time(),
        "kind": kind,
        "tool": tool,
        "entry": entry,
        "key": key,
        "receipt": receipt,
    }
    with File.path.open("a") as lines:
        lines.write(json.dumps(line) + "\n")
        lines.flush()
        os.fsync(lines.fileno())


@asynccontextmanager
async def taking_time(tool: str, entry: str, key: str = "") -> AsyncIterator[None]:
    """What happens inside happens after a while, and is answered after a while."""
    note("asked", tool, entry, key)
    where = random.random()
    end = "broken off"
    try:
        await asyncio.sleep(random.uniform(0, 0.15) + 5 * (where < _LONG_SHARE))
        yield
        await asyncio.sleep(random.uniform(0, 0.15) + 3 * (where > 1 - _LONG_SHARE))
        end = "answered"
    finally:
        note(end, tool, entry, key)


def effect(tool: str, entry: str, key: str) -> str:
    """Let it happen; the receipt tells it from every other effect."""
    receipt = f"{tool}/{entry}/{random.getrandbits(48):012x}"
    note("effect", tool, entry, key, receipt)
    return receipt


def once(tool: str, entry: str, key: str) -> str:
    """Let it happen, unless it has under this key: then that receipt again."""
    if not key:
        raise ToolError("This tool needs an idempotency key.")
    if key in receipts:
        note("repeat", tool, entry, key, receipts[key])
    else:
        receipts[key] = effect(tool, entry, key)
    return receipts[key]


@server.tool(annotations=READ)
async def look(entry: str) -> str:
    """Read something that differs at each reading."""
    async with taking_time("look", entry):
        receipt = f"look/{entry}/{random.getrandbits(48):012x}"
        note("read", "look", entry, receipt=receipt)
    return receipt


@server.tool(annotations=IDEMPOTENT)
async def put(entry: str, ctx: Context[Any, Any]) -> str:
    """Write once for each key in the request's _meta."""
    meta: Any = ctx.request_context.meta or {}
    key = str(meta.get(KEY_META, ""))
    async with taking_time("put", entry, key):
        return once("put", entry, key)


@server.tool(annotations=IDEMPOTENT)
async def keep(entry: str, ctx: Context[Any, Any]) -> str:
    """Write once for each key in a header."""
    key = (ctx.headers or {}).get(KEY_HEADER, "")
    async with taking_time("keep", entry, key):
        return once("keep", entry, key)


@server.tool(annotations=WRITE)
async def pay(entry: str, request_id: str = "") -> str:
    """Write each time it is called; what happened can be looked up by the key."""
    async with taking_time("pay", entry, request_id):
        receipts[request_id] = receipt = effect("pay", entry, request_id)
    return receipt


@server.tool(annotations=READ)
async def find_payment(request_id: str) -> str | None:
    """What pay returned for this key, or null."""
    receipt = receipts.get(request_id)
    note("lookup", "find_payment", "", request_id, receipt or "")
    return receipt


@server.tool(annotations=WRITE)
async def send(entry: str, refused: bool = False) -> str:
    """Write each time it is called, unless it is to be refused."""
    async with taking_time("send", entry):
        if refused:
            note("refused", "send", entry)
            raise ToolError("This is refused.")
        return effect("send", entry, "")


@server.tool(annotations=WRITE)
async def release(entry: str) -> str:
    """Write each time it is called; Tollgate asks a person before."""
    async with taking_time("release", entry):
        return effect("release", entry, "")


if __name__ == "__main__":
    File.path = Path(sys.argv.pop(1))
    File.path.touch()
    run(server)
