"""A server as a child process, as a dispatcher for the SDK's session."""

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError
from mcp_types import REQUEST_TIMEOUT

from gateway.connectors.api import UNREACHABLE, ServerSpec, UpstreamError
from gateway.connectors.values import encode
from gateway.connectors.wire import SessionLost, WireDispatcher

STOP_SECONDS = 2.0
EXIT_SECONDS = 0.5
MAX_UNREAD_BYTES = 4 * 1024 * 1024
MAX_INBOUND = 32
STDERR_TAIL = 4 * 1024

# A response begins with its id; what is cut off is only the result.
_ID = re.compile(rb'^\s*\{(?:\s*"jsonrpc"\s*:\s*"2.0"\s*,)?\s*"id"\s*:\s*"?(\d{1,18})')
_HEAD = 256


class StdioDispatcher(WireDispatcher):
    """Newline-delimited JSON-RPC over the pipes of a child process."""

    kind = "stdio"

    def __init__(self, spec: ServerSpec, *, max_bytes: int) -> None:
        super().__init__(spec, max_bytes=max_bytes)
        self._pending: dict[int, asyncio.Future[tuple[dict[str, Any], int]]] = {}
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._lines = LineBuffer(self.limit)
        self._stderr = b""
        self._inbound: set[asyncio.Task[None]] = set()
        self._exited = asyncio.Event()

    async def start(self) -> None:
        """Start the process. Raises UpstreamError."""
        command = self.spec.command
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.subprocess_exec(
                lambda: _Pipes(self),
                *command,
                env=child_environment(self.spec),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise UpstreamError(
                UNREACHABLE,
                f"Server {self.spec.name!r} could not be started: {error}. "
                "Check its command.",
            ) from None
        self._transport = transport
        self._stdin = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))

    async def aclose(self) -> None:
        """Close its input, then end the process and all its children."""
        self._lost("was stopped", sent=True)
        transport = self._transport
        if transport is None:
            return
        if self._stdin is not None:
            self._stdin.close()
        if transport.get_returncode() is None:
            for number in (None, signal.SIGTERM, signal.SIGKILL):
                if number is not None:
                    _signal_group(transport.get_pid(), number)
                with suppress(TimeoutError):
                    async with asyncio.timeout(STOP_SECONDS):
                        await self._exited.wait()
                        break
        transport.close()

    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,
    ) -> dict[str, Any]:
        """Send one request and await its result.

        Raises MCPError, UpstreamError, SessionLost.
        """
        opts = opts or {}
        if self.closed.is_set():
            raise SessionLost(self._gone("is not running", sent=False))
        request_id, message = self.request(method, params)
        future: asyncio.Future[tuple[dict[str, Any], int]] = (
            asyncio.get_running_loop().create_future()
        )
        self._pending[request_id] = future
        try:
            self._write(message)
            async with asyncio.timeout(opts.get("timeout")):
                reply, size = await future
        except TimeoutError:
            self._cancel_upstream(request_id, opts)
            raise MCPError(REQUEST_TIMEOUT, f"{method} timed out") from None
        except asyncio.CancelledError:
            self._cancel_upstream(request_id, opts)
            raise
        finally:
            del self._pending[request_id]
        return self.settle(method, reply, size)

    async def notify(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,
    ) -> None:
        """Send a notification, unless the process has gone."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params:
            message["params"] = params
        with suppress(UpstreamError, SessionLost):
            self._write(message)

    def received(self, data: bytes) -> None:
        """Take in what the process wrote to its standard output."""
        for line in self._lines.feed(data):
            if isinstance(line, Overlong):
                self._fail_overlong(line.head)
            elif line.strip():
                self._message(line)

    def complained(self, data: bytes) -> None:
        """Keep the end of what the process wrote to its standard error."""
        self._stderr = (self._stderr + data)[-STDERR_TAIL:]

    def exited(self) -> None:
        """The process is gone: nobody will answer any more."""
        self._exited.set()
        code = self._transport.get_returncode() if self._transport else None
        self._lost(f"stopped (exit code {code})", sent=True)

    def closed_output(self) -> None:
        """Nothing more will come; the process mostly ends at the same time."""
        asyncio.get_running_loop().call_later(EXIT_SECONDS, self._output_gone)

    def _output_gone(self) -> None:
        if not self.closed.is_set():
            self._lost("closed its output", sent=True)

    def _message(self, line: bytes) -> None:
        try:
            message = self.parse(line)
        except UpstreamError as error:
            # Programs print to stdout what belongs in a log: only a line that
            # names one of our requests is an answer.
            self._fail(_id_in(line[:_HEAD]), error)
            return
        if "method" in message:
            if message.get("id") is not None and len(self._inbound) < MAX_INBOUND:
                task = asyncio.ensure_future(self._reply(message))
                self._inbound.add(task)
                task.add_done_callback(self._inbound.discard)
            return
        answered = message.get("id")
        if isinstance(answered, str) and answered.isdigit():
            answered = int(answered)
        future = self._pending.get(answered) if isinstance(answered, int) else None
        if future is not None and not future.done():
            future.set_result((message, len(line)))

    async def _reply(self, message: dict[str, Any]) -> None:
        reply = await self.answer(message)
        with suppress(UpstreamError, SessionLost):
            self._write(reply)

    def _write(self, message: dict[str, Any]) -> None:
        pipe = self._stdin
        if pipe is None or pipe.is_closing():
            raise SessionLost(self._gone("is not running", sent=False))
        if pipe.get_write_buffer_size() > MAX_UNREAD_BYTES:
            raise self._gone("does not read its input", sent=False)
        pipe.write(encode(message) + b"\n")

    def _cancel_upstream(self, request_id: int, opts: CallOptions) -> None:
        if opts.get("cancel_on_abandon", True):
            with suppress(UpstreamError, SessionLost):
                self._write(
                    {
                        "jsonrpc": "2.0",
                        "method": "notifications/cancelled",
                        "params": {"requestId": request_id},
                    }
                )

    def _fail(self, request_id: int | None, error: UpstreamError) -> None:
        future = self._pending.get(request_id) if request_id is not None else None
        if future is not None and not future.done():
            future.set_exception(error)

    def _fail_overlong(self, head: bytes) -> None:
        named = _id_in(head)
        # Without an id it may be the answer to any of them.
        for request_id in list(self._pending) if named is None else [named]:
            self._fail(request_id, self.too_large())

    def _lost(self, what: str, *, sent: bool) -> None:
        self.closed.set()
        error = self._gone(what, sent=sent)
        for request_id in list(self._pending):
            self._fail(request_id, error)

    def _gone(self, what: str, *, sent: bool) -> UpstreamError:
        lines = self._stderr.decode(errors="replace").strip().splitlines()
        said = f" Its last words: {lines[-1][:300]}" if lines else ""
        return UpstreamError(
            UNREACHABLE,
            f"Server {self.spec.name!r} {what}.{said}",
            retryable=True,
            sent=sent,
        )


class Overlong:
    """The beginning of a line that was too long to keep."""

    __slots__ = ("head",)

    def __init__(self, head: bytes) -> None:
        self.head = head


class LineBuffer:
    """Cuts a stream of bytes into lines, never holding more than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._overlong: Overlong | None = None

    def feed(self, data: bytes) -> list[bytes | Overlong]:
        """The lines that `data` completes."""
        *complete, rest = data.split(b"\n")
        lines: list[bytes | Overlong] = []
        for part in complete:
            self._append(part)
            lines.append(self._overlong or b"".join(self._parts))
            self._parts, self._size, self._overlong = [], 0, None
        self._append(rest)
        return lines

    def _append(self, part: bytes) -> None:
        if self._overlong is not None or not part:
            return
        self._parts.append(part)
        self._size += len(part)
        if self._size > self._limit:
            self._overlong = Overlong(b"".join(self._parts)[:_HEAD])
            self._parts = []


class _Pipes(asyncio.SubprocessProtocol):
    def __init__(self, owner: StdioDispatcher) -> None:
        self._owner = owner

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        body = data if isinstance(data, bytes) else data.encode()
        if fd == 1:
            self._owner.received(body)
        else:
            self._owner.complained(body)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self._owner.closed_output()

    def process_exited(self) -> None:
        self._owner.exited()


def child_environment(spec: ServerSpec) -> dict[str, str]:
    """The least a program needs, and what its configuration adds: never ours."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        **spec.env,
    }


def _id_in(head: bytes) -> int | None:
    found = _ID.search(head)
    return int(found[1]) if found else None


def _signal_group(pid: int, number: signal.Signals) -> None:
    # A pid of 0 or 1 would mean our own group, or everybody.
    if pid > 1:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
