"""Keyed digests of argument values: what was the same, without what it was.

The trail stores arguments redacted. HMAC-SHA-256 under a key outside the database lets
an auditor find all calls with one value, and nobody try out words on a stolen trail.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from core.canonical import keyed_digest

_MOST = 50
_DEEPEST = 12
_LONGEST_PATH = 200
# 128 bits: enough to match by, and half of what each event has to hold.
_CHARACTERS = 32
# Who knows that a value is one of a few has found it: these say nothing.
_TELLING = (str, int, float)


def digest_of(value: object) -> str:
    """What stands in the trail for one argument value, whatever its name."""
    return keyed_digest(value, purpose="argument")[:_CHARACTERS]


def digests_of(arguments: Mapping[str, Any]) -> list[list[str]]:
    """Path and digest of each text and number, in order; at most 50."""
    found = []
    for path, value in _leaves(arguments, "", 0):
        found.append([path[:_LONGEST_PATH], digest_of(value)])
        if len(found) == _MOST:
            break
    return found


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, f"{path}[]", depth + 1)
    elif isinstance(value, _TELLING) and not isinstance(value, bool) and value != "":
        yield path, value
