"""The lines of statements as a table, for CSV and spreadsheets."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from core.money import plain
from finops.chargeback.shares import minor_places
from finops.chargeback.statement import StatementDocument
from finops.exports.charges import invoice

LINES = (
    "statement",
    "digest",
    "month",
    "currency",
    "cost_centre",
    "cost_centre_name",
    "charged",
    "state",
    "line",
    "category",
    "charge_month",
    "team",
    "origin_cost_centre",
    "project",
    "environment",
    "sku",
    "unit",
    "quantity",
    "cost",
    "billed",
    "rule",
    "method",
    "driver",
    "ratio",
    "price",
    "reason",
    "key",
)


def lines(documents: Iterable[StatementDocument]) -> Iterator[Sequence[Any]]:
    """Each line of each statement, as in ``LINES``."""
    for document in documents:
        head = (
            invoice(document),
            document.digest,
            document.name,
            document.currency,
            document.cost_centre,
            document.cost_centre_name,
            "charged" if document.charged else "showback",
            document.state,
        )
        for line in document.lines:
            allocated = line.allocated
            yield (
                *head,
                line.number,
                line.category,
                f"{line.charge_month:%Y-%m}",
                line.origin.team,
                line.origin.cost_centre,
                line.origin.project,
                line.origin.environment,
                line.sku,
                line.unit,
                Decimal(plain(line.quantity)),
                Decimal(plain(line.cost)),
                billed_amount(document.currency, line.billed),
                allocated.id if allocated else "",
                allocated.method if allocated else "",
                allocated.driver if allocated else "",
                Decimal(plain(allocated.ratio)) if allocated else None,
                line.price,
                line.reason,
                line.key,
            )


def billed_amount(currency: str, amount: Decimal) -> Decimal:
    """An amount with the decimals of its currency, as on an invoice."""
    return Decimal(f"{amount:.{minor_places(currency)}f}")
