"""Walks the leaves with their events: bodies, columns, order, the tree's roots."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
import psycopg
from django.db import connection

from audit.findings import Finding, Report
from audit.merkle import Growing, Node

BATCH = 5_000
_MOST_COMPARED = 10_000
_LATE = timedelta(hours=1)
_ROWS = b"""
SELECT leaf.index, leaf.event_id, leaf.event_at, leaf.hash, event.uid,
  convert_to(event.body, 'UTF8'), event.summary,
  event.name, event.decision, event.actor_kind, event.actor_id, event.actor_label,
  event.team, event.environment, event.key, event.target_kind, event.target_id,
  event.target_label, event.tool, event.run, event.step, event.request_id,
  event.client_address
FROM audit_leaf AS leaf
LEFT JOIN audit_event AS event ON event.id = leaf.event_id AND event.at = leaf.event_at
  AND event.id BETWEEN %s AND %s AND event.at BETWEEN %s AND %s
WHERE leaf.index >= %s AND leaf.index < %s ORDER BY leaf.index
"""
# Bounds let PostgreSQL read a stretch of one month's index, whatever the trail's size.
_BOUNDS = b"""
SELECT min(event_id), max(event_id), min(event_at), max(event_at) FROM audit_leaf
WHERE index >= %s AND index < %s
"""
_NODES = "SELECT level, index, hash FROM audit_treenode WHERE index BETWEEN %s AND %s"


class Signed(NamedTuple):
    """What a checkpoint that a trusted key signed says, and when that was."""

    size: int
    root: bytes
    at: datetime


@dataclass(slots=True)
class Walk:
    """One pass over the leaves from where ``growing`` stands."""

    growing: Growing
    report: Report
    good: int = 0
    broken: bool = False
    gone: Counter[str] = field(default_factory=Counter)
    missing: list[tuple[int, int]] = field(default_factory=list)
    _wrong: list[tuple[int, str, bytes, bytes]] = field(default_factory=list)
    _high: datetime | None = None

    def run(self, end: int, signed: Iterator[Signed]) -> None:
        """Up to leaf ``end``, comparing the root wherever one was signed."""
        self.good = self.growing.size
        due = next(signed, None)
        for rows in _batches(self.growing.size, end):
            first = self.growing.size
            hashes = self._check(rows, due.at if due else None)
            nodes: list[Node] = []
            while due and due.size <= first + len(hashes):
                nodes += self.growing.append(
                    hashes[self.growing.size - first : due.size - first]
                )
                self._compare(due)
                due = next(signed, None)
            nodes += self.growing.append(hashes[self.growing.size - first :])
            self._compare_nodes(nodes)
            if len(hashes) < min(BATCH, end - first):
                self._missing_leaves(first + len(hashes))
                break
        self._name_wrong()

    def _missing_leaves(self, index: int) -> None:
        self.broken = True
        self.report.add(
            Finding("gap", f"Leaf {index} is not there, what follows is", index=index)
        )

    def _check(
        self, rows: Sequence[tuple[Any, ...]], sealed: datetime | None
    ) -> list[bytes]:
        """Bodies against leaves, columns against bodies; the hashes of the leaves.

        The hot loop. What follows a leaf that is gone is left out.
        """
        hashes: list[bytes] = []
        digest, loads, columns = sha256, orjson.loads, columns_of
        for place, row in enumerate(rows, self.growing.size):
            if row[0] != place:
                break
            at, leaf, body = row[2], row[3], row[5]
            hashes.append(leaf)
            if self._high is None or at > self._high:
                # No clock that runs ahead may make all others late.
                self._high = min(at, sealed) if sealed else at
            elif at < self._high - _LATE:
                self._late(row)
            if body is None:
                self._missing(row)
                continue
            self.report.events += 1
            found = digest(b"\x00" + body).digest()
            if found != leaf:
                self._note_wrong(row, found)
            elif columns(loads(body), row[6]) != row[6:]:
                self._wrong_columns(row)
        return hashes

    def _missing(self, row: tuple[Any, ...]) -> None:
        self.gone[row[2].strftime("%Y-%m")] += 1
        if len(self.missing) < _MOST_COMPARED:
            self.missing.append((row[0], row[1]))

    def _note_wrong(self, row: tuple[Any, ...], found: bytes) -> None:
        if len(self._wrong) < _MOST_COMPARED:
            self._wrong.append((row[0], row[4], found, row[3]))

    def _wrong_columns(self, row: tuple[Any, ...]) -> None:
        said = columns_of(orjson.loads(row[5]), row[6])
        named = [
            name
            for name, one, other in zip(_NAMES, said, row[6:], strict=True)
            if one != other
        ]
        text = f"Event {row[4]}: {', '.join(named)} is not what its body says"
        self.report.add(Finding("columns", text, row[4], row[0]))

    def _late(self, row: tuple[Any, ...]) -> None:
        text = (
            f"Event {row[4] or row[1]} says {row[2]:%Y-%m-%d %H:%M:%S}, and was sealed "
            f"after events of {self._high:%Y-%m-%d %H:%M:%S}"
        )
        self.report.add(Finding("late", text, row[4] or "", row[0]))

    def _compare(self, signed: Signed) -> None:
        if self.broken:
            return
        if self.growing.root == signed.root:
            self.good = signed.size
            return
        self.broken = True
        self.report.add(_name_break(self.good, signed.size))

    def _compare_nodes(self, nodes: Sequence[Node]) -> None:
        if not nodes:
            return
        indices = [node.index for node in nodes]
        with connection.cursor() as cursor:
            cursor.execute(_NODES, [min(indices), max(indices)])
            kept = {(level, index): bytes(one) for level, index, one in cursor}
        for node in nodes:
            if kept.get((node.level, node.index)) != node.hash:
                width = 256**node.level
                text = (
                    f"The stored hash over leaves {node.index * width} to "
                    f"{(node.index + 1) * width - 1} is not theirs"
                )
                self.report.add(Finding("nodes", text, index=node.index * width))

    def _name_wrong(self) -> None:
        """Say of each body that is not its leaf's whether it is another's."""
        sealed = {stored: (index, uid) for index, uid, _, stored in self._wrong}
        for index, uid, found, _ in self._wrong:
            other = sealed.get(found)
            if other:
                text = f"Event {uid} holds the body that was sealed as event {other[0]}"
                self.report.add(Finding("swapped", text, uid, index))
            else:
                text = f"The body of event {uid} is not the one that was sealed"
                self.report.add(Finding("changed", text, uid, index))


_NAMES = (
    *("summary", "name", "decision", "actor_kind", "actor_id", "actor_label", "team"),
    *("environment", "key", "target_kind", "target_id", "target_label", "tool", "run"),
    *("step", "request_id", "client_address"),
)
_NOTHING: Mapping[str, str] = {"kind": "", "id": "", "label": ""}


def columns_of(body: Mapping[str, Any], summary: str) -> tuple[Any, ...]:
    """The columns beside a body, as ``record`` fills them.

    ``summary`` stands for that of bodies from before it was a part of them.
    """
    actor, target = body["actor"], body["target"] or _NOTHING
    return (
        body.get("summary", summary),
        body["name"],
        body["decision"],
        actor["kind"],
        actor["id"],
        actor["label"][:200],
        actor["team"],
        actor["environment"],
        actor["key"][:40],
        target["kind"],
        target["id"][:120],
        target["label"][:200],
        body["tool"][:200],
        body["run"],
        body["step"],
        actor["request_id"],
        actor["address"][:60],
    )


def _batches(first: int, end: int) -> Iterator[list[tuple[Any, ...]]]:
    """Leaves and their events; the server reads ahead while a batch is looked at."""
    connection.ensure_connection()
    held = connection.connection
    starts = range(first, end, BATCH)
    with ThreadPoolExecutor(1) as ahead:
        queue = deque[Future[list[tuple[Any, ...]]]]()
        for start in starts:
            queue.append(ahead.submit(_rows, held, start, min(start + BATCH, end)))
            if len(queue) > 1:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()


def _rows(
    held: "psycopg.Connection[Any]", first: int, end: int
) -> list[tuple[Any, ...]]:
    with psycopg.Cursor(held) as cursor:
        bounds = cursor.execute(_BOUNDS, [first, end]).fetchone() or ()
        cursor.execute(_ROWS, [*bounds, first, end], binary=True)
        return cursor.fetchall()


def _name_break(good: int, bad: int) -> Finding:
    """Why the leaves between two checkpoints do not make the second's root."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT index FROM (SELECT leaf.index, xid, id, lag(xid) OVER w AS xid0, "
            "lag(id) OVER w AS id0 FROM audit_leaf AS leaf JOIN audit_event AS event "
            "ON event.id = leaf.event_id AND event.at = leaf.event_at "
            "WHERE leaf.index >= %s AND leaf.index < %s WINDOW w AS (ORDER BY index)"
            ") AS rows WHERE (xid, id) < (xid0, id0) ORDER BY index LIMIT 5",
            [good, bad],
        )
        turned = [index for (index,) in cursor.fetchall()]
    between = f"leaves {good} to {bad - 1}"
    if turned:
        named = ", ".join(map(str, turned))
        text = f"Of {between}, number {named} stands where it was not signed"
        return Finding("reordered", text, index=turned[0])
    text = f"Among {between} are others than those that were signed"
    return Finding("rewritten", text, index=good)
