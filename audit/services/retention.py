"""Exports and drops whole months of the trail: nothing else ever leaves it."""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import OperationalError, ProgrammingError, connection, transaction

from audit import events
from audit.actor import Actor, Target
from audit.formats import jsonl
from audit.formats.items import Sealed
from audit.models import Event, MonthExport
from audit.months import bounds
from audit.notes import sign_text
from audit.services.record import DENY, record
from audit.signing import signers
from audit.tombstones import text_of
from core.errors import Invalid

_BATCH = 5_000
_LONGEST_REASON = 400
_SEALED = """
SELECT l.index, l.hash, e.uid, e.at, e.name, e.summary, e.body
FROM audit_leaf l JOIN audit_event e ON e.id = l.event_id AND e.at = l.event_at
WHERE l.event_at >= %s AND l.event_at < %s AND l.index > %s ORDER BY l.index LIMIT %s
"""


@dataclass(slots=True)
class Leaves:
    """What the leaves that passed come to."""

    events: int = 0
    first: int | None = None
    last: int = -1
    digest: Any = field(default_factory=sha256)

    def add(self, index: int, leaf: bytes) -> None:
        self.events += 1
        self.first = index if self.first is None else self.first
        self.last = index
        self.digest.update(leaf)


def export_month(
    *, month: date, actor: Actor, at: datetime, folder: Path | None = None
) -> MonthExport:
    """Write a month's events to a file, one line each as sinks get them, gzipped.

    Raises Invalid while some are not sealed, and where the file cannot be written.
    """
    start, end = bounds(month)
    if end > at:
        raise Invalid(f"{month:%Y-%m} is not over: export it when it is.")
    folder = folder or Path(settings.AUDIT_EXPORT_DIR)
    path = folder / f"audit-{month:%Y-%m}.jsonl.gz"
    leaves = Leaves()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digest, size = _write(path, sealed_lines(month, leaves))
    except OSError as error:
        raise Invalid(f"The export {path} cannot be written: {error}.") from error
    present = Event.objects.filter(at__gte=start, at__lt=end).count()
    if leaves.events < present:
        raise Invalid(
            f"{present - leaves.events} of {present} events of {month:%Y-%m} are not "
            "sealed: see manage.py seal_audit."
        )
    with transaction.atomic():
        made = MonthExport.objects.create(
            month=month,
            file=str(path),
            sha256=digest,
            bytes=size,
            events=leaves.events,
            leaves=leaves.digest.hexdigest(),
            at=at,
            by=actor.label,
        )
        record(
            events.MONTH_EXPORTED,
            actor=actor,
            at=at,
            target=_target(month),
            payload={"events": made.events, "file": made.file, "sha256": digest},
        )
    return made


def sealed_lines(month: date, leaves: Leaves) -> Iterator[bytes]:
    """A month's sealed events, one line each; ``leaves`` counts them on the way."""
    start, end = bounds(month)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_SEALED, [start, end, leaves.last, _BATCH])
            rows = cursor.fetchall()
        for index, leaf, uid, at, name, summary, body in rows:
            leaves.add(index, bytes(leaf))
            item = Sealed(index, uid, at, name, summary, body, bytes(leaf).hex())
            yield jsonl.render(item).encode() + b"\n"
        if len(rows) < _BATCH:
            return


def _write(path: Path, lines: Iterator[bytes]) -> tuple[str, int]:
    """The file in the place of an older one, when it is whole and on the disk."""
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(
        os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
    ) as f:
        with gzip.GzipFile(fileobj=f, filename="", mode="wb", mtime=0) as packed:
            for line in lines:
                packed.write(line)
        f.flush()
        os.fsync(f.fileno())
    fresh.replace(path)
    return _digest(path), path.stat().st_size


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        found = sha256()
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def drop_month(*, month: date, reason: str, actor: Actor, at: datetime) -> int:
    """Drop a month that is over, sealed, exported and under no hold; how many events.

    The database checks all of this itself, and keeps the signed tombstone. Called as
    the owner of the tables. Raises Invalid with what stands in the way.
    """
    reason = reason.strip()[:_LONGEST_REASON]
    if not reason:
        raise Invalid("Say why: the reason stands on the tombstone.")
    export = MonthExport.objects.filter(month=month).order_by("-pk").first()
    if export is None:
        raise Invalid(f"{month:%Y-%m} is not exported: do that first.")
    _check_file(export)
    text = text_of(
        export, indexes=_indexes(month), by=actor.label, reason=reason, at=at
    )
    note = sign_text(text, signers())
    try:
        with transaction.atomic():
            record(
                events.MONTH_DROPPED,
                actor=actor,
                at=at,
                target=_target(month),
                payload={
                    "events": export.events,
                    "reason": reason,
                    "export_sha256": export.sha256,
                    "leaves": export.leaves,
                },
            )
            return _drop(month, reason, actor, note)
    except Invalid as error:
        record(
            events.DROP_REFUSED,
            actor=actor,
            at=at,
            target=_target(month),
            decision=DENY,
            reasons=[error.message],
        )
        raise


def _drop(month: date, reason: str, actor: Actor, note: str) -> int:
    keep: int = settings.AUDIT_RETENTION_MONTHS
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT audit_drop_month(%s, %s, %s, %s, %s)",
                (month, keep, actor.label[:200], reason, note),
            )
            return int(cursor.fetchone()[0])
    except (ProgrammingError, OperationalError) as error:
        why = str(error).splitlines()[0]
        raise Invalid(f"{month:%Y-%m} was not dropped: {why}.") from error


def _check_file(export: MonthExport) -> None:
    path = Path(export.file)
    try:
        same = _digest(path) == export.sha256
    except OSError as error:
        raise Invalid(f"The export {path} cannot be read: {error.strerror}.") from error
    if not same:
        raise Invalid(f"The export {path} is not what was written: export it again.")


def _indexes(month: date) -> tuple[int, int] | None:
    start, end = bounds(month)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(index), max(index) FROM audit_leaf "
            "WHERE event_at >= %s AND event_at < %s",
            [start, end],
        )
        first, last = cursor.fetchone()
    return None if first is None else (first, last)


def _target(month: date) -> Target:
    return Target("month", f"{month:%Y-%m}", f"{month:%Y-%m}")
