"""The synchronous, thread-safe face of all upstream connections of a process."""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, Generic, TypeVar

from gateway.connectors.api import (
    UNREACHABLE,
    Health,
    Listing,
    Outcome,
    ServerSpec,
    UpstreamError,
)
from gateway.connectors.connection import Connection

MAX_RESULT_BYTES = 16 * 1024 * 1024
CLOSE_SECONDS = 10.0
# The loop keeps the time; this only guards against a loop that hangs.
GRACE_SECONDS = 10.0

T = TypeVar("T")


class UpstreamPool:
    """One connection per server, shared by all threads, on one event loop thread."""

    def __init__(self, *, max_result_bytes: int = MAX_RESULT_BYTES) -> None:
        self._max_bytes = max_result_bytes
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._closed = False
        # Only the loop's thread touches these.
        self._connections: dict[str, Connection] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    def call(
        self,
        spec: ServerSpec,
        tool: str,
        arguments: dict[str, Any],
        *,
        timeout: float,
        meta: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Call a tool once, within `timeout` seconds. Raises UpstreamError.

        A tool's own error is an Outcome with `is_error`, not an exception.
        """
        return self._run(self._call(spec, tool, arguments, timeout, meta), timeout)

    def list_tools(self, spec: ServerSpec, *, timeout: float) -> Listing:
        """All tools of a server, within `timeout` seconds. Raises UpstreamError."""
        return self._run(self._list_tools(spec, timeout), timeout)

    def ping(self, spec: ServerSpec, *, timeout: float) -> Health:
        """Whether the server answers; tries even while it is held to be down."""
        return self._run(self._ping(spec, timeout), timeout)

    def discard(self, key: str) -> None:
        """Drop the connection of this key, once its calls have ended."""
        if self._loop is not None and self._pid == os.getpid():
            self._run(self._discard(key), CLOSE_SECONDS)

    def close(self) -> None:
        """End all connections and processes, and the loop's thread."""
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
            self._closed = True
        if loop is None or thread is None or self._pid != os.getpid():
            return
        done = asyncio.run_coroutine_threadsafe(self._close_all(), loop)
        try:
            done.result(CLOSE_SECONDS)
        except concurrent.futures.TimeoutError:
            done.cancel()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSE_SECONDS)

    def _run(self, coroutine: Coroutine[Any, Any, T], timeout: float) -> T:
        try:
            loop = self._started()
        except UpstreamError:
            coroutine.close()
            raise
        waiting: _Waiting[T] = _Waiting(loop, coroutine)
        return waiting.result(timeout + GRACE_SECONDS)

    def _started(self) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is not None and self._pid == os.getpid():
            return loop
        with self._lock:
            if self._closed:
                raise UpstreamError(UNREACHABLE, "The pool is closed.")
            if self._loop is None or self._pid != os.getpid():
                # After a fork neither thread nor connections came along.
                self._connections, self._retiring = {}, set()
                self._pid = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop_forever, args=(self._loop,), daemon=True
                )
                self._thread.name = "upstreams"
                self._thread.start()
            return self._loop

    @staticmethod
    def _loop_forever(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    # On the loop

    async def _call(
        self,
        spec: ServerSpec,
        tool: str,
        arguments: dict[str, Any],
        timeout: float,
        meta: Mapping[str, Any] | None,
    ) -> Outcome:
        connection = self._connection(spec)
        return await connection.call(tool, arguments, timeout=timeout, meta=meta)

    async def _list_tools(self, spec: ServerSpec, timeout: float) -> Listing:
        return await self._connection(spec).list_tools(timeout=timeout)

    async def _ping(self, spec: ServerSpec, timeout: float) -> Health:
        return await self._connection(spec).ping(timeout=timeout)

    async def _discard(self, key: str) -> None:
        server = _server(key)
        connection = self._connections.get(server)
        if connection is not None and connection.spec.key == key:
            del self._connections[server]
            self._retire(connection)

    async def _close_all(self) -> None:
        connections = list(self._connections.values())
        self._connections.clear()
        closing = [connection.close() for connection in connections]
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*closing, *self._retiring, return_exceptions=True)

    def _connection(self, spec: ServerSpec) -> Connection:
        server = _server(spec.key)
        connection = self._connections.get(server)
        if connection is not None and connection.spec.key != spec.key:
            self._retire(connection)
            connection = None
        if connection is None:
            connection = Connection(spec, max_bytes=self._max_bytes)
            self._connections[server] = connection
        return connection

    def _retire(self, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(connection.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


class _Waiting(Generic[T]):
    """Runs a coroutine on the loop while this thread waits.

    Half the cost of `run_coroutine_threadsafe`, which links two futures.
    """

    __slots__ = ("_coroutine", "_done", "_loop", "_task")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]
    ) -> None:
        self._loop = loop
        self._coroutine = coroutine
        self._task: asyncio.Task[T] | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def result(self, timeout: float) -> T:
        """What the coroutine returns or raises. Raises UpstreamError."""
        try:
            self._loop.call_soon_threadsafe(self._start)
        except RuntimeError:
            self._coroutine.close()
            raise UpstreamError(UNREACHABLE, "The pool is closed.") from None
        ended = self._done.acquire(timeout=timeout)
        task = self._task
        if not ended or task is None or task.cancelled():
            if task is not None and not ended:
                self._loop.call_soon_threadsafe(task.cancel)
            raise UpstreamError(
                UNREACHABLE,
                "The connection was closed during the call.",
                retryable=True,
                sent=True,
            )
        return task.result()

    def _start(self) -> None:
        self._task = self._loop.create_task(self._coroutine)
        self._task.add_done_callback(lambda _: self._done.release())


def _server(key: str) -> str:
    """The server's part of a key: `17` of `17:3`."""
    return key.partition(":")[0]
