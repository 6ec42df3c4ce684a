"""The price book as a CSV file: every mistake with its line, or none at all."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from core.errors import Invalid
from finops.exchange import CODE
from finops.price_plan import Line
from finops.price_rules import fault_of

COLUMNS = (
    "sku",
    "unit",
    "amount",
    "currency",
    "valid_from",
    "valid_to",
    "daily_from",
    "daily_to",
    "source",
)
_NEEDED = ("sku", "unit", "amount", "valid_from")
_MOST_MISTAKES = 20
_MOST_LINES = 20_000


def row_of(line: Line) -> tuple[object, ...]:
    """A line as ``parse`` reads it."""
    return (
        line.sku,
        line.unit,
        line.amount.normalize(),
        line.currency,
        line.valid_from,
        line.valid_to,
        line.daily_from and f"{line.daily_from:%H:%M}",
        line.daily_to and f"{line.daily_to:%H:%M}",
        line.source,
    )


def parse(text: str, *, currency: str, zone: str) -> list[Line]:
    """The lines of a file. Raises Invalid with each mistake and its line number.

    A date is the start of that day in ``zone``; a time needs its offset. Prices
    without a currency are in ``currency``.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise Invalid(f"Line 1: the column {missing[0]} is missing.")
    mistakes: list[str] = []
    found: list[Line] = []
    seen: dict[object, int] = {}
    try:
        for row in reader:
            number = reader.line_num
            try:
                line = _line(row, currency, zone)
            except ValueError as error:
                mistakes.append(f"Line {number}: {error}")
                continue
            first = seen.setdefault((line.slot, line.valid_from), number)
            if first != number:
                mistakes.append(f"Line {number}: the same price as in line {first}.")
            found.append(line)
    except csv.Error as error:
        mistakes.append(f"Line {reader.line_num}: {error}.")
    if len(found) > _MOST_LINES:
        mistakes.append(f"{len(found)} lines: send up to {_MOST_LINES} at once.")
    if mistakes or not found:
        raise Invalid(_said(mistakes), details={"mistakes": mistakes})
    return found


def _said(mistakes: Sequence[str]) -> str:
    if not mistakes:
        return "The file holds no price."
    more = len(mistakes) - _MOST_MISTAKES
    tail = f" … and {more} more." if more > 0 else ""
    return " ".join(mistakes[:_MOST_MISTAKES]) + tail


def _line(row: Mapping[str, str | None], currency: str, zone: str) -> Line:
    values = {name: (row.get(name) or "").strip() for name in COLUMNS}
    if None in row:
        raise ValueError("more values than columns.")
    if values["currency"] and not CODE.match(values["currency"]):
        raise ValueError(f"{values['currency']!r} is no currency, such as {currency}.")
    try:
        amount = Decimal(values["amount"])
    except InvalidOperation:
        raise ValueError(f"the amount {values['amount']!r} is no number.") from None
    if fault := fault_of(sku=values["sku"], unit=values["unit"], amount=amount):
        raise ValueError(fault)
    start = _moment(values["valid_from"], zone)
    end = _moment(values["valid_to"], zone) if values["valid_to"] else None
    if end is not None and end <= start:
        raise ValueError("valid_to must be after valid_from.")
    daily_from, daily_to = _hour(values["daily_from"]), _hour(values["daily_to"])
    if (daily_from is None) != (daily_to is None) or (
        daily_from is not None and daily_from == daily_to
    ):
        raise ValueError("give both daily_from and daily_to, and not the same.")
    return Line(
        sku=values["sku"],
        unit=values["unit"],
        amount=amount,
        currency=values["currency"] or currency,
        valid_from=start,
        valid_to=end,
        daily_from=daily_from,
        daily_to=daily_to,
        source=values["source"][:100] or "CSV",
    )


def _moment(text: str, zone: str) -> datetime:
    try:
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), time(), ZoneInfo(zone))
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date, such as 2026-01-31.") from None
    if found.tzinfo is None:
        raise ValueError(f"the time {text!r} has no offset, such as +00:00.")
    return found


def _hour(text: str) -> time | None:
    if not text:
        return None
    try:
        return time.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise ValueError(f"{text!r} is no hour, such as 16:30 (UTC).") from None
