"""What both transports share: ids, JSON-RPC messages and inbound requests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import anyio
from anyio.abc import TaskStatus
from mcp.shared.dispatcher import OnNotify, OnNotifyIntercept, OnRequest
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.transport_context import TransportContext
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST
from pydantic import ValidationError

from gateway.connectors.api import (
    PROTOCOL,
    RESULT_INVALID,
    RESULT_TOO_LARGE,
    ServerSpec,
    UpstreamError,
)
from gateway.connectors.values import as_object, decode

# Room for the JSON-RPC frame around a result of the permitted size.
FRAME_BYTES = 64 * 1024
# A result whose own text repeats the structured content is sent twice.
DUPLICATE_FACTOR = 2


class SessionLost(Exception):
    """The session is gone, and the server did not act on this request."""

    def __init__(self, error: UpstreamError) -> None:
        super().__init__(error.message)
        self.error = error


class WireResult(dict[str, Any]):
    """A raw result that remembers how many bytes its message had."""

    __slots__ = ("size",)

    def __init__(self, values: Mapping[str, Any], size: int) -> None:
        super().__init__(values)
        self.size = size


@dataclass
class InboundContext:
    """The `DispatchContext` of a request the server sends us: nothing goes back."""

    transport: TransportContext
    request_id: str | int | None
    message_metadata: None = None
    can_send_request: bool = False
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)

    async def send_raw_request(self, method: str, *_: object) -> NoReturn:
        raise NoBackChannelError(method)

    async def notify(self, *_: object) -> None:
        return

    async def progress(self, *_: object) -> None:
        return


class WireDispatcher:
    """The part of an `mcp` dispatcher that does not depend on the transport.

    The SDK's own dispatcher and transports move each message through three
    tasks and three in-memory streams, and one failed POST ends the session
    with every call in it. This one awaits the answer where it was asked for.
    """

    kind = ""

    def __init__(self, spec: ServerSpec, *, max_bytes: int) -> None:
        self.spec = spec
        self.limit = max_bytes * DUPLICATE_FACTOR + FRAME_BYTES
        self.sift: Callable[[dict[str, Any]], None] | None = None
        self.closed = anyio.Event()
        self._last_id = 0
        self._on_request: OnRequest | None = None

    async def run(
        self,
        on_request: OnRequest,
        on_notify: OnNotify,
        on_notify_intercept: OnNotifyIntercept | None = None,
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until the channel closes (notifications are not used here)."""
        self._on_request = on_request
        task_status.started()
        await self.closed.wait()

    def request(
        self, method: str, params: Mapping[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        """A JSON-RPC request under the next id."""
        self._last_id += 1
        message: dict[str, Any] = {
            "jsonrpc": "2.0",
            "id": self._last_id,
            "method": method,
        }
        if params:
            message["params"] = params
        return self._last_id, message

    def settle(self, method: str, message: dict[str, Any], size: int) -> WireResult:
        """The result of a response. Raises MCPError for the server's own errors."""
        if "error" in message:
            error = as_object(message["error"]) or {}
            code, text = error.get("code"), error.get("message")
            raise MCPError(
                code if isinstance(code, int) else INTERNAL_ERROR,
                text if isinstance(text, str) else "The server gave no reason.",
                error.get("data"),
            )
        result = as_object(message.get("result"))
        if result is None:
            raise self.not_mcp("the answer has neither a result nor an error")
        if method == "tools/list" and self.sift is not None:
            self.sift(result)
        return WireResult(result, size)

    async def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """Our response to a request of the server (a ping, most of the time)."""
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message.get("id")}
        context = InboundContext(
            TransportContext(kind=self.kind, can_send_request=False), message.get("id")
        )
        params = as_object(message.get("params"))
        try:
            if self._on_request is None:
                raise MCPError(INVALID_REQUEST, "The session has not started")
            result = await self._on_request(context, str(message["method"]), params)
        except MCPError as error:
            return {**reply, "error": {"code": error.code, "message": error.message}}
        except ValidationError:
            problem = {"code": INVALID_PARAMS, "message": "Invalid request parameters"}
            return {**reply, "error": problem}
        return {**reply, "result": result}

    def parse(self, body: bytes) -> dict[str, Any]:
        """One JSON-RPC message. Raises UpstreamError."""
        try:
            message = as_object(decode(body))
        except ValueError as error:
            reason = str(error)[:200]
            raise UpstreamError(
                RESULT_INVALID,
                f"Server {self.spec.name!r} sent something that is not JSON: {reason}",
                sent=True,
            ) from None
        if message is None:
            raise self.not_mcp("the answer is not a JSON-RPC message")
        return message

    def too_large(self) -> UpstreamError:
        return UpstreamError(
            RESULT_TOO_LARGE,
            f"The answer of server {self.spec.name!r} is larger than the permitted "
            f"{self.limit // DUPLICATE_FACTOR // 1024:,} KiB. "
            "Ask for less, for example with a smaller limit or a filter.",
            sent=True,
        )

    def not_mcp(self, what: str, *, sent: bool = True) -> UpstreamError:
        return UpstreamError(
            PROTOCOL,
            f"Server {self.spec.name!r} does not speak MCP as expected: {what}.",
            sent=sent,
        )
