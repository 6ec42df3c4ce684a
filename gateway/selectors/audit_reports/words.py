"""Values of reports as people read them, on pages and on paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.selectors.audit_reports import parts
from gateway.selectors.audit_reports.parts import Column, Row

NOTHING = "–"
# States of reports that no other page knows.
_TONES = {
    "Never used": "failed",
    "Used since": "ok",
    "To decide": "unknown",
    "Decided": "ok",
}
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def words(value: Any, kind: str, zone: str) -> str:
    """A value in words; times are of the named zone."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, datetime):
        return f"{value.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
    if kind == parts.SECONDS:
        return duration(float(value))
    if kind == parts.NUMBER and isinstance(value, int):
        return f"{value:,}"
    return str(value)


def duration(seconds: float) -> str:
    """A length of time in its two largest units: 3 d 4 h, 2 min 5 s, 0.4 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    left = round(seconds)
    for at, (unit, size) in enumerate(_UNITS[:-1]):
        if left >= size:
            smaller, part = _UNITS[at + 1]
            rest = left % size // part
            return f"{left // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{left} s"


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as a page shows it; ``url`` is "" for no link."""

    column: Column
    value: Any
    text: str
    url: str

    @property
    def tone(self) -> str:
        """The word that a state is coloured as: red is for what needs a person."""
        return _TONES.get(self.text, self.text)


def cells(columns: Sequence[Column], row: Row, zone: str) -> list[Cell]:
    """The cells of a row that pages show."""
    return [
        Cell(
            column,
            value,
            words(value, column.kind, zone),
            row.links.get(column.name, ""),
        )
        for column, value in zip(columns, row.values, strict=True)
        if column.shown
    ]
