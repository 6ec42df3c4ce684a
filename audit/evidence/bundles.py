"""Evidence that outsiders verify: events, proofs, checkpoints, keys in one archive."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from django.db.models import QuerySet
from django.http import HttpResponse

from audit import events, tree
from audit.actor import Actor, Target
from audit.checks.checkpoints import signers_named
from audit.findings import Finding, Report
from audit.merkle import extends, includes, leaf_hash
from audit.models import Checkpoint, Event
from audit.notes import BadNote, check
from audit.notes import Checkpoint as Head
from audit.services.record import record
from audit.services.verification import Basis
from audit.signing import trusted_keys
from core.errors import Invalid

MOST_EVENTS = 10_000
_MOST_CHECKPOINTS = 20
_MOST_BYTES = 500 * 1024**2
_KIT = Path(__file__).resolve().parent / "kit"


def download(
    *,
    found: QuerySet[Event],
    name: str,
    filters: Mapping[str, Any],
    actor: Actor,
    at: datetime,
) -> HttpResponse:
    """The evidence on these events, on record. Raises Invalid for none or too many."""
    rows = list(found.defer(None).order_by("pk")[: MOST_EVENTS + 1])
    if not rows or len(rows) > MOST_EVENTS:
        raise Invalid(
            f"Evidence holds 1 to {MOST_EVENTS:,} events, and these filters find "
            f"{'none' if not rows else 'more'}: choose others."
        )
    record(
        events.EVIDENCE,
        actor=actor,
        at=at,
        target=Target("export", name, name),
        payload={"filters": dict(filters), "events": len(rows)},
    )
    archive = make(rows, about={"filters": dict(filters), "by": actor.id}, at=at)
    return HttpResponse(
        archive,
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}.zip"'},
    )


def make(rows: Sequence[Event], *, about: Mapping[str, Any], at: datetime) -> bytes:
    """The archive as bytes."""
    newest = tree.latest()
    proofs = tree.proofs(rows, checkpoint=newest)
    pairs = [(row, one) for row, one in zip(rows, proofs, strict=True) if one]
    waiting = [row for row, one in zip(rows, proofs, strict=True) if not one]
    files = {
        "about.json": json.dumps(
            {**about, "made_at": at.isoformat(), "sealed": len(pairs)}, indent=2
        ),
        "events.jsonl": "".join(row.body + "\n" for row, _ in pairs),
        "proofs.jsonl": "".join(
            json.dumps({"uid": row.uid, **one.as_dict()} | {"checkpoint": None}) + "\n"
            for row, one in pairs
        ),
        "checkpoint.txt": newest.note if newest else "",
        "consistency.jsonl": _consistency([one.index for _, one in pairs], newest),
        "unsealed.jsonl": "".join(row.body + "\n" for row in waiting),
        "keys.txt": "".join(f"{key}\n" for key in trusted_keys()),
        **{
            path.name: path.read_text()
            for path in sorted(_KIT.iterdir())
            if path.is_file()
        },
    }
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name, text in files.items():
            info = ZipInfo(f"evidence/{name}", at.timetuple()[:6])
            info.external_attr = 0o644 << 16
            archive.writestr(info, text.encode(), ZIP_DEFLATED)
    return packed.getvalue()


def _consistency(indices: Sequence[int], newest: Checkpoint | None) -> str:
    """The checkpoints that first held the events, with proofs up to the newest."""
    if newest is None or not indices:
        return ""
    older: list[Checkpoint] = []
    for index in sorted(indices):
        if older and index < older[-1].size:
            continue
        if len(older) == _MOST_CHECKPOINTS:
            break
        holds = Checkpoint.objects.filter(size__gt=index).order_by("size")
        older.append(holds[0])
    whole = tree.stored(newest.size)
    return "".join(
        json.dumps(
            {
                "size": one.size,
                "sealed_at": one.at.isoformat(),
                "checkpoint": one.note,
                "path": [part.hex() for part in whole.consistency(one.size)],
            },
            ensure_ascii=False,
        )
        + "\n"
        for one in older
    )


def verify(path: Path, basis: Basis, *, at: datetime) -> Report:
    """Verify an archive against keys of one's own; no database is asked.

    Raises Invalid for a file that is no evidence.
    """
    began = time.monotonic()
    report = Report("bundle", at)
    try:
        with ZipFile(path) as archive:
            if sum(one.file_size for one in archive.infolist()) > _MOST_BYTES:
                raise Invalid(f"{path} is too large to be evidence.")
            files = {
                one: archive.read(f"evidence/{one}")
                for one in (
                    *("events.jsonl", "proofs.jsonl"),
                    *("checkpoint.txt", "consistency.jsonl"),
                )
            }
    except (BadZipFile, KeyError) as error:
        raise Invalid(f"{path} is no evidence bundle: {error}.") from error
    if head := _head(files["checkpoint.txt"].decode(), basis, report):
        report.size = head.size
        _events(files, head, report)
        _steps(files["consistency.jsonl"], head, basis, report)
    report.seconds = time.monotonic() - began
    return report


def _head(note: str, basis: Basis, report: Report) -> Head | None:
    try:
        head, keys = check(note, basis.trusted)
    except BadNote as error:
        report.add(Finding("checkpoint", f"The checkpoint: {error}"))
        return None
    if not keys:
        names = ", ".join(sorted(signers_named(note)))
        text = f"The checkpoint is signed by {names}, none trusted"
        report.add(Finding("foreign_key", text))
        return None
    report.keys += [str(key) for key in keys if str(key) not in report.keys]
    return head


def _events(files: Mapping[str, bytes], head: Head, report: Report) -> None:
    bodies = files["events.jsonl"].splitlines()
    proofs = [json.loads(line) for line in files["proofs.jsonl"].splitlines()]
    if len(bodies) != len(proofs):
        report.add(Finding("deleted", "There are not as many events as proofs"))
    for body, proof in zip(bodies, proofs, strict=False):
        report.events += 1
        leaf, uid = leaf_hash(body), str(proof["uid"])
        if not includes(
            index=proof["index"],
            size=head.size,
            leaf=leaf,
            proof=[bytes.fromhex(one) for one in proof["path"]],
            root=head.root,
        ):
            code = "rewritten" if leaf.hex() == proof["leaf"] else "changed"
            text = f"Event {uid} is not in the tree that was signed"
            report.add(Finding(code, text, uid, proof["index"]))


def _steps(lines: bytes, head: Head, basis: Basis, report: Report) -> None:
    for line in lines.splitlines():
        step = json.loads(line)
        older = _head(step["checkpoint"], basis, report)
        if older and not extends(
            first=older.size,
            second=head.size,
            first_root=older.root,
            second_root=head.root,
            proof=[bytes.fromhex(one) for one in step["path"]],
        ):
            text = f"The tree of {head.size} does not go on from that of {older.size}"
            report.add(Finding("rewritten", text, index=older.size))
