"""A team's sandbox whose interpreter was broken into: it may say whatever it likes."""

import contextlib
import json
import logging
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.member import Member
from gateway.sandbox.team import sandbox
from gateway.sandbox.team.sandbox import TeamSandbox
from gateway.sandbox.team.talk import Talk
from tests.integration.sandbox.conftest import serve
from tests.integration.sandbox.test_team import job


class Broken:
    """A team's sandbox whose inside is this test."""

    def __init__(self, folder: Path, command: Sequence[str] = ("sleep", "60")) -> None:
        hear, outgoing = os.pipe()
        incoming, say = os.pipe()
        errors, self._errors = os.pipe()
        for descriptor in (outgoing, incoming, errors):
            os.set_blocking(descriptor, False)
        self.hear, self.say = hear, say
        self.process = subprocess.Popen(command)
        pidfd = os.pidfd_open(self.process.pid)
        self.member = Member(folder, pidfd, incoming, outgoing, errors)
        self.sandbox = TeamSandbox(self.member, "sales/dev", lambda: None)

    def receive(self) -> tuple[int, dict[str, Any]]:
        (length,) = struct.unpack(">I", os.read(self.hear, 4))
        data = os.read(self.hear, length)
        return struct.unpack(">I", data[:4])[0], json.loads(data[4:])

    def send(self, number: int, body: bytes) -> None:
        os.write(self.say, struct.pack(">II", len(body) + 4, number) + body)

    def raw(self, data: bytes) -> None:
        os.write(self.say, data)

    def close(self) -> None:
        self.sandbox.kill()
        os.close(self.say)
        self.sandbox.join()
        self.process.wait(5)
        self.member.dispose()
        os.close(self.hear)
        os.close(self._errors)


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Broken]:
    logging.disable(logging.CRITICAL)
    made = Broken(tmp_path)
    yield made
    made.close()
    logging.disable(logging.NOTSET)


def begin(broken: Broken, **limits: float) -> tuple[Talk, threading.Thread]:
    talk = Talk(job("1", **limits), serve, None, None)  # type: ignore[arg-type]
    assert broken.sandbox.open(talk)
    thread = threading.Thread(target=talk.hold, args=(broken.sandbox.send,))
    thread.start()
    return talk, thread


DONE = b'{"t":"done","ok":true,"value":1}'
CALL = b'{"t":"call","id":%d,"tool":"crm.echo","alone":true,"arguments":{}}'
FORGED = [
    ("a run that is not there", 99, DONE),
    ("a step out of order", 1, CALL % 7),
    ("no JSON", 1, b"{"),
    ("unknown kind", 1, b'{"t":"grant"}'),
    ("more keys", 1, b'{"t":"done","ok":true,"value":1,"run":2}'),
    ("ready again", 1, b'{"t":"ready"}'),
    ("NaN", 1, b'{"t":"done","ok":true,"value":NaN}'),
    ("a true number", 1, CALL.replace(b"%d", b"true")),
]


@pytest.mark.parametrize(("what", "number", "body"), FORGED)
def test_a_broken_channel_ends_the_sandbox_and_every_run_in_it(
    broken: Broken, what: str, number: int, body: bytes
) -> None:
    talks = [begin(broken) for _ in range(2)]
    assert broken.receive()[0] == 1
    broken.send(number, body)
    for talk, thread in talks:
        thread.join(5)
        assert not thread.is_alive()
        error = talk.error()
        assert error is not None, what
        assert (error.code, error.retryable) == ("sandbox_died", True)
    assert broken.sandbox.retired
    assert broken.process.wait(5) == -9
    assert not broken.sandbox.open(talks[0][0])


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff", b"\0\0\0\2ab", b"\x7f\0\0\0" + b"x" * 100]
)
def test_a_length_is_refused_before_it_is_read(broken: Broken, data: bytes) -> None:
    talk, thread = begin(broken)
    broken.raw(data)
    thread.join(5)
    error = talk.error()
    assert error is not None
    assert error.code in ("protocol_violation", "message_too_large")
    assert broken.process.wait(5) == -9


def test_a_second_ending_under_the_same_number_is_a_lie(broken: Broken) -> None:
    talk, thread = begin(broken)
    broken.send(1, DONE)
    thread.join(5)
    assert talk.value == 1
    broken.send(1, DONE)
    assert broken.process.wait(5) == -9


def test_a_reply_goes_to_the_run_that_asked(broken: Broken) -> None:
    first, second = begin(broken), begin(broken)
    assert {broken.receive()[0], broken.receive()[0]} == {1, 2}
    broken.send(2, CALL % 1)
    number, reply = broken.receive()
    assert (number, reply) == (2, {"id": 1, "value": {"step": 1}})
    broken.send(1, DONE)
    broken.send(2, DONE)
    for talk, thread in (first, second):
        thread.join(5)
        assert talk.error() is None
    assert (first[0].calls, second[0].calls) == (0, 1)


def test_a_sandbox_that_does_not_stop_a_run_is_ended(broken: Broken) -> None:
    talk, thread = begin(broken)
    broken.receive()
    talk.end("wall_time")
    thread.join(5)
    broken.sandbox.close(talk)
    assert broken.sandbox.holders == 0
    assert broken.receive() == (1, {"t": "end"})
    assert broken.sandbox.in_flight == 1  # it still holds the run
    deadline = time.monotonic() + 10
    while not broken.sandbox.retired and time.monotonic() < deadline:
        broken.sandbox.check()
        time.sleep(0.05)
    assert broken.process.wait(5) == -9


# Burns in a process of its own, as a script does that has taken over its worker.
BURN = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'while 1: 0'])"


def test_cpu_is_bounded_from_outside_whatever_the_neighbours_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_CPU_SLACK", 0.2)
    logging.disable(logging.CRITICAL)
    broken = Broken(tmp_path, [sys.executable, "-c", BURN])
    try:
        hostile = begin(broken, cpu_seconds=0.5)
        # Neighbours that wait for tools, and use nothing of what they are allowed.
        waiting = [begin(broken, cpu_seconds=0.5) for _ in range(4)]
        number, deadline = 5, time.monotonic() + 20
        while not broken.sandbox.retired and time.monotonic() < deadline:
            # Short runs that come and go do not add what they might have used.
            short, thread = begin(broken, cpu_seconds=600)
            number += 1
            broken.send(number, DONE)
            thread.join(5)
            assert short.error() is None
            broken.sandbox.close(short)
            time.sleep(0.05)
            broken.sandbox.check()
        burnt = broken.member.meter.used_cpu
        assert broken.sandbox.retired
        # 1.5 times the one limit, the slack, what short runs explain, one look.
        assert 0.9 < burnt < 2.5
        for talk, thread in [hostile, *waiting]:
            thread.join(5)
            error = talk.error()
            assert error is not None
            assert (error.code, error.retryable) == ("sandbox_died", True)
    finally:
        for child in broken.member.meter.by_process():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        broken.close()
        logging.disable(logging.NOTSET)


def test_a_run_alone_is_told_that_it_was_its_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_CPU_SLACK", 0.2)
    broken = Broken(tmp_path, [sys.executable, "-c", "while 1: 0"])
    try:
        talk, thread = begin(broken, cpu_seconds=0.2)
        deadline = time.monotonic() + 20
        while not broken.sandbox.retired and time.monotonic() < deadline:
            time.sleep(0.05)
            broken.sandbox.check()
        thread.join(5)
        error = talk.error()
        assert error is not None
        assert error.code == "cpu_time"
    finally:
        broken.close()
