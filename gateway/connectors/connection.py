"""One connection to one upstream server: open, share, call, reopen."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import mcp_types as types
from mcp import ClientSession
from mcp.client._probe import negotiate_auto
from mcp.shared.exceptions import MCPError
from mcp_types import (
    HEADER_MISMATCH,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter

from gateway.connectors import values
from gateway.connectors.api import (
    PROTOCOL,
    RESULT_TOO_LARGE,
    UNREACHABLE,
    Health,
    Listing,
    Outcome,
    RefusedTool,
    ServerSpec,
    UpstreamError,
    UpstreamTool,
)
from gateway.connectors.deadline import Deadline, Faults
from gateway.connectors.http import HttpDispatcher
from gateway.connectors.listing import read_pages
from gateway.connectors.stdio import StdioDispatcher
from gateway.connectors.wire import SessionLost, WireResult

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
RETIRE_SECONDS = 60.0
CLIENT = types.Implementation(name="tollgate", version="0.1.0")

# The SDK has checked the result's shape already; take it as it is.
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


@dataclass(slots=True)
class _Live:
    """An open session and what is known about its tools' wrappers."""

    session: ClientSession
    dispatcher: HttpDispatcher | StdioDispatcher
    wrapped: dict[str, bool]

    @property
    def protocol(self) -> str:
        return self.session.protocol_version or ""


class Connection:
    """Shared by all calls to one server; lives on one event loop."""

    def __init__(self, spec: ServerSpec, *, max_bytes: int) -> None:
        self.spec = spec
        self._max_bytes = max_bytes
        self._faults = Faults(spec)
        self._live: _Live | None = None
        self._opening: asyncio.Task[_Live] | None = None
        self._owner: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._legacy = False
        self._failures = 0
        self._retry_at = 0.0
        self._last_problem = ""
        self._calls = 0

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        timeout: float,
        meta: Mapping[str, Any] | None,
    ) -> Outcome:
        """Call a tool once. Raises UpstreamError."""
        started = time.perf_counter()
        request = types.CallToolRequest(
            params=types.CallToolRequestParams(
                name=tool,
                arguments=arguments,
                _meta=cast("types.RequestParamsMeta", dict(meta)) if meta else None,
            )
        )
        self._calls += 1
        try:
            async with Deadline(self._faults, timeout, f"tool {tool!r}") as deadline:
                live, raw = await self._send(request, deadline)
                wrapped = await self._is_wrapped(live, tool, raw)
                return self._outcome(raw, wrapped, started)
        finally:
            self._calls -= 1

    async def list_tools(self, *, timeout: float) -> Listing:
        """All tools on all pages. Raises UpstreamError."""
        async with Deadline(self._faults, timeout, "the list of tools") as deadline:
            live = await self._ready()
            deadline.sent = True
            try:
                tools, refused = await self._pages(live)
            except SessionLost:
                live = await self._reopen(live)
                tools, refused = await self._pages(live)
        info = live.session.server_info
        return Listing(
            server_name=self._faults.redact(info.name if info else "", limit=200),
            server_version=self._faults.redact(info.version if info else "", limit=100),
            protocol=live.protocol,
            instructions=self._faults.redact(
                live.session.instructions or "", limit=20_000
            ),
            tools=tuple(tools),
            refused=tuple(refused),
        )

    async def ping(self, *, timeout: float) -> Health:
        """Ask whether the server still answers; never raises UpstreamError."""
        started = time.perf_counter()
        protocol = ""
        try:
            async with Deadline(self._faults, timeout, "a ping") as deadline:
                live = await self._ready(force=True)
                deadline.sent = True
                protocol = live.protocol
                try:
                    await self._ping(live)
                except SessionLost:
                    await self._ping(await self._reopen(live))
        except UpstreamError as error:
            seconds = time.perf_counter() - started
            return Health(False, protocol, seconds, error.message)
        return Health(True, protocol, time.perf_counter() - started, "")

    async def close(self) -> None:
        """End the session and its process or connections."""
        self._stop.set()
        if self._opening is not None:
            self._opening.cancel()
        if self._owner is not None:
            with suppress(Exception, asyncio.CancelledError):
                await self._owner

    async def retire(self) -> None:
        """Close once the calls under way have ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RETIRE_SECONDS):
                while self._calls:
                    await asyncio.sleep(0.05)
        await self.close()

    # Opening

    async def _ready(self, *, force: bool = False) -> _Live:
        live = self._live
        if live is not None and not live.dispatcher.closed.is_set():
            return live
        wait = self._retry_at - time.monotonic()
        if wait > 0 and not force and self._opening is None:
            raise UpstreamError(
                UNREACHABLE,
                f"{self._last_problem} The next attempt is in {wait:.1f} s.",
                retryable=True,
            )
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    async def _open(self) -> _Live:
        previous = self._owner
        if previous is not None:
            self._stop.set()
            with suppress(Exception, asyncio.CancelledError):
                await previous
        self._stop = asyncio.Event()
        ready: asyncio.Future[_Live] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._own(ready, self._stop))
        return await ready

    def _opened(self, task: asyncio.Task[_Live]) -> None:
        self._opening = None
        if task.cancelled():
            return
        problem = task.exception()
        if problem is None:
            self._live, self._failures, self._retry_at = task.result(), 0, 0.0
            return
        self._failures += 1
        pause = FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 10)
        self._retry_at = time.monotonic() + min(pause, LONGEST_PAUSE_SECONDS)
        self._last_problem = str(problem)

    async def _own(self, ready: "asyncio.Future[_Live]", stop: asyncio.Event) -> None:
        """Hold the session open; its scopes must be left by the task that entered."""
        make = HttpDispatcher if self.spec.transport == "http" else StdioDispatcher
        dispatcher = make(self.spec, max_bytes=self._max_bytes)
        try:
            async with asyncio.timeout(self.spec.timeout_seconds) as limit:
                await dispatcher.start()
                async with ClientSession(
                    dispatcher=dispatcher, client_info=CLIENT
                ) as session:
                    await self._negotiate(session)
                    limit.reschedule(None)
                    if not ready.done():
                        ready.set_result(_Live(session, dispatcher, {}))
                    await _first(stop.wait(), dispatcher.closed.wait())
        except Exception as error:  # noqa: BLE001 - whoever waits gets it as ours
            if not ready.done():
                ready.set_exception(self._faults.explain(error, sent=False))
        finally:
            await dispatcher.aclose()
            if not ready.done():
                ready.cancel()

    async def _negotiate(self, session: ClientSession) -> None:
        if self._legacy:
            # Known from the last time: spare the server the probe.
            await session.initialize()
        else:
            await negotiate_auto(session)
        self._legacy = session.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS

    async def _reopen(self, lost: _Live) -> _Live:
        if self._live is lost:
            self._live = None
        return await self._ready()

    # Asking

    async def _send(
        self, request: types.CallToolRequest, deadline: Deadline
    ) -> tuple[_Live, dict[str, Any]]:
        live = await self._ready()
        for attempt in (1, 2):
            deadline.sent = True
            try:
                raw = await live.session.send_request(request, _ANY)
            except SessionLost:
                deadline.sent = False
                if attempt == 2:
                    raise
                live = await self._reopen(live)
            except MCPError as error:
                # The tool's schema asks for headers that only a listing tells of.
                if error.code != HEADER_MISMATCH or attempt == 2:
                    raise
                await self._pages(live)
            else:
                return live, raw
        raise AssertionError("unreachable")

    async def _ping(self, live: _Live) -> None:
        if live.protocol in MODERN_PROTOCOL_VERSIONS:
            await live.session.send_discover(live.protocol)
        else:
            await live.session.send_request(types.PingRequest(), _ANY)

    async def _pages(self, live: _Live) -> tuple[list[UpstreamTool], list[RefusedTool]]:
        tools, refused, wrapped = await read_pages(
            live.session, live.dispatcher, self.spec.name
        )
        live.wrapped = wrapped
        return tools, refused

    async def _is_wrapped(self, live: _Live, tool: str, raw: dict[str, Any]) -> bool:
        if not values.looks_wrapped(raw):
            return False
        marked = ((raw.get("_meta") or {}).get("fastmcp") or {}).get("wrap_result")
        if marked is True:
            return True
        if tool not in live.wrapped:
            await self._pages(live)
            live.wrapped.setdefault(tool, False)
        return live.wrapped[tool]

    def _outcome(self, raw: dict[str, Any], wrapped: bool, started: float) -> Outcome:
        size = raw.size if isinstance(raw, WireResult) else len(values.encode(raw))
        if raw.get("resultType", "complete") == "input_required":
            raise UpstreamError(
                PROTOCOL,
                f"Server {self.spec.name!r} asks for further input from a person, "
                "which is not supported in a script.",
                sent=True,
            )
        if raw.get("isError") is True:
            text = self._faults.redact(values.error_text(raw))
            return Outcome(None, True, text, time.perf_counter() - started, size)
        if size > self._max_bytes and not values.is_structured(raw):
            raise self._too_large(size)
        value = values.unwrap(raw, wrapped=wrapped)
        if size > self._max_bytes:
            size = len(values.encode(value))
            if size > self._max_bytes:
                raise self._too_large(size)
        return Outcome(value, False, "", time.perf_counter() - started, size)

    def _too_large(self, size: int) -> UpstreamError:
        return UpstreamError(
            RESULT_TOO_LARGE,
            f"The result has {size // 1024:,} KiB; at most "
            f"{self._max_bytes // 1024:,} KiB are taken. "
            "Ask for less, for example with a smaller limit or a filter.",
            sent=True,
        )


async def _first(*waits: Any) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
