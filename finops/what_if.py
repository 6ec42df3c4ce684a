"""What usage would have cost at another price book; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.money import total
from finops.price_book import PriceBook


@dataclass(frozen=True, slots=True)
class Grouped:
    """A quantity of a SKU at one time, with what it was booked at."""

    sku: str
    unit: str
    at: datetime
    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Supposed:
    """A SKU's booked cost beside the one supposed; ``unpriced`` has no price there."""

    sku: str
    unit: str
    quantity: Decimal
    booked: Decimal
    cost: Decimal
    unpriced: Decimal

    @property
    def change(self) -> Decimal:
        return total((self.cost, -self.booked))

    @property
    def quantity_text(self) -> str:
        """The quantity without trailing zeros."""
        return f"{self.quantity.normalize():,f}"


def at_book(usage: Iterable[Grouped], book: PriceBook) -> tuple[Supposed, ...]:
    """Each SKU at ``book``, the largest change first.

    Usage is priced group by group: where rows were rounded one by one, a group may
    differ in the twelfth place for each row.
    """
    found: dict[tuple[str, str], Supposed] = {}
    for one in usage:
        nothing = Decimal(0)
        old = found.get((one.sku, one.unit)) or Supposed(
            one.sku, one.unit, nothing, nothing, nothing, nothing
        )
        cost = book.price(one.sku, unit=one.unit, at=one.at, quantity=one.quantity).cost
        missing = one.quantity if cost is None else nothing
        found[one.sku, one.unit] = Supposed(
            sku=one.sku,
            unit=one.unit,
            quantity=total((old.quantity, one.quantity)),
            booked=total((old.booked, one.cost)),
            cost=total((old.cost, cost or nothing)),
            unpriced=total((old.unpriced, missing)),
        )
    return tuple(
        sorted(found.values(), key=lambda one: (-abs(one.change), one.sku, one.unit))
    )
