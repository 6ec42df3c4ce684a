"""A small HTTP/1.1 client for one origin, made for many short requests.

The general clients spend 0.6 ms of CPU on a request; a script makes hundreds.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import cast
from urllib.parse import urlsplit

import httptools

CONNECT_SECONDS = 10.0
# Uvicorn and others close an idle connection after 5 s. We drop it sooner, so
# that a request is never sent into a connection that is just being closed.
KEEPALIVE_SECONDS = 4.0
MAX_CONNECTIONS = 64
MAX_HEADER_BYTES = 64 * 1024
# Beyond this much unread body the peer has to wait.
HIGH_WATER = 1024 * 1024


Resolve = Callable[[str, int], Awaitable[str]]


class ConnectFailed(Exception):
    """No connection: the request was certainly not sent."""


class ConnectionBroken(Exception):
    """The connection ended after the request may have been sent."""


class HttpClient:
    """Kept-alive connections to one origin; lives on one event loop.

    ``resolve`` gives the address that is connected to for a host and a port.
    """

    def __init__(self, url: str, *, resolve: Resolve | None = None) -> None:
        self._resolve = resolve
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        secure = parts.scheme == "https"
        self._port = parts.port or (443 if secure else 80)
        # A TLS context costs some 20 ms, so plain http does not build one.
        self._tls = ssl.create_default_context() if secure else None
        self._idle: deque[_Channel] = deque()
        self._busy: set[_Channel] = set()
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)

    async def send(
        self, verb: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> "Response":
        """Send a request and await the head of its response.

        Raises ConnectFailed, ConnectionBroken.
        """
        head = [f"{verb} {target} HTTP/1.1"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        head.append(f"content-length: {len(content)}\r\n\r\n")
        request = "\r\n".join(head).encode() + content
        await self._slots.acquire()
        channel: _Channel | None = None
        try:
            channel = self._reusable() or await self._connect()
            self._busy.add(channel)
            await channel.exchange(request)
        except BaseException:
            self._slots.release()
            if channel is not None:
                self._busy.discard(channel)
                channel.abort()
            raise
        return Response(self, channel)

    def release(self, channel: "_Channel") -> None:
        """Take a channel back; keep it if it can be used again."""
        self._slots.release()
        self._busy.discard(channel)
        if channel.reusable:
            channel.idle_since = time.monotonic()
            self._idle.append(channel)
        else:
            channel.abort()

    async def aclose(self) -> None:
        """Close every connection."""
        for channel in (*self._idle, *self._busy):
            channel.abort()
        self._idle.clear()
        # One turn of the loop, in which the transports really close.
        await asyncio.sleep(0)

    def _reusable(self) -> "_Channel | None":
        oldest = time.monotonic() - KEEPALIVE_SECONDS
        while self._idle:
            channel = self._idle.pop()
            if channel.open and channel.idle_since > oldest:
                return channel
            channel.abort()
        return None

    async def _connect(self) -> "_Channel":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                host = self._host
                if self._resolve is not None:
                    host = await self._resolve(host, self._port)
                _, channel = await loop.create_connection(
                    _Channel,
                    host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except TimeoutError:
            raise ConnectFailed(f"no connection in {CONNECT_SECONDS:g} s") from None
        except (OSError, ssl.SSLError, UnicodeError) as error:
            raise ConnectFailed(str(error) or type(error).__name__) from None
        return channel


class Response:
    """The head of a response, and its body as it comes in."""

    __slots__ = ("_channel", "_client", "headers", "status")

    def __init__(self, client: HttpClient, channel: "_Channel") -> None:
        self._client = client
        self._channel: _Channel | None = channel
        self.status = channel.status
        self.headers = channel.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The parts of the body. Raises ConnectionBroken."""
        channel = self._channel
        while channel is not None:
            part = await channel.next_part()
            if part is None:
                return
            yield part

    def close(self) -> None:
        """Give the connection back; one whose body was not read is closed."""
        channel, self._channel = self._channel, None
        if channel is not None:
            self._client.release(channel)


class _Channel(asyncio.Protocol):
    """One connection, with one exchange at a time."""

    def __init__(self) -> None:
        self.open = False
        self.idle_since = 0.0
        self.status = 0
        self.headers: dict[str, str] = {}
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._problem: Exception | None = None
        self._parts: deque[bytes] = deque()
        self._held = 0
        self._head_bytes = 0
        self._has_head = False
        self._complete = False
        self._keep_alive = False
        self._paused = False

    @property
    def reusable(self) -> bool:
        return self.open and self._complete and self._keep_alive and not self._parts

    async def exchange(self, request: bytes) -> None:
        transport = self._transport
        if transport is None or not self.open:
            raise ConnectionBroken("the connection is closed")
        self.status, self.headers = 0, {}
        self._parser = httptools.HttpResponseParser(self)
        self._has_head = self._complete = self._keep_alive = False
        self._head_bytes = 0
        transport.write(request)
        while not self._has_head:
            await self._wait()

    async def next_part(self) -> bytes | None:
        while not self._parts:
            if self._complete:
                return None
            await self._wait()
        part = self._parts.popleft()
        self._held -= len(part)
        if self._paused and self._held < HIGH_WATER and self._transport is not None:
            self._paused = False
            with suppress(RuntimeError):
                self._transport.resume_reading()
        return part

    def abort(self) -> None:
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._problem is not None:
            raise self._problem
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, reason: str) -> None:
        self.open = False
        if not self._complete:
            self._problem = ConnectionBroken(reason)
        self._wake()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance check: other event loops have classes of their own.
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(str(exc) if exc else "the server closed the connection")

    def eof_received(self) -> bool:
        # Only a body without a length ends with the connection.
        sized = self.headers.keys() & {"content-length", "transfer-encoding"}
        if self._has_head and not self._complete and not sized:
            self._complete = True
            self.open = False
            self._wake()
        return False

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._complete:
            # Nobody asked: whatever this is, it is no answer to us.
            self.abort()
            return
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")
            self.abort()
            return
        if not self._has_head and self._head_bytes > MAX_HEADER_BYTES:
            self._fail("the head of the response is too long")
            self.abort()
        elif self._held > HIGH_WATER and not self._paused and self._transport:
            self._paused = True
            self._transport.pause_reading()

    # httptools.HttpResponseParser

    def on_message_begin(self) -> None:
        if self._complete:
            # A second response to one request: read no more from this peer.
            self.open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._complete:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._complete or self._parser is None:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self.headers = {}
            return
        self._keep_alive = self._parser.should_keep_alive()
        self._has_head = True
        self._wake()

    def on_body(self, body: bytes) -> None:
        if not self._complete:
            self._parts.append(body)
            self._held += len(body)
            self._wake()

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self._complete = True
            self._wake()
