"""Finds the price of a SKU: the longest matching pattern that is valid."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Rate:
    """A price as it stands in the book now. ``sku`` may end in ``*``."""

    id: int
    sku: str
    unit: str
    amount: Decimal
    valid_from: datetime
    valid_to: datetime | None = None
    daily_from: time | None = None
    daily_to: time | None = None

    def applies(self, *, unit: str, at: datetime) -> bool:
        """Whether it prices this unit at that time; ``valid_to`` is excluded."""
        return (
            self.unit == unit
            and self.valid_from <= at
            and (self.valid_to is None or at < self.valid_to)
            and (self.daily_from is None or self._in_hours(at))
        )

    def _in_hours(self, at: datetime) -> bool:
        start, end = self.daily_from, self.daily_to
        if start is None or end is None:
            return True
        hour = at.astimezone(UTC).time()
        return start <= hour < end if start < end else not end <= hour < start


class PriceBook:
    """The rates of one currency, indexed by pattern."""

    def __init__(self, rates: Iterable[Rate]):
        self._exact: dict[str, list[Rate]] = {}
        self._prefixes: dict[str, list[Rate]] = {}
        # A price of some hours comes before one of the whole day.
        for rate in sorted(rates, key=lambda one: one.daily_from is None):
            if rate.sku.endswith("*"):
                self._prefixes.setdefault(rate.sku[:-1], []).append(rate)
            else:
                self._exact.setdefault(rate.sku, []).append(rate)
        self._longest_first = sorted(self._prefixes, key=len, reverse=True)

    def rate(self, sku: str, *, unit: str, at: datetime) -> Rate | None:
        """The rate of ``sku``, or None: then the quantity is unrated, never free.

        The SKU itself wins over every pattern, and a longer pattern over a shorter.
        """
        candidates = [self._exact.get(sku, [])]
        candidates += [
            self._prefixes[prefix]
            for prefix in self._longest_first
            if sku.startswith(prefix)
        ]
        for rates in candidates:
            for rate in rates:
                if rate.applies(unit=unit, at=at):
                    return rate
        return None
