"""Takes a line's usage apart by day, for each receiver where its cost is shared."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.canonical import canonical
from finops.chargeback.shares import split
from finops.chargeback.statement import StatementDocument, StatementLine
from finops.exports.charges import Charge, Pricing, Share
from finops.exports.words import EXACT

COST_PLACES, QUANTITY_PLACES = 12, 18


@dataclass(frozen=True, slots=True)
class Used:
    """A day's usage of one SKU at one price by one principal."""

    start: datetime
    end: datetime
    quantity: Decimal
    cost: Decimal
    price: Decimal | None = None
    price_id: int | None = None
    principal: str = ""
    model: str = ""
    token_kind: str = ""
    known: str = ""
    pricing: Pricing | None = None


Receiver = tuple[StatementDocument, StatementLine]


def spread(rows: Iterable[Used], receivers: Sequence[Receiver]) -> Iterator[Charge]:
    """The charges of ``rows``, which are all of the usage of the receivers' lines.

    Shared rows are split so that the parts of a row add up to the row and those of a
    line to the line, both to the last digit: each part is what the split of all rows
    so far gives beyond that of the rows before, and the last row takes what is left.
    """
    if len(receivers) == 1 and receivers[0][1].allocated is None:
        for row in rows:
            yield _charge(row, receivers[0], row.quantity, row.cost, row.pricing)
        return
    weights = [_ratio(line) for _, line in receivers]
    costs = _Parts(weights, COST_PLACES, [line.cost for _, line in receivers])
    quantities = _Parts(weights, QUANTITY_PLACES)
    listed = _Parts(weights, COST_PLACES)
    for row, last in _with_last(rows):
        share = Share(_origin(row, receivers[0]), row.cost)
        list_cost = row.pricing.cost if row.pricing else Decimal(0)
        for receiver, cost, quantity, part in zip(
            receivers,
            costs.of(row.cost, last=last),
            quantities.of(row.quantity, last=last),
            listed.of(list_cost, last=last),
            strict=True,
        ):
            pricing = row.pricing and replace(row.pricing, cost=part)
            yield _charge(row, receiver, quantity, cost, pricing, share)


class _Parts:
    """Splits amounts one after the other; in all, the parts are ``wholes``, if any."""

    def __init__(
        self,
        weights: Sequence[Decimal],
        places: int,
        wholes: Sequence[Decimal] | None = None,
    ) -> None:
        self._weights, self._places, self._wholes = weights, places, wholes
        self._sum = Decimal(0)
        self._given = [Decimal(0)] * len(weights)

    def of(self, amount: Decimal, *, last: bool) -> list[Decimal]:
        self._sum = EXACT.add(self._sum, amount)
        due: Sequence[Decimal]
        if last and self._wholes is not None:
            due = self._wholes
        else:
            due = split(self._sum, self._weights, places=self._places)
        parts = [
            EXACT.subtract(whole, given)
            for whole, given in zip(due, self._given, strict=True)
        ]
        self._given = list(due)
        return parts


def _with_last(rows: Iterable[Used]) -> Iterator[tuple[Used, bool]]:
    before: Used | None = None
    for row in rows:
        if before is not None:
            yield before, False
        before = row
    if before is not None:
        yield before, True


def _ratio(line: StatementLine) -> Decimal:
    return Decimal(1) if line.allocated is None else line.allocated.ratio


def _charge(
    row: Used,
    receiver: Receiver,
    quantity: Decimal,
    cost: Decimal,
    pricing: Pricing | None,
    share: Share | None = None,
) -> Charge:
    document, line = receiver
    return Charge(
        document,
        line,
        row.start,
        row.end,
        cost,
        quantity if row.price is not None else None,
        row.price,
        row.price_id,
        row.principal,
        row.model,
        row.token_kind,
        row.known,
        share,
        pricing,
    )


def _origin(row: Used, receiver: Receiver) -> str:
    """Names what was split: the same for all parts, another for each row."""
    document, line = receiver
    told = [
        document.name,
        f"{line.charge_month:%Y-%m}",
        line.origin.team,
        line.origin.cost_centre,
        line.origin.project,
        line.origin.environment,
        line.sku,
        line.unit,
        row.start.isoformat(),
        str(row.price_id),
        str(row.price),
        row.principal,
        row.model,
        row.token_kind,
        row.known,
    ]
    return f"split-{hashlib.sha256(canonical(told)).hexdigest()[:24]}"
