"""Reads the sealed index as sinks are to get it."""

from datetime import datetime
from typing import Any

from django.db import connection

from audit.formats.items import Anchor, Item, Sealed
from audit.models import Checkpoint
from core.canonical import canonical

MOST_ITEMS = 500
_MOST_CHARACTERS = 1_000_000
_MOST_ANCHORS = 100
GONE = "audit.gone"
_NEXT = """
SELECT l.index, l.hash, l.event_at, e.uid, e.name, e.summary, e.body, e.at
FROM audit_leaf l LEFT JOIN audit_event e ON e.id = l.event_id AND e.at = l.event_at
WHERE l.index >= %s AND l.index < %s ORDER BY l.index LIMIT %s
"""


def head() -> int:
    """How many events the newest checkpoint covers: what may be delivered."""
    size = Checkpoint.objects.order_by("-size").values_list("size", flat=True).first()
    return size or 0


def after(cursor: int, anchored: int, *, most: int = MOST_ITEMS) -> list[Item]:
    """The next events from index ``cursor``, then the checkpoints that cover them.

    Checkpoints are those beyond size ``anchored``, oldest first.
    """
    items: list[Item] = []
    characters = 0
    for event in _events(cursor, most):
        items.append(event)
        characters += len(event.body)
        if characters > _MOST_CHARACTERS:
            break
    reached = cursor + len(items)
    found = Checkpoint.objects.filter(size__gt=anchored, size__lte=reached)
    items += [
        Anchor(one.size, bytes(one.root).hex(), one.note, one.at)
        for one in found.order_by("size")[:_MOST_ANCHORS]
    ]
    return items


def newest() -> Sealed | None:
    """The newest event that is sealed."""
    size = head()
    found = _events(size - 1, 1) if size else []
    return found[0] if found else None


def _events(cursor: int, most: int) -> list[Sealed]:
    with connection.cursor() as db:
        db.execute(_NEXT, [cursor, head(), most])
        return [_sealed(*row) for row in db.fetchall()]


def _sealed(
    index: int,
    leaf: bytes,
    sealed_at: datetime,
    uid: str | None,
    name: str,
    summary: str,
    body: str,
    at: datetime,
) -> Sealed:
    hash_of = bytes(leaf).hex()
    if uid is None:
        return _gone(index, sealed_at, hash_of)
    return Sealed(index, uid, at, name, summary, body, hash_of)


def _gone(index: int, at: datetime, leaf: str) -> Sealed:
    """Stands for an event that is gone: no sink passes over it in silence."""
    summary = f"Event {index} was dropped before this sink had it"
    actor: dict[str, Any] = {"kind": "system", "id": "system", "label": "Tollgate"}
    body = {
        "uid": f"gone_{index}",
        "at": at.isoformat(),
        "name": GONE,
        "actor": actor,
        "target": None,
        "decision": "",
        "reasons": [summary],
        "before": None,
        "after": None,
        "payload": {},
        "tool": "",
        "run": "",
        "step": None,
    }
    text = canonical(body).decode()
    return Sealed(index, f"gone_{index}", at, GONE, summary, text, leaf)
