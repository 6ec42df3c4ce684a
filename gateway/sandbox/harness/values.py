"""Turns values into strict JSON text, or says what is wrong and where."""

import json
import re
from typing import Any

MAX_DEPTH = 100
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_SUSPECT = re.compile(r"\\u(?:0000|d[89a-f])|\d{19}")
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_HINTS = {
    "set": "use sorted(…)",
    "frozenset": "use sorted(…)",
    "datetime": "use .isoformat()",
    "date": "use .isoformat()",
    "time": "use .isoformat()",
    "timedelta": "use .total_seconds()",
    "Decimal": "use str(…) or float(…)",
    "UUID": "use str(…)",
    "bytes": "use .decode() or base64",
    "coroutine": "a tool call or async function lacks its await",
    "generator": "use list(…)",
    "map": "use list(…)",
    "filter": "use list(…)",
    "zip": "use list(…)",
    "dict_keys": "use list(…)",
    "dict_values": "use list(…)",
    "dict_items": "use list(…)",
}


class NotJSON(TypeError):
    """A value that has no strict JSON form; the message says which and where."""


_encode = json.JSONEncoder(
    allow_nan=False, check_circular=False, separators=(",", ":")
).encode


def to_json(value: Any, name: str) -> str:
    """ASCII JSON text of `value`, called `name` in messages.

    Raises NotJSON for other types, NaN, integers beyond 64 bits, lone surrogates,
    NUL characters and nesting beyond MAX_DEPTH.
    """
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError):
        _explain(value, name, 0)
        raise NotJSON(f"{name} is not JSON") from None
    # cheap tests on the text first: values need a walk only where one strikes
    if _SUSPECT.search(text) or is_deep(text.encode()):
        _explain(value, name, 0)
    return text


def is_deep(text: bytes) -> bool:
    """Whether JSON text nests beyond MAX_DEPTH; without a walk in Python."""
    if text.count(b"{") + text.count(b"[") <= MAX_DEPTH:
        return False
    brackets = _STRINGS.sub(b"", text).translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")  # takes off the innermost level
    return bool(brackets)


def _explain(value: Any, path: str, depth: int) -> None:
    """Walk the value; raise NotJSON at the first thing that is not strict JSON."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int):
        if not _SMALLEST <= value <= _LARGEST:
            raise NotJSON(f"{path} is an integer beyond 64 bits: use str(…)")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise NotJSON(f"{path} is {value}, which JSON does not have: use None")
    elif depth >= MAX_DEPTH:
        raise NotJSON(f"{path[:80]}… is nested more than {MAX_DEPTH} levels deep")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_key(key, path)
            if type(item) is not int or not -(2**62) < item < 2**62:
                _explain(item, f"{path}[{key!r}]", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _explain(item, f"{path}[{index}]", depth + 1)
    else:
        kind = type(value).__name__
        hint = f": {_HINTS[kind]}" if kind in _HINTS else ""
        raise NotJSON(f"{path} is of type {kind}, which is not JSON{hint}")


def _check_text(value: str, path: str) -> None:
    if "\0" in value:
        raise NotJSON(f"{path} holds a NUL character, which text must not: remove it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotJSON(f"{path} holds a lone surrogate, which is not text") from None


def _check_key(key: Any, path: str) -> None:
    if isinstance(key, str):
        _check_text(key, f"a key of {path}")
    elif isinstance(key, float):
        _explain(key, f"a key of {path}", 0)
    elif not (key is None or isinstance(key, int)):
        kind = type(key).__name__
        raise NotJSON(f"{path} has a key of type {kind}: use a string")
