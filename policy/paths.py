"""Paths into a call's arguments or result: ``customer.email``, ``rows[].card``."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from core.errors import Invalid

EACH = "[]"
"""Every item of a list, or every value of an object."""
_LONGEST = 200
_STEP = re.compile(
    r"\.?(?:(?P<each>\[\*?\])|\[(?P<index>\d{1,6})\]"
    r'|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]|(?P<name>[^.\[\]"\s]+))'
)

Path = tuple[str | int, ...]


def parse(text: object) -> Path:
    """The steps of a path. Raises Invalid."""
    if not isinstance(text, str) or not text or len(text) > _LONGEST:
        raise Invalid(f"{str(text)[:60]!r} is no path: write such as rows[].email.")
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or (match[0].startswith(".") and not steps):
            raise Invalid(f"The path {text!r} is not like customer.email or rows[].")
        position = match.end()
        steps.append(_step(match, text))
    return tuple(steps)


def _step(match: re.Match[str], text: str) -> str | int:
    if match["each"]:
        return EACH
    if match["index"]:
        return int(match["index"])
    if match["quoted"]:
        try:
            return str(json.loads(match["quoted"]))
        except ValueError:
            raise Invalid(f"The path {text!r} holds a broken quotation.") from None
    return str(match["name"])


def show(path: Path) -> str:
    """The steps as text that ``parse`` reads again."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step == EACH:
            text += EACH
        elif re.fullmatch(r'[^.\[\]"\s]+', step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step)}]"
    return text


def find(value: Any, path: Path) -> list[Any]:
    """Everything that the path leads to; nothing where it leads nowhere."""
    found = [value]
    for step in path:
        found = [inner for outer in found for inner in _inner(outer, step)]
    return found


def _inner(value: Any, step: str | int) -> Iterator[Any]:
    if isinstance(value, dict):
        if step == EACH:
            yield from value.values()
        elif step in value:
            yield value[step]
    elif isinstance(value, list):
        if step == EACH:
            yield from value
        elif isinstance(step, int) and step < len(value):
            yield value[step]


def replace(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """A copy in which everything the path leads to is changed."""
    if not path:
        return change(value)
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {
            key: replace(inner, rest, change) if step in (EACH, key) else inner
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [
            replace(inner, rest, change) if step in (EACH, number) else inner
            for number, inner in enumerate(value)
        ]
    return value
