"""What a quantity would cost at a price book, and how that differs; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from core.money import total
from finops.price_book import PriceBook

# SKU, cost before, cost after; None is unrated.
Change = tuple[str, Decimal | None, Decimal | None]


class Quantity(Protocol):
    """A row of the ledger as far as its price goes."""

    sku: str
    unit: str
    at: datetime
    quantity: Decimal
    cost: Decimal | None
    flaw: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What re-rating does to the rows of one SKU; unrated ones have no cost."""

    sku: str
    rows: int
    before: Decimal
    after: Decimal
    unrated_before: int
    unrated_after: int

    @property
    def change(self) -> Decimal:
        return total((self.after, -self.before))


def cost_at(book: PriceBook, row: Quantity) -> Decimal | None:
    """Its cost at this book; None without a price or an exchange rate."""
    if row.flaw:
        return None
    found = book.price(row.sku, unit=row.unit, at=row.at, quantity=row.quantity)
    return found.cost


def moved(
    changes: Iterable[Change],
) -> tuple[Moved, ...]:
    """The changes (SKU, cost before, cost after) by SKU."""
    found: dict[str, Moved] = {}
    for sku, before, after in changes:
        old = found.get(sku) or Moved(sku, 0, Decimal(0), Decimal(0), 0, 0)
        found[sku] = Moved(
            sku=sku,
            rows=old.rows + 1,
            before=total((old.before, before or Decimal(0))),
            after=total((old.after, after or Decimal(0))),
            unrated_before=old.unrated_before + (before is None),
            unrated_after=old.unrated_after + (after is None),
        )
    return tuple(found[sku] for sku in sorted(found))
