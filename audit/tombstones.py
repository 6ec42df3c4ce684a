"""What is left of a dropped month: a signed text that names what was there."""

from collections.abc import Collection, Iterable
from datetime import date, datetime

from audit.models import MonthExport, Tombstone
from audit.notes import BadNote, Key, Note
from audit.signing import trusted_keys

_HEAD = "tollgate audit tombstone"


def text_of(
    export: MonthExport,
    *,
    indexes: tuple[int, int] | None,
    by: str,
    reason: str,
    at: datetime,
) -> str:
    """The lines that are signed before a month is dropped."""
    first, last = indexes or ("-", "-")
    lines = (
        _HEAD,
        f"month {export.month:%Y-%m}",
        f"events {export.events}",
        f"indexes {first} {last}",
        f"leaves sha256 {export.leaves}",
        f"export sha256 {export.sha256} {_line(export.file)}",
        f"at {at.isoformat()}",
        f"by {_line(by)}",
        f"reason {_line(reason)}",
    )
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def dropped_on_record(trusted: Iterable[Key] | None = None) -> Collection[str]:
    """Months such as "2019-03" whose tombstone a trusted key has signed.

    One that says something else than its row, or that nobody signed, does not count.
    """
    keys = list(trusted_keys() if trusted is None else trusted)
    return [
        f"{stone.month:%Y-%m}"
        for stone in Tombstone.objects.all()
        if _holds(stone, keys)
    ]


def _holds(stone: Tombstone, keys: list[Key]) -> bool:
    try:
        note = Note.parse(stone.note)
        signed = bool(note.signers(keys))
    except BadNote:
        return False
    said = note.text.split("\n")
    month: date = stone.month
    return (
        signed
        and said[0] == _HEAD
        and f"month {month:%Y-%m}" in said
        and f"events {stone.events}" in said
        and f"leaves sha256 {stone.leaves}" in said
    )
