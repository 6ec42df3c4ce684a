"""The HTTP client against a server that writes its bytes by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from gateway.connectors.http_client import (
    ConnectFailed,
    ConnectionBroken,
    HttpClient,
)

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
Seen = list[bytes]
T = TypeVar("T")


def talk(
    replies: list[bytes], work: Callable[[HttpClient], Awaitable[T]]
) -> tuple[T, Seen, int]:
    """Run `work` against a server that gives one of `replies` to each request.

    An empty reply closes the connection. Also returns the requests and how many
    connections there were.
    """
    seen: Seen = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
                seen.append(head + await reader.readexactly(length))
                reply = replies.pop(0)
                writer.write(reply)
                await writer.drain()
                if not reply or b"close" in reply:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def run() -> T:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = HttpClient(f"http://127.0.0.1:{port}/mcp")
        try:
            return await work(client)
        finally:
            await client.aclose()
            server.close()
            await asyncio.sleep(0.01)

    return asyncio.run(run()), seen, connections


async def ask(client: HttpClient, body: bytes = b"{}") -> tuple[int, bytes]:
    response = await client.send("POST", "/mcp", {"host": "x"}, body)
    try:
        return response.status, b"".join([part async for part in response.chunks()])
    finally:
        response.close()


async def ask_twice(client: HttpClient) -> list[tuple[int, bytes]]:
    return [await ask(client), await ask(client)]


@pytest.mark.parametrize(
    ("reply", "connections"),
    [
        (OK, 1),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
            b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            1,
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 1),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello", 2),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello", 2),
    ],
)
def test_bodies_and_connections(reply: bytes, connections: int) -> None:
    answers, seen, used = talk([reply, reply], ask_twice)
    assert answers == [(200, b"hello"), (200, b"hello")]
    assert seen[0].startswith(b"POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: 2")
    assert used == connections


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\nclose",
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\nconnection: close\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n",
    ],
)
def test_broken_answers(reply: bytes) -> None:
    with pytest.raises(ConnectionBroken):
        talk([reply], ask)


def test_no_connection() -> None:
    async def work() -> None:
        await ask(HttpClient("http://127.0.0.1:9/mcp"))

    with pytest.raises(ConnectFailed):
        asyncio.run(work())


def test_a_connection_is_not_used_after_an_unread_body() -> None:
    async def work(client: HttpClient) -> tuple[int, bytes]:
        response = await client.send("POST", "/mcp", {}, b"")
        response.close()
        return await ask(client)

    part = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"
    answer, _, connections = talk([part, OK], work)
    assert answer == (200, b"hello")
    assert connections == 2


def test_bytes_nobody_asked_for_end_the_connection() -> None:
    async def work(client: HttpClient) -> list[tuple[int, bytes]]:
        first = await ask(client)
        await asyncio.sleep(0.05)
        return [first, await ask(client)]

    smuggled = OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    answers, _, _ = talk([smuggled, OK], work)
    assert answers == [(200, b"hello"), (200, b"hello")]


def test_a_large_body_waits_for_its_reader() -> None:
    size = 8 * 1024 * 1024
    reply = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size

    async def work(client: HttpClient) -> tuple[int, int]:
        response = await client.send("POST", "/mcp", {}, b"")
        await asyncio.sleep(0.1)
        held = response._channel._held if response._channel else 0
        body = b"".join([part async for part in response.chunks()])
        response.close()
        return held, len(body)

    (held, length), _, _ = talk([reply], work)
    assert length == size
    assert held < 2 * 1024 * 1024
