"""Verifies the trail: wholly, since the last time, a stretch of it, or one event."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.db import transaction

from audit import events, tree
from audit.actor import Actor, Target
from audit.anchors import anchor_file
from audit.checks import checkpoints, leaves, presence
from audit.findings import Finding, Report
from audit.merkle import Growing, includes, leaf_hash
from audit.models import Checkpoint, Event, Leaf, Verification
from audit.notes import Checkpoint as Head
from audit.notes import Key
from audit.services.record import record
from audit.signing import NoKey, trusted_keys
from audit.tombstones import dropped_on_record

WHOLE, SINCE, RANGE, EVENT = "whole", "incremental", "range", "event"
_LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a verification goes by, and none of it comes from the database.

    ``anchors`` are texts with signed checkpoints, each with where it is from.
    """

    trusted: Sequence[Key]
    anchors: Sequence[tuple[str, str]] = ()


def basis(*, keys: Iterable[Key] = (), files: Iterable[Path] = ()) -> Basis:
    """These keys, or else the trusted ones; these files and the sealer's own anchor.

    Raises NoKey, OSError.
    """
    trusted = list(keys) or trusted_keys()
    if not trusted:
        raise NoKey(
            "No public key to verify with: give --trusted-key FILE, or set "
            "TOLLGATE_AUDIT_TRUSTED_KEYS."
        )
    anchors = [(str(path), path.read_text()) for path in files]
    own = anchor_file()
    with suppress(OSError):
        if note := own.load():
            anchors.append((str(own.path), note))
    return Basis(trusted, anchors)


def verify_whole(basis: Basis, *, at: datetime) -> Report:
    """Everything, from the first leaf on."""
    return _verify(WHOLE, basis, first=None, last=None, at=at)


def verify_since_last(basis: Basis, *, at: datetime) -> Report:
    """What was sealed since the last verification that found nothing."""
    done = Verification.objects.filter(findings=[], kind__in=[WHOLE, SINCE])
    last = done.order_by("-pk").values_list("size", flat=True).first()
    start = Checkpoint.objects.filter(size=last).first() if last else None
    return _verify(SINCE, basis, first=start, last=None, at=at)


def verify_range(
    basis: Basis, *, first: datetime | None, last: datetime | None, at: datetime
) -> Report:
    """The leaves that hold the events of a time, out to the checkpoints around them."""
    low, high = first or _LONG_AGO, last or at
    inside = Leaf.objects.filter(event_at__gte=low, event_at__lt=high)
    lowest = inside.order_by("index").values_list("index", flat=True).first()
    highest = inside.order_by("-index").values_list("index", flat=True).first()
    start = stop = tree.latest()
    if lowest is not None and highest is not None:
        below = Checkpoint.objects.filter(size__lte=lowest).order_by("-size")
        start = below.first()
        stop = Checkpoint.objects.filter(size__gt=highest).order_by("size").first()
    return _verify(RANGE, basis, first=start, last=stop, at=at)


def verify_event(basis: Basis, uid: str, *, at: datetime) -> Report:
    """One event: its body, its leaf, and the leaf's place in the signed tree.

    Raises NotFound when there is no such event, or it is not sealed.
    """
    began = time.monotonic()
    report = Report(EVENT, at)
    event = Event.objects.filter(uid=uid).first()
    newest = tree.latest()
    if event is None or newest is None:
        raise tree.not_sealed(uid)
    proof = tree.prove(event, checkpoint=newest)
    report.events, report.first, report.size = 1, proof.index, newest.size
    report.sealed_at = newest.at
    head = checkpoints.trusted_head(newest, basis.trusted, report)
    leaf = leaf_hash(event.body.encode())
    if leaf != proof.leaf:
        text = f"The body of event {uid} is not the one that was sealed"
        report.add(Finding("changed", text, uid, proof.index))
    elif head and not includes(
        index=proof.index, size=head.size, leaf=leaf, proof=proof.path, root=head.root
    ):
        text = f"Event {uid} is not in the tree that was signed"
        report.add(Finding("rewritten", text, uid, proof.index))
    checkpoints.compare_anchors(basis.anchors, head, basis.trusted, report)
    report.seconds = time.monotonic() - began
    return report


def _verify(
    kind: str,
    basis: Basis,
    *,
    first: Checkpoint | None,
    last: Checkpoint | None,
    at: datetime,
) -> Report:
    began = time.monotonic()
    report = Report(kind, at)
    newest = tree.latest()
    head = checkpoints.trusted_head(newest, basis.trusted, report) if newest else None
    end = last or newest
    growing = _start(first, basis, report)
    report.first = growing.size
    walk = leaves.Walk(growing, report)
    if end:
        stop = max(end.size, growing.size)
        walk.run(stop, checkpoints.signed(growing.size, stop, basis.trusted, report))
        report.sealed_at = end.at
    report.size = walk.good
    presence.missing_events(walk, report, dropped_on_record(basis.trusted))
    _still(walk, end, newest, head, report)
    if kind != RANGE:
        presence.beyond(newest.size if newest else 0, report)
        presence.without_leaf(
            report,
            since=_LONG_AGO,
            horizon=newest.horizon if newest else 0,
            lowest=first.horizon if first else 0,
            at=at,
        )
    checkpoints.compare_anchors(basis.anchors, head, basis.trusted, report)
    report.seconds = time.monotonic() - began
    return report


def _start(first: Checkpoint | None, basis: Basis, report: Report) -> Growing:
    """The tree at a checkpoint to go on from, else an empty one.

    What is stored of it is believed only as far as it hashes to the signed root.
    """
    if first is None:
        return Growing()
    head = checkpoints.trusted_head(first, basis.trusted, report)
    growing = tree.stored(first.size).growing()
    if head and growing.root == head.root:
        return growing
    return Growing()


def _still(
    walk: leaves.Walk,
    end: Checkpoint | None,
    newest: Checkpoint | None,
    head: Head | None,
    report: Report,
) -> None:
    """The stretch that was walked is the beginning of what is signed now."""
    if end is None or newest is None or head is None or walk.broken:
        return
    here = Head(head.origin, walk.growing.size, walk.growing.root)
    if not checkpoints.goes_on(here, head):
        text = f"The first {here.size} events are not those of the newest checkpoint"
        report.add(Finding("rewritten", text, index=here.size))


def keep(report: Report, *, actor: Actor, at: datetime, recorded: bool) -> Verification:
    """Keep a report for the page; with ``recorded``, or findings, also in the trail."""
    with transaction.atomic():
        row = Verification.objects.create(
            kind=report.kind,
            started_at=report.started_at,
            ended_at=at,
            first=report.first,
            size=report.size,
            sealed_at=report.sealed_at,
            events=report.events,
            **report.verdicts,
            keys=report.keys,
            findings=[finding.as_dict() for finding in report.findings],
            by=actor.label[:200],
        )
        if recorded or not report.passed:
            record(
                events.VERIFIED,
                actor=actor,
                at=at,
                target=Target("trail", "audit", "audit trail"),
                payload={
                    "verdict": report.sentence,
                    "kind": report.kind,
                    "size": report.size,
                    **report.verdicts,
                    "findings": dict(report.counts),
                },
            )
    return row
