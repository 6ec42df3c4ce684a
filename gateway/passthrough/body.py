"""A chat completion's request: what is read of it, and changed without the rest.

What Tollgate does not know passes byte for byte, so a value is replaced where it
stands in the text; nothing is written anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import Invalid

_BLANK = " \t\n\r"
_LONGEST_MODEL = 100
MOST_ANSWERS = 128
_DEFAULT_OUTPUT = 4_096


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


_decoder = json.JSONDecoder(parse_constant=_no_number)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came, with the place of each of its fields in the text."""

    text: str
    values: Mapping[str, Any]
    places: Mapping[str, tuple[int, int]]

    @property
    def model(self) -> str:
        name: str = self.values["model"]
        return name

    @property
    def stream(self) -> bool:
        return bool(self.values.get("stream"))

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with a chunk that has the usage."""
        options = self.values.get("stream_options") or {}
        return bool(options.get("include_usage"))

    @property
    def most_output(self) -> int:
        """Tokens that may be answered; a common number where nothing is said."""
        for name in ("max_completion_tokens", "max_tokens"):
            said = self.values.get(name)
            if isinstance(said, int) and not isinstance(said, bool) and said > 0:
                return min(said, 10_000_000) * self._answers
        return _DEFAULT_OUTPUT * self._answers

    @property
    def _answers(self) -> int:
        number = self.values.get("n") or 1
        return min(number, MOST_ANSWERS) if isinstance(number, int) else 1

    @property
    def prompt(self) -> Any:
        """What the model is given to read, for an estimate of its tokens."""
        return [
            self.values.get(name)
            for name in ("messages", "tools", "functions", "response_format")
            if self.values.get(name)
        ]

    def sent_as(self, model: str) -> bytes:
        """The body for the model server: its own name of the model, usage asked for."""
        changes: dict[str, str] = {}
        if model != self.model:
            changes["model"] = json.dumps(model)
        if self.stream and not self.wants_usage:
            options = self.values.get("stream_options") or {}
            changes["stream_options"] = json.dumps({**options, "include_usage": True})
        text = self.text
        in_text = [name for name in changes if name in self.places]
        for name in sorted(in_text, key=lambda one: self.places[one], reverse=True):
            start, end = self.places[name]
            text = text[:start] + changes[name] + text[end:]
        for name in changes.keys() - self.places.keys():
            begin = text.index("{") + 1
            text = f"{text[:begin]}{json.dumps(name)}:{changes[name]},{text[begin:]}"
        return text.encode()


def read(body: bytes) -> Request:
    """The request in a body. Raises Invalid, also for a field that stands twice.

    Of two models one parser takes the first and another the last: what is checked
    has to be what is sent.
    """
    try:
        text = body.decode()
        values, places = _fields(text)
    except (ValueError, IndexError, RecursionError) as error:
        raise Invalid(f"The body is no JSON object: {str(error)[:200]}") from None
    model = values.get("model")
    if not isinstance(model, str) or not model.strip() or len(model) > _LONGEST_MODEL:
        raise Invalid(
            f"Name the model as 1 to {_LONGEST_MODEL} characters; GET /v1/models lists "
            "those that are offered.",
            details={"param": "model"},
        )
    if not isinstance(values.get("messages"), list) or not values["messages"]:
        raise Invalid(
            "Give messages as a list with at least one.", details={"param": "messages"}
        )
    if not isinstance(values.get("stream_options") or {}, dict):
        raise Invalid(
            "stream_options is an object.", details={"param": "stream_options"}
        )
    if not isinstance(values.get("stream", False) or False, bool):
        raise Invalid("stream is true or false.", details={"param": "stream"})
    return Request(text, values, places)


def _fields(text: str) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    values: dict[str, Any] = {}
    places: dict[str, tuple[int, int]] = {}
    at = _after(text, _skip(text, 0), "{")
    if text[_skip(text, at)] == "}":
        raise ValueError("it is empty")
    while True:
        at = _skip(text, at)
        _after(text, at, '"')
        name, at = _decoder.raw_decode(text, at)
        if name in values:
            raise ValueError(f"{name[:40]!r} stands twice")
        start = _skip(text, _after(text, _skip(text, at), ":"))
        values[name], end = _decoder.raw_decode(text, start)
        places[name] = (start, end)
        at = _skip(text, end)
        if text[at] == "}":
            break
        at = _after(text, at, ",")
    if _skip(text, at + 1) != len(text):
        raise ValueError("something follows its end")
    return values, places


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _after(text: str, at: int, expected: str) -> int:
    if text[at] != expected:
        raise ValueError(f"{expected} is missing at character {at}")
    return at + 1
