"""What a sandbox says is refused unless it is exactly right."""

import json
import struct

import pytest

from gateway.sandbox import channel
from gateway.sandbox.api import JSON, CallError, Job, Limits, Reply
from gateway.sandbox.channel import (
    Failed,
    FrameReader,
    Printed,
    Ready,
    Returned,
    ToolCall,
)
from gateway.sandbox.errors import Violation

CALL = {"t": "call", "id": 1, "tool": "crm.list", "alone": True, "arguments": {}}
ERROR = {"code": "x", "message": "m", "line": 1, "step": 0, "suggestions": []}


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"t":"ready"}', Ready()),
        (json.dumps(CALL).encode(), ToolCall(1, "crm.list", {}, True)),
        (b'{"t":"out","text":"a"}', Printed("a")),
        (b'{"t":"done","ok":true,"value":[1]}', Returned([1], 3)),
        (
            json.dumps({"t": "done", "ok": False, "error": ERROR}).encode(),
            Failed("x", "m", 1, 0, ()),
        ),
    ],
)
def test_what_the_harness_sends_is_understood(
    body: bytes, message: channel.Message
) -> None:
    assert channel.decode(body) == message


FORGED = {
    "not JSON": b"{",
    "not UTF-8": b'{"t":"out","text":"\xff"}',
    "a list": b"[]",
    "a string": b'"call"',
    "NaN": b'{"t":"done","ok":true,"value":NaN}',
    "Infinity": b'{"t":"done","ok":true,"value":Infinity}',
    "overflowing number": b'{"t":"done","ok":true,"value":1e999}',
    "a lone surrogate": b'{"t":"out","text":"\\ud800"}',
    "NUL in a result": b'{"t":"done","ok":true,"value":["\\u0000"]}',
    "NUL in a key": b'{"t":"done","ok":true,"value":{"\\u0000":1}}',
    "depth": b'{"t":"done","ok":true,"value":' + b"[" * 101 + b"]" * 101 + b"}",
    "depth behind brackets in strings": b'{"t":"done","ok":true,"value":["]]]]]",'
    + b"[" * 101
    + b"]" * 101
    + b"]}",
    "no kind": b"{}",
    "unknown kind": b'{"t":"admin"}',
    "a kind that is a list": b'{"t":["call"]}',
    "done without a value": b'{"t":"done","ok":true}',
    "done with more": b'{"t":"done","ok":true,"value":1,"usage":{}}',
    "done neither way": b'{"t":"done","ok":1,"value":1}',
    "done by null": b'{"t":"done","ok":null,"error":{}}',
    "an error without code": b'{"t":"done","ok":false,"error":{}}',
    "ready with more": b'{"t":"ready","tenant":"other"}',
    "output of numbers": b'{"t":"out","text":1}',
}


@pytest.mark.parametrize("body", FORGED.values(), ids=FORGED.keys())
def test_forged_frames_are_refused(body: bytes) -> None:
    with pytest.raises(Violation) as caught:
        channel.decode(body)
    assert caught.value.code == "protocol_violation"


@pytest.mark.parametrize(
    "change",
    [
        {"id": True},
        {"id": "1"},
        {"id": 1.0},
        {"id": None},
        {"tool": ""},
        {"tool": "a b"},
        {"tool": "a" * 300},
        {"tool": "crm.list\n"},
        {"tool": ["crm.list"]},
        {"alone": 1},
        {"arguments": []},
        {"arguments": None},
        {"tenant": "other"},
    ],
    ids=str,
)
def test_calls_with_a_wrong_part_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(Violation):
        channel.decode(json.dumps(CALL | change).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"code": "Wall Time"},
        {"code": 1},
        {"message": None},
        {"line": "1"},
        {"line": True},
        {"step": False},
        {"suggestions": "x"},
        {"suggestions": [1]},
        {"suggestions": ["x"] * 11},
        {"retryable": True},
    ],
    ids=str,
)
def test_errors_with_a_wrong_part_are_refused(change: dict[str, object]) -> None:
    done = {"t": "done", "ok": False, "error": ERROR | change}
    with pytest.raises(Violation):
        channel.decode(json.dumps(done).encode())


def test_error_texts_are_made_harmless() -> None:
    hostile = "\x1b[2J\u202egnp.exe\r" + "x" * 10_000
    done = {"t": "done", "ok": False, "error": ERROR | {"message": hostile}}
    message = channel.decode(json.dumps(done).encode())
    assert isinstance(message, Failed)
    assert message.message.startswith("\ufffd[2J\ufffdgnp.exe\ufffdx")
    assert len(message.message) == 4_000


def test_deep_but_allowed_values_pass() -> None:
    body = b'{"t":"done","ok":true,"value":' + b"[" * 99 + b"]" * 99 + b"}"
    assert isinstance(channel.decode(body), Returned)
    wide = json.dumps({"t": "done", "ok": True, "value": [{"a": []}] * 5_000})
    assert isinstance(channel.decode(wide.encode()), Returned)


def test_frames_are_cut_wherever_the_reads_fall() -> None:
    stream = framed(b"one") + framed(b"") + framed(b"three" * 1_000)
    for size in (1, 3, 7, 4_096, len(stream)):
        reader, found = FrameReader(100_000), []
        for start in range(0, len(stream), size):
            reader.feed(stream[start : start + size])
            while (frame := reader.next()) is not None:
                found.append(frame)
        assert found == [b"one", b"", b"three" * 1_000]
        assert not reader.has_next()


def test_a_length_beyond_the_limit_is_refused_before_its_bytes_come() -> None:
    reader = FrameReader(1_000)
    reader.feed(struct.pack(">I", 0xFFFFFFFF))
    with pytest.raises(Violation) as caught:
        reader.next()
    assert caught.value.code == "message_too_large"


def test_all_bytes_of_a_run_are_bounded() -> None:
    reader = FrameReader(1_000)
    frame = framed(b'"' + b"x" * 4_000 + b'"')

    def flood() -> None:
        for _ in range(1_000):
            reader.feed(frame)
            reader.next()

    with pytest.raises(Violation) as caught:
        flood()
    assert caught.value.code == "message_too_large"


CALLED = ToolCall(3, "crm.list", {}, True)


def test_replies_carry_values_and_errors() -> None:
    body = channel.encode_reply(CALLED, Reply(value={"a": [1]}), 1_000)[4:]
    assert json.loads(body) == {"id": 3, "value": {"a": [1]}}
    error = CallError("denied", "no", True, ("ask",), {"limit": 1})
    body = channel.encode_reply(CALLED, Reply(error=error), 1_000)[4:]
    assert json.loads(body) == {
        "id": 3,
        "error": {
            "code": "denied",
            "message": "no",
            "retryable": True,
            "suggestions": ["ask"],
            "details": {"limit": 1},
        },
    }


def test_a_reply_beyond_the_limit_becomes_an_error_for_the_script() -> None:
    body = channel.encode_reply(CALLED, Reply(value="x" * 9_000), 1_000)[4:]
    assert json.loads(body)["error"]["code"] == "message_too_large"


def test_replies_hold_whatever_tools_return() -> None:
    value: JSON = {"big": 2**70, "half": "\ud800"}
    body = channel.encode_reply(CALLED, Reply(value=value), 1_000)[4:]
    assert json.loads(body)["value"] == value


def test_the_job_frame_holds_no_more_than_the_harness_needs() -> None:
    job = Job("secret-run", "1", "python", 2**80, 5.0, {"crm": {"a": "crm.a"}})
    frame = json.loads(channel.encode_job(job)[4:])
    assert set(frame) == {"code", "seed", "started_at", "tools", "limits"}
    assert frame["limits"]["calls"] == Limits().calls
