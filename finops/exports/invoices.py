"""Charges summed to the lines of their statements, and what rounding them left."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.errors import TollgateError
from finops.chargeback.statement import StatementDocument, StatementLine
from finops.exports.charges import Category, Charge, Month, invoice
from finops.exports.words import EXACT


@dataclass(frozen=True, slots=True)
class Detail:
    """An invoice detail: a line's charges, or what was added to round it."""

    id: str
    document: StatementDocument
    line: StatementLine
    category: Category
    corrects: bool
    rounding: bool
    cost: Decimal


class Unreconciled(TollgateError):
    """A statement that is not the sum of its charges: nothing of it may leave."""

    code = "unreconciled"
    status = 409


def detail_id(charge: Charge) -> str:
    """The invoice detail of a charge: the line has one, and its rounding another."""
    ending = "/rounding" if charge.rounding else ""
    return f"{invoice(charge.document)}/{charge.line.number}{ending}"


class Details:
    """Sums charges as they pass by; as many sums as there are details."""

    def __init__(self) -> None:
        self._found: dict[str, Detail] = {}

    def counted(self, charges: Iterable[Charge]) -> Iterator[Charge]:
        """``charges``, each counted as it passes."""
        for charge in charges:
            known = detail_id(charge)
            before = self._found.get(known)
            self._found[known] = Detail(
                known,
                charge.document,
                charge.line,
                charge.category,
                charge.corrects,
                charge.rounding,
                EXACT.add(before.cost if before else Decimal(0), charge.cost),
            )
            yield charge

    def cost(self, document: StatementDocument, line: StatementLine) -> Decimal:
        """What the charges of a line add up to, before it is rounded."""
        found = self._found.get(f"{invoice(document)}/{line.number}")
        return found.cost if found else Decimal(0)

    def __iter__(self) -> Iterator[Detail]:
        yield from sorted(
            self._found.values(),
            key=lambda one: (invoice(one.document), one.line.number, one.rounding),
        )


def roundings(
    month: Month, documents: Sequence[StatementDocument], details: Details
) -> Iterator[Charge]:
    """What each rounded line has beyond its charges, as charges of their own.

    Raises Unreconciled for a line that is not exactly the sum of its charges.
    """
    for document in documents:
        for line in document.lines:
            charged = details.cost(document, line)
            if charged != line.cost:
                raise Unreconciled(
                    f"Line {line.number} of {invoice(document)} costs {line.cost:f}, "
                    f"and its charges add up to {charged:f}."
                )
            if left := EXACT.subtract(line.billed, charged):
                yield Charge(
                    document, line, month.start, month.end, cost=left, rounding=True
                )
