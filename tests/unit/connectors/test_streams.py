"""Lines, events and redaction: the small parts under the transports."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.connectors.api import ServerSpec
from gateway.connectors.redaction import Redactor, public_url
from gateway.connectors.sse import event_data
from gateway.connectors.stdio import LineBuffer, Overlong


def events(body: bytes, step: int, limit: int = 1000) -> list[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    async def collect() -> list[bytes]:
        return [data async for data in event_data(chunks(), limit, OverflowError)]

    return asyncio.run(collect())


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_events_do_not_depend_on_chunks(step: int) -> None:
    body = (
        b": comment\n\nid: 1\ndata:\n\nevent: message\r\ndata: one\r\n\r\n"
        b"data: two\ndata:three\n\nretry: 5\n\ndata: cut off"
    )
    assert events(body, step) == [b"one", b"two\nthree"]


@pytest.mark.parametrize("step", [10, 5000])
def test_an_event_may_not_grow_without_end(step: int) -> None:
    with pytest.raises(OverflowError):
        events(b"data: " + b"x" * 2000 + b"\n\n", step)
    with pytest.raises(OverflowError):
        events(b"data: 0123456789\n" * 200, step)
    assert len(events(b"data: 0123456789\n\n" * 200, 10)) == 200


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_lines_do_not_depend_on_chunks(step: int) -> None:
    buffer = LineBuffer(10)
    body = b"one\n\ntwo\n0123456789\n0123456789a" + b"x" * 500 + b"\nlast\nrest"
    lines: list[bytes | Overlong] = []
    for start in range(0, len(body), step):
        lines += buffer.feed(body[start : start + step])
    assert lines[:4] == [b"one", b"", b"two", b"0123456789"]
    assert isinstance(lines[4], Overlong)
    assert lines[4].head.startswith(b"0123456789a")
    assert lines[5:] == [b"last"]


def test_secrets_are_redacted_wherever_they_stand() -> None:
    spec = ServerSpec(
        "1:1",
        "x",
        "http",
        url="https://us%40er:p%2Fword@example.org/mcp?key=query-key",
        headers={"Authorization": "Bearer tok-en-1", "X-Mode": "on"},
        env={"SECRET": "env-secret"},
    )
    redact = Redactor(spec)
    text = "tok-en-1 Bearer tok-en-1 env-secret p/word us@er query-key on"
    assert redact(text) == " ".join(["[redacted]"] * 6) + " on"
    assert redact("a\x1b[31m\u202eb\nc") == "a [31m b\nc"
    assert len(redact("x" * 9999)) == 2000
    assert "tok-en-1" not in repr(spec)
    assert "env-secret" not in repr(spec)


def test_public_url() -> None:
    url = "https://user:secret@example.org:8443/mcp?key=secret#part"
    assert public_url(url) == "https://example.org:8443/mcp"
