"""Turns amounts into the organization's currency, by the month's one rate; pure."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

CODE = re.compile(r"^[A-Z]{3}$")


def month_of(at: datetime, zone: str) -> date:
    """The first day of the calendar month that ``at`` lies in, in a named zone."""
    return at.astimezone(ZoneInfo(zone)).date().replace(day=1)


@dataclass(frozen=True, slots=True)
class MonthRate:
    """What one unit of ``currency`` is worth in the organization's, in one month."""

    currency: str
    month: date
    rate: Decimal


class Exchange:
    """The rates into ``base``. A month without its own has that of the latest before.

    ``zone`` says where months begin.
    """

    def __init__(self, base: str, zone: str, rates: Iterable[MonthRate] = ()):
        self.base = base
        self.zone = zone
        self._months: dict[str, list[date]] = {}
        self._rates: dict[str, list[Decimal]] = {}
        for one in sorted(rates, key=lambda one: (one.currency, one.month)):
            self._months.setdefault(one.currency, []).append(one.month)
            self._rates.setdefault(one.currency, []).append(one.rate)

    def rate(self, currency: str, at: datetime) -> Decimal | None:
        """How much of the base one unit is worth; None where no rate is known."""
        if currency == self.base:
            return Decimal(1)
        months = self._months.get(currency)
        if months is None:
            return None
        place = bisect_right(months, month_of(at, self.zone))
        return self._rates[currency][place - 1] if place else None

    def own(self, currency: str, month: date) -> bool:
        """Whether ``month`` has a rate of its own; else the one in use may change."""
        return currency == self.base or month in self._months.get(currency, ())
