"""One MCP client for all peers: the SDK's, kept-alive connections, 2026-07-28."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from benchmarks.cases import Case

PROTOCOL = "2026-07-28"


class WrongAnswer(Exception):
    """A peer gave another value than the script asks for: nothing to time."""


@dataclass(slots=True)
class Peer:
    """A server under measurement and the open session with it."""

    name: str
    client: Client
    level: str = ""
    """The isolation level of the last run, where the peer has levels."""

    @property
    def ours(self) -> bool:
        """Whether this is Tollgate, at whatever level."""
        return self.name.startswith("tollgate")

    def script(self, case: Case) -> str:
        """The case in this peer's dialect."""
        return case.tollgate if self.ours else case.fastmcp

    async def execute(self, case: Case) -> float:
        """Milliseconds of one execute, its value checked. Raises WrongAnswer."""
        started = time.perf_counter()
        result = await self.client.call_tool("execute", {"code": self.script(case)})
        took = (time.perf_counter() - started) * 1e3
        if self._value(result) != case.value:
            raise WrongAnswer(f"{self.name} {case.name}: {result}")
        return took

    def _value(self, result: CallToolResult) -> Any:
        if self.ours:
            body = result.structured_content or {}
            self.level = body.get("usage", {}).get("isolation", {}).get("level", "")
            return body.get("value")
        part = result.content[0] if result.content else None
        return json.loads(part.text) if isinstance(part, TextContent) else None

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> float:
        """Milliseconds of one direct call."""
        started = time.perf_counter()
        result = await self.client.call_tool(tool, dict(arguments))
        took = (time.perf_counter() - started) * 1e3
        if result.is_error:
            raise WrongAnswer(f"{self.name} {tool}: {result}")
        return took


@asynccontextmanager
async def connected(name: str, url: str, key: str = "") -> AsyncIterator[Peer]:
    """A session with a peer; the key, where there is one, goes with each request."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx2.AsyncClient(headers=headers, timeout=90) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=PROTOCOL) as client:
            yield Peer(name, client)
