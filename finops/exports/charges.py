"""Charges as the exports see them: a statement's lines, taken apart by day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from finops.chargeback import statement as kinds
from finops.chargeback.statement import StatementDocument, StatementLine


class Category(StrEnum):
    """FOCUS ChargeCategory."""

    USAGE = "Usage"
    CREDIT = "Credit"
    ADJUSTMENT = "Adjustment"


CATEGORIES: Mapping[str, Category] = {
    kinds.USAGE: Category.USAGE,
    kinds.SHARED: Category.USAGE,
    # As a purchase it would have no effective cost (EffectiveCost-C-005).
    kinds.PLATFORM: Category.USAGE,
    kinds.CORRECTION: Category.USAGE,
    kinds.CREDIT: Category.CREDIT,
    kinds.ADJUSTMENT: Category.ADJUSTMENT,
    kinds.ROUNDING: Category.ADJUSTMENT,
}


@dataclass(frozen=True, slots=True)
class Month:
    """A billing period ``[start, end)``; one that is not ``closed`` is a draft.

    ``created`` and ``updated`` bound the work on it. ``names`` are those of the cost
    centres, ``numbers`` those of the statements before: by month and cost centre.
    """

    name: str
    start: datetime
    end: datetime
    zone: str
    currency: str
    organisation: str
    created: datetime
    updated: datetime
    closed: bool
    names: Mapping[str, str]
    numbers: Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Share:
    """One receiver's part of a row of shared cost.

    All parts of a row have the same ``origin`` and ``whole``, which is what was split;
    their lines' ratios add up to 1.
    """

    origin: str
    whole: Decimal


@dataclass(frozen=True, slots=True)
class Pricing:
    """What a unit and the whole cost in the other currency that the price is in."""

    currency: str
    price: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Charge:
    """What a line is made of: a day's usage, an amount, or what rounding added.

    ``price`` is that of one unit in the billing currency. It and ``quantity`` are None
    where the charge is an amount.
    """

    document: StatementDocument
    line: StatementLine
    start: datetime
    end: datetime
    cost: Decimal
    quantity: Decimal | None = None
    price: Decimal | None = None
    price_id: int | None = None
    principal: str = ""
    model: str = ""
    token_kind: str = ""
    known: str = ""
    share: Share | None = None
    pricing: Pricing | None = None
    rounding: bool = False

    @property
    def category(self) -> Category:
        return Category.ADJUSTMENT if self.rounding else CATEGORIES[self.line.category]

    @property
    def corrects(self) -> bool:
        """Whether it makes good a month that was billed before."""
        return self.line.charge_month < self.document.month and not self.rounding

    @property
    def is_rounding(self) -> bool:
        """Whether nothing was used or granted for it."""
        return self.rounding or self.line.category == kinds.ROUNDING


def invoice(document: StatementDocument) -> str:
    """The number that a statement goes by; a draft goes by its id."""
    return document.number or document.uid


def described(line: StatementLine) -> str:
    """A line in words: what for, and who caused it."""
    origin = line.origin
    who = "/".join(
        part for part in (origin.team, origin.project, origin.environment) if part
    )
    said = " - ".join(part for part in (line.sku, who, line.reason) if part)
    return said or line.category
