"""Follows a stream of server-sent events without changing its bytes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from finops.model_usage import ModelUsage
from gateway.passthrough.usage import Said, answer_id, text_of, usage_of

_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")
DONE = b"[DONE]"
MOST_EVENT_BYTES = 4 * 1024 * 1024
_MOST_TEXT = 8 * 1024 * 1024


class TooLong(Exception):
    """One event is longer than is held."""


@dataclass(slots=True)
class Follower:
    """Reads what passes, and holds back the end of the stream.

    With ``strip`` the chunk that only has usage is left out.
    """

    strip: bool
    usage: ModelUsage | None = None
    answer: str = ""
    ended: bool = False
    _held: bytearray = field(default_factory=bytearray)
    _end: bytearray = field(default_factory=bytearray)
    _texts: list[str] = field(default_factory=list)
    _length: int = 0

    def feed(self, part: bytes) -> bytes:
        """The whole events in what has come, as they came. Raises TooLong."""
        self._held += part
        passed = b"".join(self._events())
        if len(self._held) + len(self._end) > MOST_EVENT_BYTES:
            raise TooLong
        return passed

    def rest(self) -> bytes:
        """What is left at the end of the stream."""
        event = bytes(self._held)
        self._held.clear()
        last = event if event and self._passes(event) else b""
        return bytes(self._end) + last

    @property
    def said(self) -> Said:
        """All that is known by now."""
        return Said(self.usage, self.answer, "".join(self._texts))

    def _events(self) -> Iterator[bytes]:
        begin = 0
        for end in _BOUNDARY.finditer(self._held):
            event = bytes(self._held[begin : end.end()])
            begin = end.end()
            if not self._passes(event):
                continue
            if self.ended:
                self._end += event
            else:
                yield event
        del self._held[:begin]

    def _passes(self, event: bytes) -> bool:
        data = b"\n".join(
            line[5:].strip() for line in event.splitlines() if line[:5] == b"data:"
        )
        if data == DONE:
            self.ended = True
        if not data.startswith(b"{"):
            return True
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            return True
        self.answer = self.answer or answer_id(chunk)
        if self._length < _MOST_TEXT and (text := text_of(chunk)):
            self._texts.append(text)
            self._length += len(text)
        usage = usage_of(chunk)
        if usage is None:
            return True
        # Some servers count on with every chunk: the last one holds.
        self.usage = usage
        return not (self.strip and chunk.get("choices") == [])
