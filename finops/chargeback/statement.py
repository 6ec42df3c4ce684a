"""A statement as a document: what is hashed, shown, exported and sent; pure."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from core.canonical import canonical
from core.money import plain as plain
from core.money import total

USAGE, SHARED, PLATFORM = "usage", "shared", "platform"
CREDIT, ADJUSTMENT, CORRECTION = "credit", "adjustment", "correction"
ROUNDING = "rounding"
# As they follow one another on a statement.
CATEGORIES = (USAGE, SHARED, PLATFORM, CORRECTION, CREDIT, ADJUSTMENT, ROUNDING)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who caused a cost; "" where it is nobody's, such as a platform cost."""

    team: str = ""
    cost_centre: str = ""
    project: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True)
class Allocated:
    """By which version of which rule a line's share of a cost came here.

    ``ratio`` is the share that this cost centre bears, of 1 over all receivers.
    """

    rule: str
    version: int
    method: str
    driver: str
    ratio: Decimal

    @property
    def id(self) -> str:
        """The rule with its version, such as ``platform-team@2``."""
        return f"{self.rule}@{self.version}"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line. ``cost`` is exact, ``billed`` rounded to the currency's smallest coin.

    The charge period ``[charge_start, charge_end)`` is when the cost arose: of a
    correction the original month. ``price`` is the id of the row of the price book
    that all of the line was booked at. ``key`` names the line whenever its statement
    is built anew, and is what it is recomputed by.
    """

    number: int
    category: str
    origin: Origin
    sku: str
    unit: str
    quantity: Decimal
    cost: Decimal
    billed: Decimal
    charge_month: date
    charge_start: datetime
    charge_end: datetime
    allocated: Allocated | None
    price: int | None
    reason: str
    key: str


@dataclass(frozen=True, slots=True)
class StatementDocument:
    """A statement of one cost centre and month, with its lines in order.

    ``charged`` is false for showback: it tells, and nobody pays. ``number``,
    ``digest`` and ``issued_at`` are empty until it is issued or closed.
    """

    uid: str
    month: date
    period_start: datetime
    period_end: datetime
    zone: str
    currency: str
    cost_centre: str
    cost_centre_name: str
    charged: bool
    state: str
    number: str
    digest: str
    previous_digest: str
    closed_at: datetime | None
    issued_at: datetime | None
    lines: tuple[StatementLine, ...]
    rates: tuple[tuple[str, Decimal], ...] = ()

    @property
    def cost(self) -> Decimal:
        """What the lines cost, exactly."""
        return total(line.cost for line in self.lines)

    @property
    def total(self) -> Decimal:
        """What is to be paid: the sum of the rounded lines."""
        return total(line.billed for line in self.lines)

    @property
    def name(self) -> str:
        """The month, such as ``2026-10``."""
        return f"{self.month:%Y-%m}"


def content(document: StatementDocument) -> dict[str, Any]:
    """What a statement says, as JSON: all but its number, state and place in the chain.

    Amounts are texts without trailing zeros, so that the form never changes the digest.
    """
    return {
        "format": "tollgate-statement-1",
        "uid": document.uid,
        "month": document.name,
        "zone": document.zone,
        "currency": document.currency,
        "cost_centre": document.cost_centre,
        "cost_centre_name": document.cost_centre_name,
        "charged": document.charged,
        "rates": {currency: plain(rate) for currency, rate in document.rates},
        "total": plain(document.total),
        "cost": plain(document.cost),
        "lines": [_line(line) for line in document.lines],
    }


def digest_of(document: StatementDocument) -> str:
    """SHA-256 in hex over the previous statement's digest and the canonical content."""
    chained = {"previous": document.previous_digest, "content": content(document)}
    return hashlib.sha256(canonical(chained)).hexdigest()


def content_digest(document: StatementDocument) -> str:
    """Names what a draft says, so that what is accepted is what is closed."""
    return hashlib.sha256(canonical(content(document))).hexdigest()


def _line(line: StatementLine) -> dict[str, Any]:
    allocated = line.allocated
    return {
        "number": line.number,
        "category": line.category,
        "team": line.origin.team,
        "cost_centre": line.origin.cost_centre,
        "project": line.origin.project,
        "environment": line.origin.environment,
        "sku": line.sku,
        "unit": line.unit,
        "quantity": plain(line.quantity),
        "cost": plain(line.cost),
        "billed": plain(line.billed),
        "charge_month": f"{line.charge_month:%Y-%m}",
        "rule": allocated.id if allocated else "",
        "method": allocated.method if allocated else "",
        "driver": allocated.driver if allocated else "",
        "ratio": plain(allocated.ratio) if allocated else "",
        "price": line.price or 0,
        "reason": line.reason,
        "key": line.key,
    }
