"""The TypeScript harness as a plain process: what it makes of the bytes it gets."""

import json
import os
import select
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox import image
from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.runtimes import RUNTIMES

MAIN = Path(image.__file__).parent / "node" / "main.js"
LIMITS = {
    "calls": 100,
    "calls_in_flight": 16,
    "message_bytes": 100_000,
    "result_bytes": 100_000,
}


def framed(message: dict[str, Any]) -> bytes:
    body = json.dumps(message).encode()
    return struct.pack(">I", len(body)) + body


class Harness:
    """Node with the harness, and the host's ends of its pipes."""

    def __init__(self) -> None:
        _, *options = RUNTIMES["typescript"].arguments[:-1]
        self._process = subprocess.Popen(
            [str(image._node()), *options, str(MAIN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin, self.stdout = self._process.stdin, self._process.stdout

    def write(self, data: bytes) -> None:
        self.stdin.write(data)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            assert select.select([self.stdout], [], [], 20)[0], "nothing came"
            piece = os.read(self.stdout.fileno(), size - len(data))
            assert piece, "the harness ended"
            data += piece
        return data

    def receive(self) -> Any:
        return json.loads(self._read(struct.unpack(">I", self._read(4))[0]))

    def start(self, code: str, warm: bool = True) -> None:
        assert self.receive() == {"t": "ready"}
        if warm:
            self.write(framed({"warm": True}))
            assert self.receive() == {"t": "ready"}
        tools = {"crm": {"echo": "crm.echo"}}
        job = {"code": code, "seed": "1", "started_at": 1.0, "tools": tools}
        self.write(framed({**job, "limits": LIMITS}))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self.stdin.close()
        self.stdout.close()


@pytest.fixture
def harness() -> Iterator[Harness]:
    try:
        made = Harness()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    yield made
    made.close()


CHAINS = """
const chain = async (hops: number) => {
  await tools.crm.echo({ hops });
  for (let i = 0; i < hops; i++) await null;
  await tools.crm.echo({ hops });
};
await Promise.all([chain(9), chain(0), chain(4)]);
"""


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
@pytest.mark.parametrize("together", [True, False], ids=["at once", "one by one"])
def test_calls_are_numbered_by_the_order_of_replies_alone(
    harness: Harness, order: tuple[int, ...], together: bool
) -> None:
    """So a replay, whose replies come all at once, numbers calls as the run did."""
    harness.start(CHAINS)
    hops = {}
    for _ in order:
        call = harness.receive()
        hops[call["id"]] = call["arguments"]["hops"]
    replies = [framed({"id": step, "value": None}) for step in order]
    later = []
    if together:
        harness.write(b"".join(replies))
        later = [harness.receive() for _ in order]
    else:
        for reply in replies:
            harness.write(reply)
            later.append(harness.receive())
    assert [call["id"] for call in later] == [4, 5, 6]
    assert [call["arguments"]["hops"] for call in later] == [
        hops[step] for step in order
    ]


@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_frames_are_put_together_wherever_they_are_cut(
    harness: Harness, size: int
) -> None:
    harness.start("return (await tools.crm.echo()).length")
    assert harness.receive()["t"] == "call"
    data = framed({"id": 1, "value": "é" * 500})
    for start in range(0, len(data), size):
        harness.write(data[start : start + size])
    assert harness.receive() == {"t": "done", "ok": True, "value": 500}


def test_a_sandbox_that_was_booted_takes_its_job_at_once(harness: Harness) -> None:
    harness.start("return (await tools.crm.echo({a: 1})).b", warm=False)
    call = harness.receive()
    assert call["arguments"] == {"a": 1}
    assert call["alone"] is True
    harness.write(framed({"id": 1, "value": {"b": 2}}))
    assert harness.receive()["value"] == 2


def test_a_call_beside_a_timer_is_not_called_alone(harness: Harness) -> None:
    harness.start("setTimeout(() => 0, 9_000); return tools.crm.echo()")
    assert harness.receive()["alone"] is False


def test_no_more_calls_are_in_flight_than_allowed(harness: Harness) -> None:
    harness.start("await Promise.all([...Array(20)].map(() => tools.crm.echo()))")
    steps = [harness.receive()["id"] for _ in range(16)]
    assert steps == list(range(1, 17))
    assert not select.select([harness.stdout], [], [], 0.2)[0]
    harness.write(framed({"id": 5, "value": None}))
    assert harness.receive()["id"] == 17


def test_the_harness_ends_with_its_host(harness: Harness) -> None:
    harness.start("await tools.crm.echo()")
    assert harness.receive()["t"] == "call"
    harness.stdin.close()
    assert harness._process.wait(10) == 0
