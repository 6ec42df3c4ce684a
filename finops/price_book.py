"""Finds the price of a SKU: the longest matching pattern that is valid."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal

from core.money import multiply
from finops.exchange import Exchange
from finops.tool_units import is_path


@dataclass(frozen=True, slots=True)
class Rate:
    """A price as it stands in the book now. ``sku`` may end in ``*``."""

    id: int
    sku: str
    unit: str
    amount: Decimal
    currency: str
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


@dataclass(frozen=True, slots=True)
class Priced:
    """What a quantity costs in the organization's currency; None is unrated.

    ``list_cost`` is what a price in another currency says, before ``rate`` (None where
    the month has none) turned it into ``cost``.
    """

    price: int | None = None
    cost: Decimal | None = None
    list_cost: Decimal | None = None
    list_currency: str = ""
    rate: Decimal | None = None


UNPRICED = Priced()


class PriceBook:
    """Rates indexed by pattern, and what turns them into one currency."""

    def __init__(self, rates: Iterable[Rate], exchange: Exchange):
        self.exchange = exchange
        self._exact: dict[str, list[Rate]] = {}
        self._prefixes: dict[str, list[Rate]] = {}
        kept = list(rates)
        self._paths = sorted({rate.unit for rate in kept if is_path(rate.unit)})
        # A price of some hours comes before one of the whole day.
        for rate in sorted(kept, key=lambda one: one.daily_from is None):
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

    def paths(self, sku: str, *, at: datetime) -> tuple[str, ...]:
        """The units of ``sku`` that are read off arguments or results."""
        return tuple(
            unit for unit in self._paths if self.rate(sku, unit=unit, at=at) is not None
        )

    def price(self, sku: str, *, unit: str, at: datetime, quantity: Decimal) -> Priced:
        """What a quantity costs, kept to 12 places at each of its two steps."""
        rate = self.rate(sku, unit=unit, at=at)
        if rate is None:
            return UNPRICED
        cost = multiply(quantity, rate.amount)
        if rate.currency == self.exchange.base:
            return Priced(rate.id, cost)
        worth = self.exchange.rate(rate.currency, at)
        if worth is None:
            return Priced(rate.id, None, cost, rate.currency)
        return Priced(rate.id, multiply(cost, worth), cost, rate.currency, worth)
