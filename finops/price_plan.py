"""How prices are placed in a book that is valid in time; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from decimal import Decimal

Slot = tuple[str, str, time | None, time | None]


@dataclass(frozen=True, slots=True)
class Line:
    """A price of a SKU from a time on. ``id`` is that of the row it stands in.

    A slot has one price at a time, in whatever currency.

    ``valid_to`` None lasts until the next price of the same slot. ``daily_*`` (UTC)
    bound it to hours of the day, which may pass midnight.
    """

    sku: str
    unit: str
    amount: Decimal
    currency: str
    valid_from: datetime
    valid_to: datetime | None = None
    daily_from: time | None = None
    daily_to: time | None = None
    source: str = "edited"
    id: int | None = None

    @property
    def slot(self) -> Slot:
        return (self.sku, self.unit, self.daily_from, self.daily_to)

    @property
    def hours(self) -> str:
        """The hours of the day, in UTC; "" for all."""
        if self.daily_from is None or self.daily_to is None:
            return ""
        return f"{self.daily_from:%H:%M}-{self.daily_to:%H:%M} UTC"

    def says(self, other: "Line") -> bool:
        """Whether both give the same price for the same time."""
        return self.said == other.said

    @property
    def said(self) -> tuple[object, ...]:
        return (
            self.slot,
            self.amount,
            self.currency,
            self.valid_from,
            self.valid_to,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A price that the book will hold, beside what it says for its start now."""

    line: Line
    before: Decimal | None
    currency_before: str = ""

    @property
    def million(self) -> Decimal:
        """What a million units cost then."""
        return self.line.amount * 1_000_000

    @property
    def million_before(self) -> Decimal | None:
        """What a million units cost now."""
        return None if self.before is None else self.before * 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change does: knowledge that ends, rows that are added."""

    changes: tuple[Change, ...]
    ended: tuple[Line, ...]
    added: tuple[Line, ...]
    same: int


def plan(known: Iterable[Line], wanted: Sequence[Line], *, again: bool = False) -> Plan:
    """Place ``wanted``, in order of time, among the prices ``known`` of their slots.

    What stands already is left as it is, unless it shall be known ``again``.
    """
    before: dict[Slot, list[Line]] = {}
    for line in known:
        before.setdefault(line.slot, []).append(line)
    after = {line.slot: list(before.get(line.slot, [])) for line in wanted}
    for line in sorted(wanted, key=lambda one: one.valid_from):
        after[line.slot] = _place(after[line.slot], line)
    ended: list[Line] = []
    added: list[Line] = []
    for slot, lines in after.items():
        gone = [line for line in before.get(slot, []) if line not in lines]
        new = [line for line in lines if line.id is None]
        if not again:
            gone, new = _different(gone, new), _different(new, gone)
        ended += gone
        added += new
    changes = []
    for line in wanted:
        old = _line_at(before.get(line.slot, []), line.valid_from)
        if any(
            line.slot == one.slot and line.valid_from == one.valid_from for one in added
        ):
            changes.append(
                Change(line, None)
                if old is None
                else Change(line, old.amount, old.currency)
            )
    return Plan(tuple(changes), tuple(ended), tuple(added), len(wanted) - len(changes))


def _place(lines: Sequence[Line], new: Line) -> list[Line]:
    later = [line.valid_from for line in lines if line.valid_from > new.valid_from]
    end = new.valid_to or min(later, default=None)
    kept: list[Line] = []
    for line in lines:
        if line.valid_to is not None and line.valid_to <= new.valid_from:
            kept.append(line)
            continue
        if end is not None and line.valid_from >= end:
            kept.append(line)
            continue
        if line.valid_from < new.valid_from:
            kept.append(replace(line, valid_to=new.valid_from, id=None))
        if end is not None and (line.valid_to is None or line.valid_to > end):
            kept.append(replace(line, valid_from=end, id=None))
    return [*kept, replace(new, valid_to=end, id=None)]


def _different(lines: list[Line], others: list[Line]) -> list[Line]:
    return [line for line in lines if not any(line.says(one) for one in others)]


def _line_at(lines: Iterable[Line], at: datetime) -> Line | None:
    for line in lines:
        if line.valid_from <= at and (line.valid_to is None or at < line.valid_to):
            return line
    return None
