"""The trail as it is: the sealed body, with its place in the tree beside it."""

import json
from contextlib import suppress
from typing import Any

from audit.formats.items import Anchor, Item
from core.canonical import canonical


def render(item: Item) -> str:
    """One line of RFC 8785 JSON.

    ``body`` is canonical itself: written canonically again it gives the bytes that
    were sealed.
    """
    return canonical(as_dict(item)).decode()


def as_dict(item: Item) -> dict[str, Any]:
    """The same before it is written."""
    if isinstance(item, Anchor):
        return {
            "kind": "checkpoint",
            "at": item.at.isoformat(),
            "size": item.size,
            "root": item.root,
            "note": item.note,
        }
    return {
        "kind": "event",
        "index": item.index,
        "leaf": item.leaf,
        "summary": item.summary,
        "body": item.facts,
    }


def note_in(line: str) -> str | None:
    """The checkpoint that a line of a sink holds, in any of our JSON formats."""
    if "note" not in line:
        return None
    with suppress(ValueError, AttributeError):
        value = json.loads(line)
        for place in (value, value.get("unmapped", {}).get("checkpoint", {})):
            if isinstance(note := place.get("note"), str) and "\n" in note:
                return note
    return None
