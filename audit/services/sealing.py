"""Seals events: gives each its leaf, grows the tree, signs a checkpoint.

Nothing of a request waits for it. Events are taken once every transaction that could
still add one before them has ended, so that none is ever passed over, whatever the
order of commits; after a start all events are looked through once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from audit import events, tree
from audit.actor import SYSTEM, Target
from audit.anchors import AnchorFile, anchor_file
from audit.merkle import Growing, leaf_hash
from audit.models import Checkpoint
from audit.notes import BadNote, Signer, read, sign
from audit.notes import Checkpoint as Head
from audit.services.record import record
from audit.signing import signers
from core.errors import TollgateError

BATCH = 10_000
_LOCK = 0x746C_5345_414C  # "tlSEAL"
_SETTLED = """
SELECT id, at, body, xid::text::bigint FROM audit_event AS event
WHERE (xid, id) > (%s::text::xid8, %s) AND xid < %s::text::xid8
  AND NOT EXISTS (SELECT 1 FROM audit_leaf WHERE event_id = event.id)
ORDER BY xid, id LIMIT %s
"""
_MISSED = """
SELECT count(*) FROM audit_event AS event LEFT JOIN audit_leaf ON event_id = event.id
WHERE event_id IS NULL AND (xid < %s::text::xid8 OR xid >= %s::text::xid8)
"""
_FAR = 2**62
Place = tuple[int, int]
"""A transaction and an id in it: the last event that was looked at."""


class TrailRolledBack(TollgateError):
    """The trail in the database is not the one that was signed last."""

    code = "trail_rolled_back"
    status = 500


@dataclass(slots=True)
class Sealer:
    """Seals batch by batch. What it remembers it can read again: it may die anywhere.

    After an error of the database make a new one.
    """

    signers: Sequence[Signer]
    anchor: AnchorFile | None = None
    batch: int = BATCH
    _growing: Growing = field(default_factory=Growing)
    # Every event of an older transaction is sealed, save those in the ranges below.
    _since: Place = (0, 0)
    _missed: list[tuple[Place, int]] = field(default_factory=list)
    _checked: bool = False

    def seal(self, *, at: datetime) -> int:
        """Seal one batch and sign it; returns how many events it had.

        0 also while another sealer is at work. Raises TrailRolledBack.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                return 0
            self._take_up(cursor)
            rows = self._settled(cursor)
            note = self._append(cursor, rows, at=at) if rows else ""
        if note and self.anchor:
            self.anchor.save(note)
        return len(rows)

    def _take_up(self, cursor: CursorWrapper) -> None:
        """Go on from the newest checkpoint, wherever it came from."""
        newest = tree.latest()
        size = newest.size if newest else 0
        if self._checked and size == self._growing.size:
            root = bytes(newest.root) if newest else self._growing.root
            if root == self._growing.root:
                return
        self._growing = tree.stored(size).growing()
        if newest and self._growing.root != bytes(newest.root):
            raise TrailRolledBack(
                f"The stored tree of {size} leaves is not the one its checkpoint "
                "speaks of: it was changed. Nothing is sealed. Run manage.py "
                "verify_audit, and restore the database from a backup."
            )
        _compare(size, self.anchor)
        if not self._checked:
            self._look_for_missed(cursor, newest.horizon if newest else 0)
        self._checked = True

    def _look_for_missed(self, cursor: CursorWrapper, horizon: int) -> None:
        """Find what an earlier horizon passed over, as after a restore elsewhere."""
        now_at, end = _snapshot(cursor)
        self._since = (min(horizon, now_at), 0)
        cursor.execute(_MISSED, [str(self._since[0]), str(end)])
        if cursor.fetchone()[0]:
            # Transactions of another cluster may bear numbers yet to come here.
            self._missed = [((end, 0), _FAR), ((0, 0), self._since[0])]

    def _settled(self, cursor: CursorWrapper) -> list[tuple[int, datetime, str, int]]:
        """The next events to seal; moves on in the range they are from."""
        while self._missed:
            first, end = self._missed[-1]
            rows = _between(cursor, first, end, self.batch)
            if len(rows) == self.batch:
                self._missed[-1] = (_place(rows[-1]), end)
                return rows
            self._missed.pop()
            if rows:
                return rows
        horizon = self._horizon(cursor)
        rows = _between(cursor, self._since, horizon, self.batch)
        self._since = _place(rows[-1]) if len(rows) == self.batch else (horizon, 0)
        return rows

    def _horizon(self, cursor: CursorWrapper) -> int:
        """Every transaction before it has ended."""
        return _snapshot(cursor)[0]

    def _append(
        self,
        cursor: CursorWrapper,
        rows: Sequence[tuple[int, datetime, str, int]],
        *,
        at: datetime,
    ) -> str:
        first = self._growing.size
        hashes = [leaf_hash(row[2].encode()) for row in rows]
        nodes = self._growing.append(hashes)
        size, root = self._growing.size, self._growing.root
        with cursor.copy(
            "COPY audit_leaf (index, event_id, event_at, hash) FROM STDIN"
        ) as copy:
            for index, (row, one) in enumerate(zip(rows, hashes, strict=True), first):
                copy.write_row((index, row[0], row[1], one))
        with cursor.copy("COPY audit_treenode (level, index, hash) FROM STDIN") as copy:
            for node in nodes:
                copy.write_row((node.level, node.index, node.hash))
        origin = self.signers[0].key.name
        note = sign(Head(origin, size, root), self.signers)
        Checkpoint.objects.create(
            size=size, root=root, note=note, at=at, horizon=self._since[0]
        )
        return note


def sealer() -> Sealer:
    """A sealer with this installation's keys. Raises NoKey."""
    return Sealer(signers(), anchor_file())


def seal_waiting(*, at: datetime) -> int:
    """Seal what has settled by now, and return how many events that were.

    Raises NoKey, TrailRolledBack.
    """
    one, total = sealer(), 0
    while sealed := one.seal(at=at):
        total += sealed
    return total


def _between(
    cursor: CursorWrapper, after: Place, end: int, most: int
) -> list[tuple[int, datetime, str, int]]:
    cursor.execute(_SETTLED, [str(after[0]), after[1], str(end), most])
    return list(cursor.fetchall())


def _place(row: tuple[int, datetime, str, int]) -> Place:
    return row[3], row[0]


def _snapshot(cursor: CursorWrapper) -> tuple[int, int]:
    """The oldest transaction that has not ended, and the first that has not begun."""
    cursor.execute(
        "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint "
        "FROM pg_current_snapshot() AS s"
    )
    oldest, end = cursor.fetchone()
    return oldest, end


def _compare(size: int, anchor: AnchorFile | None) -> None:
    """Raises TrailRolledBack unless the tree goes on from the one signed last."""
    if anchor is None or not (note := anchor.load()):
        return
    try:
        said = read(note)
    except BadNote as error:
        raise TrailRolledBack(
            f"The last checkpoint in {anchor.path} cannot be read: {error}. Put the "
            "file back, or see 'After a restore' in docs/audit.md."
        ) from error
    if said.size <= size and tree.stored(size).root(said.size) == said.root:
        return
    raise TrailRolledBack(
        f"The last checkpoint signed here is of {said.size} events, and the trail in "
        f"the database has {size} and does not go on from it: it was rolled back or "
        "rewritten. Nothing is sealed. Run manage.py verify_audit; if a backup was "
        "restored on purpose: manage.py seal_audit --accept-restore 'reason'."
    )


def accept_restore(*, reason: str, anchor: AnchorFile, at: datetime) -> Path | None:
    """Go on sealing a trail that was rolled back: on record, with what it had been.

    The checkpoint that does not fit is kept beside its old place.
    """
    with transaction.atomic():
        newest = tree.latest()
        record(
            events.RESTORED,
            actor=SYSTEM,
            at=at,
            target=Target("trail", "audit", "audit trail"),
            payload={
                "reason": reason,
                "size": newest.size if newest else 0,
                "signed_before": anchor.load(),
            },
        )
    return anchor.set_aside(f"before-{at:%Y%m%dT%H%M%S}")
