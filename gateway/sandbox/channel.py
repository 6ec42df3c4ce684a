"""Frames from a sandbox, each checked before it is believed to be even well-formed."""

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.sandbox.api import JSON, CallError, Job, Limits, Reply
from gateway.sandbox.errors import Violation
from gateway.sandbox.harness.values import is_deep

ENVELOPE = 4_096  # bytes of a frame around its payload
_HEADER = struct.Struct(">I")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/@-]{0,255}")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST_TRAFFIC = 32  # frames of the largest size, in bytes of a whole run
_LONGEST_MESSAGE = 4_000


@dataclass(frozen=True, slots=True)
class Ready:
    """The harness waits for a job."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call; `alone` is a hint that nothing follows before its reply."""

    step: int
    tool: str
    arguments: dict[str, JSON]
    alone: bool


@dataclass(frozen=True, slots=True)
class Printed:
    """A piece of captured output."""

    text: str


@dataclass(frozen=True, slots=True)
class Returned:
    """The script's result and its length as JSON, in bytes."""

    value: JSON
    size: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The script's error as its own side tells it."""

    code: str
    message: str
    line: int | None
    step: int
    suggestions: tuple[str, ...]


Message = Ready | ToolCall | Printed | Returned | Failed


class FrameReader:
    """Cuts the byte stream into frames; refuses a length before reading it."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes + ENVELOPE
        self._traffic = self._most * _MOST_TRAFFIC
        self._parts: list[bytes] = []
        self._size = 0
        self._wanted = 4

    def feed(self, data: bytes) -> None:
        """Take bytes as read. Raises Violation when there are too many in all."""
        self._traffic -= len(data)
        if self._traffic < 0:
            raise Violation("message_too_large", "too many bytes in one run")
        self._parts.append(data)
        self._size += len(data)

    def next(self) -> bytes | None:
        """The next whole frame, or None. Raises Violation for a length refused."""
        if self._size < self._wanted:
            return None
        buffer = b"".join(self._parts)
        length = int(_HEADER.unpack_from(buffer)[0])
        if length > self._most:
            raise Violation("message_too_large", f"a frame of {length} bytes")
        end = 4 + length
        if len(buffer) < end:
            self._parts, self._wanted = [buffer], end
            return None
        self._parts, self._size = [buffer[end:]], len(buffer) - end
        self._wanted = 4
        return buffer[4:end]

    def has_next(self) -> bool:
        """Whether at least the head of another frame has come."""
        return self._size >= 4


def decode(frame: bytes) -> Message:
    """Parse and check one frame. Raises Violation."""
    try:
        # strict: refuses NaN, lone surrogates and bytes that are not UTF-8
        message = orjson.loads(frame)
    except ValueError as error:
        raise Violation("protocol_violation", f"not JSON: {error}") from None
    if is_deep(frame):
        raise Violation("protocol_violation", "nested too deeply")
    if b"\\u0000" in frame:
        _refuse_nul(message)
    if type(message) is not dict:
        raise Violation("protocol_violation", "not an object")
    match message.get("t"):
        case "call":
            return _call(message)
        case "out":
            return _printed(message)
        case "done":
            return _done(message, len(frame))
        case "ready":
            _exact(message, {"t"})
            return Ready()
    raise Violation("protocol_violation", "unknown kind of message")


def _exact(message: Mapping[str, object], keys: set[str]) -> None:
    if message.keys() != keys:
        raise Violation("protocol_violation", f"keys {sorted(message)[:10]}")


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise Violation("protocol_violation", what)


def _call(message: dict[str, JSON]) -> ToolCall:
    _exact(message, {"t", "id", "tool", "alone", "arguments"})
    step, tool = message["id"], message["tool"]
    arguments, alone = message["arguments"], message["alone"]
    if type(step) is not int:  # not isinstance: True is an int
        raise Violation("protocol_violation", "id is not an integer")
    if type(tool) is not str or not _NAME.fullmatch(tool):
        raise Violation("protocol_violation", "tool is not a name")
    if type(arguments) is not dict:
        raise Violation("protocol_violation", "arguments are not an object")
    if type(alone) is not bool:
        raise Violation("protocol_violation", "alone is not a boolean")
    return ToolCall(step, tool, arguments, alone)


def _printed(message: dict[str, JSON]) -> Printed:
    _exact(message, {"t", "text"})
    text = message["text"]
    if type(text) is not str:
        raise Violation("protocol_violation", "text is not a string")
    return Printed(text)


def _done(message: dict[str, JSON], size: int) -> Returned | Failed:
    if message.get("ok") is True:
        _exact(message, {"t", "ok", "value"})
        return Returned(message["value"], size - len('{"t":"done","ok":true,"value":}'))
    _exact(message, {"t", "ok", "error"})
    _require(message["ok"] is False, "ok is not a boolean")
    error = message["error"]
    if type(error) is not dict:
        raise Violation("protocol_violation", "error is not an object")
    _exact(error, {"code", "message", "line", "step", "suggestions"})
    code, text, line = error["code"], error["message"], error["line"]
    step, suggestions = error["step"], error["suggestions"]
    if type(code) is not str or not _CODE.fullmatch(code):
        raise Violation("protocol_violation", "code is not a code")
    if type(text) is not str or type(step) is not int:
        raise Violation("protocol_violation", "message or step has a wrong type")
    if line is not None and type(line) is not int:
        raise Violation("protocol_violation", "line is not an integer")
    return Failed(code, plain(text), line, step, _texts(suggestions))


def _texts(value: JSON) -> tuple[str, ...]:
    if type(value) is not list or len(value) > 10:
        raise Violation("protocol_violation", "suggestions are not a short list")
    texts = [plain(item)[:300] for item in value if type(item) is str]
    _require(len(texts) == len(value), "a suggestion is not a string")
    return tuple(texts)


def plain(text: str) -> str:
    """Hostile text made fit for logs and pages: bounded, no control characters."""
    shown = text[:_LONGEST_MESSAGE]
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in shown)


def _refuse_nul(value: JSON) -> None:
    """PostgreSQL's text and jsonb hold no NUL. Depth is bounded by now."""
    if isinstance(value, str):
        _require("\0" not in value, "a NUL character")
    elif isinstance(value, list):
        for item in value:
            _refuse_nul(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _require("\0" not in key, "a NUL character")
            _refuse_nul(item)


def encode(message: dict[str, JSON]) -> bytes:
    """A frame for the sandbox. Raises TypeError or ValueError for what is not JSON."""
    try:
        body = orjson.dumps(message)
    except TypeError:  # integers beyond 64 bits and lone surrogates, which tools send
        body = json.dumps(message, allow_nan=False).encode()
    return _HEADER.pack(len(body)) + body


def encode_job(job: Job) -> bytes:
    """The job frame; nothing in it is a secret or grants anything."""
    return encode(
        {
            "code": job.code.encode("utf-8", "replace").decode(),
            "seed": str(job.seed),
            "started_at": job.started_at,
            "tools": {name: dict(functions) for name, functions in job.tools.items()},
            "limits": _limits(job.limits),
        }
    )


def _limits(limits: Limits) -> dict[str, JSON]:
    return {
        "memory_mb": limits.memory_mb,
        "processes": limits.processes,
        "result_bytes": limits.result_bytes,
        "message_bytes": limits.message_bytes,
        "calls": limits.calls,
        "calls_in_flight": limits.calls_in_flight,
        "cpu_seconds": limits.cpu_seconds,
    }


def encode_reply(call: ToolCall, reply: Reply, most_bytes: int) -> bytes:
    """The reply frame; a value too large becomes an error the script can handle."""
    error = reply.error
    if error is None:
        frame = encode({"id": call.step, "value": reply.value})
        if len(frame) <= most_bytes + ENVELOPE:
            return frame
        error = too_large(len(frame), most_bytes)
    return encode({"id": call.step, "error": _error(error)})


def too_large(size: int, most_bytes: int) -> CallError:
    """What the script is told about a reply that passes the limit of messages."""
    return CallError(
        "message_too_large",
        f"The reply has {size} bytes, the limit is {most_bytes}: filter or page",
    )


def _error(error: CallError) -> dict[str, JSON]:
    return {
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        "suggestions": list(error.suggestions),
        "details": dict(error.details),
    }
