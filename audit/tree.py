"""Reads of the sealed tree: its hashes, its checkpoints, and proofs from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from audit.merkle import Stored
from audit.models import Checkpoint, Event, Leaf, TreeNode
from audit.notes import Checkpoint as Signed
from audit.notes import read
from core.errors import NotFound


@dataclass(frozen=True, slots=True)
class Proof:
    """That an event is in the tree of a checkpoint (RFC 9162, 2.1.3)."""

    index: int
    size: int
    leaf: bytes
    path: tuple[bytes, ...]
    note: str
    sealed_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """For JSON: hashes in hex."""
        return {
            "index": self.index,
            "size": self.size,
            "leaf": self.leaf.hex(),
            "path": [one.hex() for one in self.path],
            "checkpoint": self.note,
        }


@dataclass(frozen=True, slots=True)
class SealState:
    """How far the trail is sealed, and for how long the oldest event has waited."""

    size: int
    sealed_at: datetime | None
    waiting: int
    oldest: datetime | None

    def lag_seconds(self, at: datetime) -> float:
        return max((at - self.oldest).total_seconds(), 0.0) if self.oldest else 0.0


def latest() -> Checkpoint | None:
    """The newest checkpoint."""
    return Checkpoint.objects.order_by("-size").first()


def stored(size: int) -> Stored:
    """The tree of the first ``size`` leaves, as it is stored."""
    return Stored(_hashes, size)


def _hashes(level: int, first: int, count: int) -> Sequence[bytes]:
    rows = TreeNode.objects.filter(level=level) if level else Leaf.objects
    found = rows.filter(index__range=(first, first + count - 1)).order_by("index")
    return [bytes(one) for one in found.values_list("hash", flat=True)]


def prove(event: Event, *, checkpoint: Checkpoint | None = None) -> Proof:
    """A proof against a checkpoint, the newest by default.

    Raises NotFound while the event is not sealed.
    """
    (proof,) = proofs([event], checkpoint=checkpoint)
    if proof is None:
        raise not_sealed(event.uid)
    return proof


def not_sealed(uid: str) -> NotFound:
    """That there is nothing to prove of an event yet."""
    return NotFound(
        f"The event {uid} is not there or not sealed yet: ask again in a few seconds."
    )


def proofs(
    events: Sequence[Event], *, checkpoint: Checkpoint | None = None
) -> list[Proof | None]:
    """A proof for each event against one checkpoint; None where it is not sealed."""
    chosen = checkpoint or latest()
    if chosen is None:
        return [None] * len(events)
    tree = stored(chosen.size)
    leaves = Leaf.objects.filter(event_id__in=[event.pk for event in events])
    placed = {leaf.event_id: leaf for leaf in leaves if leaf.index < chosen.size}
    return [
        None
        if (leaf := placed.get(event.pk)) is None
        else Proof(
            index=leaf.index,
            size=chosen.size,
            leaf=bytes(leaf.hash),
            path=tuple(tree.inclusion(leaf.index)),
            note=chosen.note,
            sealed_at=chosen.at,
        )
        for event in events
    ]


def consistency(first: int, second: int) -> list[bytes]:
    """Proof that the tree of ``second`` leaves begins with that of ``first``.

    Raises NotFound when there are no such trees.
    """
    newest = latest()
    if newest is None or not 0 < first <= second <= newest.size:
        size = newest.size if newest else 0
        raise NotFound(
            f"There is no proof between {first} and {second}: give two sizes from 1 "
            f"to {size}, the smaller one first."
        )
    return stored(second).consistency(first)


_WAITING = """
SELECT count(*), min(at) FROM audit_event AS event
WHERE xid >= %s::text::xid8
  AND NOT EXISTS (SELECT 1 FROM audit_leaf WHERE event_id = event.id)
"""


def state() -> SealState:
    """How far sealing has come; cheap, since it looks at the newest events alone."""
    newest = latest()
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [str(newest.horizon if newest else 0)])
        waiting, oldest = cursor.fetchone()
    if newest is None:
        return SealState(0, None, waiting, oldest)
    return SealState(newest.size, newest.at, waiting, oldest)


def said(checkpoint: Checkpoint) -> Signed:
    """What a checkpoint's note says. Raises BadNote."""
    return read(checkpoint.note)
