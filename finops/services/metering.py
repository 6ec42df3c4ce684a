"""Books metered quantities in the ledger, priced at the price book of the moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Payer:
    """Who a quantity is booked to, as it stands when the work is done."""

    team: str
    cost_centre: str
    project: str
    environment: str
    principal: str
    run: str = ""
    task: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """One metered quantity. ``uid`` makes booking it twice harmless.

    ``kind`` and ``known`` are those of UsageEvent; SKUs are ``tokens/definitions``,
    ``tokens/script``, ``tokens/result`` (unit ``Tokens``), ``tool/<server>.<tool>``
    (``Requests``), ``sandbox/cpu`` (``Seconds``), ``sandbox/memory`` (``GB-Seconds``).
    """

    uid: str
    kind: str
    sku: str
    unit: str
    quantity: Decimal
    known: str
    server: str = ""
    tool: str = ""
    model: str = ""
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """The cost of what was booked; ``unrated`` counts quantities without a price."""

    cost: Decimal
    currency: str
    unrated: int


def book(*, payer: Payer, usages: Sequence[Usage], at: datetime) -> Booked:
    """Book ``usages`` in the running transaction."""
    raise NotImplementedError
