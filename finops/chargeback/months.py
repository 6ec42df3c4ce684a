"""Billing months: calendar months of a named zone, named by their first day; pure."""

import re
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from core.errors import Invalid

_NAME = re.compile(r"^(\d{4})-(\d{2})$", re.ASCII)


def next_month(month: date) -> date:
    """The first day of the month after it."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def month_before(month: date) -> date:
    """The first day of the month before it."""
    years, months = divmod(month.month - 2, 12)
    return date(month.year + years, months + 1, 1)


def start_of(month: date, zone: str) -> datetime:
    """The local midnight that a month begins with."""
    return datetime.combine(month, time(), ZoneInfo(zone))


def bounds(month: date, zone: str) -> tuple[datetime, datetime]:
    """Where a month begins and where the next one does."""
    return start_of(month, zone), start_of(next_month(month), zone)


def month_at(at: datetime, zone: str) -> date:
    """The month that a moment lies in."""
    return at.astimezone(ZoneInfo(zone)).date().replace(day=1)


def named(text: str) -> date:
    """The month of a name such as ``2026-10``. Raises Invalid."""
    found = _NAME.match(text)
    if not found or not 1 <= int(found[2]) <= 12 or not 1970 <= int(found[1]) < 2200:
        raise Invalid(f"{text!r} is no month: write it like 2026-10.")
    return date(int(found[1]), int(found[2]), 1)
