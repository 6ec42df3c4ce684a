"""What a change changed: the values that differ between before and after."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MOST_SHOWN = 200
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """A value by its path; ``None`` stands for "was not there"."""

    path: str
    before: str | None
    after: str | None


def changes(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[Change, ...]:
    """Every value that was added, removed or changed, in order of path."""
    old, new = dict(_flat(before or {})), dict(_flat(after or {}))
    found = [
        Change(path, _text(old, path), _text(new, path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path, _ABSENT) != new.get(path, _ABSENT)
    ]
    return tuple(found[:_MOST_SHOWN])


def _flat(value: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        path = f"{within}.{key}" if within else key
        if isinstance(item, Mapping) and item:
            yield from _flat(item, path)
        else:
            yield path, item


def _text(values: Mapping[str, Any], path: str) -> str | None:
    if path not in values:
        return None
    value = values[path]
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2, ensure_ascii=False)
