"""Checkpoints of the database and of elsewhere: whose they are, whether they fit."""

import re
from collections.abc import Iterable, Iterator, Sequence

from audit import tree
from audit.checks.leaves import Signed
from audit.findings import Finding, Report
from audit.merkle import extends
from audit.models import Checkpoint
from audit.notes import BadNote, Key, check
from audit.notes import Checkpoint as Head

_NOTES = re.compile(r"[^\n]+\n[0-9]+\n[^\n]+\n\n(?:— [^\n]+\n)+")


def signed(
    first: int, last: int, trusted: Sequence[Key], report: Report
) -> Iterator[Signed]:
    """What the trusted keys signed from ``first`` to ``last`` leaves, by size.

    What is wrong with a checkpoint is added to the report, and it is left out.
    """
    rows = Checkpoint.objects.filter(size__gt=first, size__lte=last).order_by("size")
    for row in rows.iterator(chunk_size=2_000):
        if head := trusted_head(row, trusted, report):
            yield Signed(head.size, head.root, row.at)


def trusted_head(
    row: Checkpoint, trusted: Sequence[Key], report: Report
) -> Head | None:
    """What a stored checkpoint says, if a trusted key signed just that."""
    try:
        head, keys = check(row.note, trusted)
    except BadNote as error:
        text = f"The checkpoint of {row.size} events: {error}"
        report.add(Finding("checkpoint", text, index=row.size))
        return None
    if not keys:
        names = ", ".join(sorted(signers_named(row.note)))
        text = f"The checkpoint of {row.size} events is signed by {names}, none trusted"
        report.add(Finding("foreign_key", text, index=row.size))
        return None
    if head.size != row.size or head.root != bytes(row.root):
        text = f"The checkpoint of {row.size} events is not what its note says"
        report.add(Finding("checkpoint", text, index=row.size))
        return None
    for key in keys:
        if str(key) not in report.keys:
            report.keys.append(str(key))
    return head


def signers_named(note: str) -> set[str]:
    """Names and ids of the keys a note says it is signed by."""
    found = re.findall(r"^— (\S+) ([A-Za-z0-9+/=]{6,})$", note, re.MULTILINE)
    return {f"{name} ({signature[:6]}…)" for name, signature in found}


def notes_in(text: str) -> list[str]:
    """The checkpoint notes of a text, also where they stand in JSON strings."""
    if "\\n" in text:
        text = text.replace("\\u2014", "—").replace("\\n", "\n").replace('"', "\n")
    return list(dict.fromkeys(_NOTES.findall(text)))


def compare_anchors(
    anchors: Iterable[tuple[str, str]],
    newest: Head | None,
    trusted: Sequence[Key],
    report: Report,
) -> None:
    """Whether the tree goes on from each outside checkpoint, (where it is from, text).

    ``newest`` is the newest trusted checkpoint of the database.
    """
    for source, text in anchors:
        notes = notes_in(text)
        if not notes:
            report.add(Finding("anchor", f"There is no checkpoint in {source}"))
        for note in notes:
            report.anchors += 1
            report.extend(_compare(source, note, newest, trusted))


def _compare(
    source: str, note: str, newest: Head | None, trusted: Sequence[Key]
) -> Iterator[Finding]:
    try:
        head, keys = check(note, trusted)
    except BadNote as error:
        yield Finding("anchor", f"A checkpoint in {source}: {error}")
        return
    if not keys:
        names = ", ".join(sorted(signers_named(note)))
        text = f"The checkpoint of {head.size} events in {source} is signed by {names}"
        yield Finding("anchor", f"{text}, none trusted", index=head.size)
        return
    size = newest.size if newest else 0
    if newest is None or head.size > size:
        text = (
            f"{source} has a signed checkpoint of {head.size} events, the database of "
            f"{size}: at least {head.size - size} are gone from its end"
        )
        yield Finding("rolled_back", text, index=size)
    elif not goes_on(head, newest):
        text = (
            f"The first {head.size} events are not those of the checkpoint in {source}"
        )
        yield Finding("forked", text, index=head.size)


def goes_on(older: Head, newer: Head) -> bool:
    """Whether the newer tree begins with the older one, by a proof from storage."""
    if older.size == 0:
        return True
    try:
        proof = tree.stored(newer.size).consistency(older.size, newer.size)
    except ValueError:
        return False
    return extends(
        first=older.size,
        second=newer.size,
        first_root=older.root,
        second_root=newer.root,
        proof=proof,
    )
