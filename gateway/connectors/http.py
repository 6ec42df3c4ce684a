"""Streamable HTTP to an upstream server, as a dispatcher for the SDK's session."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types import METHOD_NOT_FOUND, REQUEST_TIMEOUT
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gateway.connectors.api import (
    AUTH,
    HEADER_META,
    PROTOCOL,
    UNREACHABLE,
    ServerSpec,
    UpstreamError,
)
from gateway.connectors.http_client import (
    ConnectFailed,
    ConnectionBroken,
    HttpClient,
    Response,
)
from gateway.connectors.redaction import public_url
from gateway.connectors.sse import event_data
from gateway.connectors.values import as_object, encode
from gateway.connectors.wire import SessionLost, WireDispatcher, WireResult

SESSION_HEADER = "mcp-session-id"
MAX_REDIRECTS = 3
COURTESY_SECONDS = 2.0
ERROR_BODY_BYTES = 64 * 1024


class HttpDispatcher(WireDispatcher):
    """One POST per request, over kept-alive connections."""

    kind = "streamable-http"

    def __init__(self, spec: ServerSpec, *, max_bytes: int) -> None:
        super().__init__(spec, max_bytes=max_bytes)
        self._url = spec.url
        self._session_id: str | None = None
        self._version: str | None = None
        self._courtesies: set[asyncio.Task[None]] = set()
        self._client = HttpClient(spec.url)

    async def start(self) -> None:
        """Nothing to start: the first request connects."""

    async def aclose(self) -> None:
        """End the server's session, where there is one, and all connections."""
        if self._session_id is not None:
            with suppress(Exception):
                async with asyncio.timeout(COURTESY_SECONDS):
                    response = await self._send("DELETE", None, {})
                    response.close()
        for task in self._courtesies:
            task.cancel()
        await self._client.aclose()
        self.closed.set()

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
        headers = opts.get("headers") or {}
        if method == "initialize":
            self._version = None
        elif MCP_PROTOCOL_VERSION_HEADER in headers:
            self._version = headers[MCP_PROTOCOL_VERSION_HEADER]
        headers, params = _own_headers(headers, params)
        request_id, message = self.request(method, params)
        try:
            async with asyncio.timeout(opts.get("timeout")):
                return await self._exchange(method, message, headers)
        except TimeoutError:
            self._cancel_upstream(request_id, opts)
            raise MCPError(REQUEST_TIMEOUT, f"{method} timed out") from None
        except asyncio.CancelledError:
            self._cancel_upstream(request_id, opts)
            raise

    async def notify(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,
    ) -> None:
        """Send a notification; whether it arrives does not matter."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params:
            message["params"] = params
        with suppress(ConnectFailed, ConnectionBroken):
            response = await self._send("POST", message, (opts or {}).get("headers"))
            response.close()

    async def _exchange(
        self, method: str, message: dict[str, Any], headers: Mapping[str, str]
    ) -> WireResult:
        try:
            response = await self._send("POST", message, headers)
        except ConnectFailed as error:
            raise self._unreachable(error, sent=False) from None
        except ConnectionBroken as error:
            raise self._unreachable(error, sent=True) from None
        try:
            found = response.headers
            if response.status != 200:
                await self._refusal(method, response, found)
            if method == "initialize":
                self._session_id = found.get(SESSION_HEADER)
            content_type = found.get("content-type", "").partition(";")[0].strip()
            if content_type == "application/json":
                body = await self._body(response, self.limit)
                return self.settle(method, self.parse(body), len(body))
            if content_type == "text/event-stream":
                return await self._stream(method, message["id"], response)
            self._probe_failed(method)
            raise self.not_mcp(
                f"{public_url(self._url)} answered with {content_type or 'no type'}, "
                "not with JSON. Check the address; it often ends in /mcp"
            )
        except ConnectionBroken as error:
            raise self._unreachable(error, sent=True) from None
        finally:
            response.close()

    async def _stream(
        self, method: str, request_id: int, response: Response
    ) -> WireResult:
        async for data in event_data(response.chunks(), self.limit, self.too_large):
            message = self.parse(data)
            if "method" not in message:
                if str(message.get("id")) == str(request_id):
                    return self.settle(method, message, len(data))
            elif message.get("id") is not None:
                reply = await self.answer(message)
                answered = await self._send("POST", reply, None)
                answered.close()
        raise UpstreamError(
            UNREACHABLE,
            f"Server {self.spec.name!r} ended its stream without an answer.",
            retryable=True,
            sent=True,
        )

    async def _send(
        self,
        verb: str,
        message: dict[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> Response:
        content = b"" if message is None else encode(message)
        sent = {**self._headers(), **(headers or {})}
        for name, value in sent.items():
            if "\n" in value or "\r" in value or "\n" in name or "\r" in name:
                raise self.not_mcp(f"header {name!r} holds a line break", sent=False)
        for _ in range(MAX_REDIRECTS):
            parts = urlsplit(self._url)
            target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
            response = await self._client.send(verb, target, sent, content)
            moved = self._same_origin_redirect(response)
            if moved is None:
                return response
            response.close()
            self._url = moved
        return response

    def _headers(self) -> dict[str, str]:
        parts = urlsplit(self._url)
        headers = {
            "host": parts.netloc.rpartition("@")[2],
            "accept": "application/json, text/event-stream",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": "tollgate",
        }
        headers |= {name.lower(): value for name, value in self.spec.headers.items()}
        if self._session_id is not None:
            headers[SESSION_HEADER] = self._session_id
        if self._version is not None:
            headers[MCP_PROTOCOL_VERSION_HEADER] = self._version
        return headers

    def _same_origin_redirect(self, response: Response) -> str | None:
        if response.status not in (307, 308):
            return None
        target = urljoin(self._url, response.headers.get("location", ""))
        old, new = urlsplit(self._url), urlsplit(target)
        same = (old.scheme, old.netloc) == (new.scheme, new.netloc)
        return target if same and target != self._url else None

    async def _refusal(
        self, method: str, response: Response, headers: Mapping[str, str]
    ) -> None:
        """Raise what a status other than 200 means."""
        status, name = response.status, self.spec.name
        if status in (401, 403):
            raise UpstreamError(
                AUTH,
                f"Server {name!r} refused our credentials (HTTP {status}). "
                "Check the headers in its configuration.",
            )
        if status == 429:
            raise UpstreamError(
                UNREACHABLE,
                f"Server {name!r} has too many requests (HTTP 429). Try again later.",
                retryable=True,
            )
        if status in (502, 503, 504):
            raise UpstreamError(
                UNREACHABLE,
                f"Server {name!r} is not available (HTTP {status}).",
                retryable=True,
                sent=True,
            )
        if headers.get("content-type", "").startswith("application/json"):
            await self._raise_rpc_error(method, response)
        if status == 404 and self._session_id is not None:
            raise self._forgotten()
        if status < 500:
            self._probe_failed(method)
        hint = (
            f"Server {name!r} redirects elsewhere; use that address instead."
            if 300 <= status < 400
            else f"Server {name!r} answered HTTP {status} at {public_url(self._url)}. "
            "Check the address; it often ends in /mcp."
        )
        raise UpstreamError(PROTOCOL, hint, sent=status >= 500 or status < 300)

    async def _raise_rpc_error(self, method: str, response: Response) -> None:
        body = await self._body(response, ERROR_BODY_BYTES)
        try:
            message = self.parse(body)
        except UpstreamError:
            return
        error = as_object(message.get("error"))
        if error is None:
            return
        # Some servers answer an unknown session with 400 instead of 404.
        text = str(error.get("message", "")).lower()
        if self._session_id is not None and (
            response.status == 404 or "session" in text
        ):
            raise self._forgotten()
        self.settle(method, message, len(body))

    def _forgotten(self) -> SessionLost:
        text = f"Server {self.spec.name!r} forgets its sessions."
        return SessionLost(UpstreamError(UNREACHABLE, text, retryable=True))

    def _probe_failed(self, method: str) -> None:
        """Let the era negotiation fall back to `initialize`."""
        if method == "server/discover":
            raise MCPError(METHOD_NOT_FOUND, "Not found")

    def _cancel_upstream(self, request_id: int, opts: CallOptions) -> None:
        # Since 2026-07-28 closing the response is the signal; before, a message.
        if self._version in MODERN_PROTOCOL_VERSIONS or not opts.get(
            "cancel_on_abandon", True
        ):
            return
        task = asyncio.ensure_future(self._courtesy(request_id))
        self._courtesies.add(task)
        task.add_done_callback(self._courtesies.discard)

    async def _courtesy(self, request_id: int) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(COURTESY_SECONDS):
                await self.notify("notifications/cancelled", {"requestId": request_id})

    async def _body(self, response: Response, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for chunk in response.chunks():
            size += len(chunk)
            if size > limit:
                raise self.too_large()
            parts.append(chunk)
        return b"".join(parts)

    def _unreachable(self, error: Exception, *, sent: bool) -> UpstreamError:
        reason = str(error) or type(error).__name__
        what = "broke off" if sent else "cannot be reached"
        return UpstreamError(
            UNREACHABLE,
            f"Server {self.spec.name!r} {what} at {public_url(self._url)}: {reason}",
            retryable=True,
            sent=sent,
        )


def _own_headers(
    headers: dict[str, str], params: Mapping[str, Any] | None
) -> tuple[dict[str, str], Mapping[str, Any] | None]:
    """Headers with those that the call's own `_meta` asks for, taken out of it."""
    meta = (params or {}).get("_meta") or {}
    if HEADER_META not in meta:
        return headers, params
    kept = {name: value for name, value in meta.items() if name != HEADER_META}
    return {**headers, **meta[HEADER_META]}, {**(params or {}), "_meta": kept}
