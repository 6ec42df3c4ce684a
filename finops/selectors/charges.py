"""What the statements of a month are made of, read from the ledger day by day."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from core.errors import NotFound
from core.money import total
from finops.chargeback import statement as kinds
from finops.chargeback.months import bounds
from finops.chargeback.statement import StatementDocument, StatementLine
from finops.exports.bundle import Content
from finops.exports.charges import Charge, Month, Pricing, invoice
from finops.exports.invoices import Unreconciled
from finops.exports.skus import FIXED_UNIT
from finops.exports.spread import Receiver, Used, spread
from finops.exports.tabular import billed_amount
from finops.exports.words import EXACT
from finops.models import BillingPeriod, CostCentre, Statement
from finops.selectors.billing import owned
from finops.selectors.statements import documents_of

_KEY = 8
_AMOUNTS = frozenset({kinds.CREDIT, kinds.ADJUSTMENT, kinds.ROUNDING})
_ROWS = """
SELECT u.team COLLATE "C" AS team, u.cost_centre COLLATE "C" AS cost_centre,
  u.project COLLATE "C" AS project, u.environment COLLATE "C" AS environment,
  u.sku COLLATE "C" AS sku, u.unit COLLATE "C" AS unit, u.price_id,
  date_trunc('month', u.at AT TIME ZONE %(zone)s)::date AS charge_month,
  (u.at AT TIME ZONE %(zone)s)::date AS day, u.principal COLLATE "C" AS principal,
  u.model COLLATE "C" AS model, u.token_kind, u.known, p.amount, u.rate,
  u.list_currency, sum(u.list_cost) AS list_cost,
  sum(u.quantity) AS quantity, sum(u.cost) AS cost
FROM finops_usageevent u LEFT JOIN finops_price p ON p.id = u.price_id
WHERE {owned} AND u.cost IS NOT NULL AND u.currency = %(currency)s
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
HAVING sum(u.quantity) <> 0 OR sum(u.cost) <> 0
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
"""
_PRICE_STEP = Decimal("1E-18")


class _Row(NamedTuple):
    """A row of the query; its first columns name the lines that it is charged by."""

    team: str
    cost_centre: str
    project: str
    environment: str
    sku: str
    unit: str
    price: int | None
    charge_month: date
    day: date
    principal: str
    model: str
    token_kind: str
    known: str
    amount: Decimal | None
    rate: Decimal | None
    list_currency: str
    list_cost: Decimal | None
    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """What a month's export would hold."""

    name: str
    currency: str
    zone: str
    closed: bool
    statements: int
    billed: Decimal
    unrated: int


def period_of(month: date) -> BillingPeriod:
    """A month that was opened. Raises NotFound."""
    period = BillingPeriod.objects.filter(month=month).first()
    if period is None:
        raise NotFound("There is no such month: months are opened as they begin.")
    return period


def summary_of(month: date) -> Summary:
    """A month in figures. Raises NotFound."""
    period = period_of(month)
    return Summary(
        name=f"{month:%Y-%m}",
        currency=period.currency,
        zone=period.zone,
        closed=not period.is_open,
        statements=period.statements.count(),
        billed=billed_amount(period.currency, period.billed),
        unrated=period.unrated,
    )


@transaction.atomic
def content_of(period: BillingPeriod) -> Content:
    """A month as the exports write it; its charges are read as they are written.

    Reading them raises Unreconciled where the statements are not what the ledger says.
    """
    documents = documents_of(period)
    return Content(
        month=month_of(period, documents),
        documents=documents,
        charges=charges_of(period, documents),
        unrated=period.unrated,
    )


def month_of(period: BillingPeriod, documents: Sequence[StatementDocument]) -> Month:
    """The month and its two sides."""
    start, end = bounds(period.month, period.zone)
    known = [period.built_at, period.closed_at, period.issued_at]
    charged = {line.charge_month for one in documents for line in one.lines}
    before = (
        Statement.objects.filter(period__month__in=charged - {period.month})
        .annotate(month=F("period__month"), centre=F("cost_centre__slug"))
        .values_list("month", "centre", "number", "uid")
    )
    return Month(
        name=f"{period.month:%Y-%m}",
        start=start,
        end=end,
        zone=period.zone,
        currency=period.currency,
        organisation=str(settings.ORGANISATION or settings.PUBLIC_URL or "Tollgate"),
        created=start,
        updated=max([start, *(one for one in known if one)]),
        closed=not period.is_open,
        names=dict(CostCentre.objects.values_list("slug", "name")),
        numbers={
            (f"{month:%Y-%m}", centre): number or uid
            for month, centre, number, uid in before
        },
    )


def charges_of(
    period: BillingPeriod, documents: Sequence[StatementDocument]
) -> Iterator[Charge]:
    """Every charge of a month in a fixed order: usage, fixed costs, amounts."""
    lines = _lines(documents)
    yield from _usage(period, lines)
    for key, receivers in sorted(lines.items(), key=lambda one: str(one[0])):
        if _is_fixed(receivers[0][1]):
            yield from spread([_fixed(receivers)], receivers)
        elif len(key) < _KEY:
            for document, line in receivers:
                yield Charge(
                    document, line, line.charge_start, line.charge_end, line.cost
                )


def _lines(
    documents: Sequence[StatementDocument],
) -> dict[tuple[Any, ...], list[Receiver]]:
    """The lines by what they charge for: those of a shared cost stand together."""
    found: dict[tuple[Any, ...], list[Receiver]] = defaultdict(list)
    for document in documents:
        for line in document.lines:
            found[_key(document, line)].append((document, line))
    return found


def _key(document: StatementDocument, line: StatementLine) -> tuple[Any, ...]:
    origin = line.origin
    if _is_fixed(line):
        return (line.sku, line.charge_month)
    if line.category in _AMOUNTS:
        return (invoice(document), line.number)
    return (
        origin.team,
        origin.cost_centre,
        origin.project,
        origin.environment,
        line.sku,
        line.unit,
        line.price,
        line.charge_month,
    )


def _is_fixed(line: StatementLine) -> bool:
    return line.sku.startswith("platform/") and line.unit == FIXED_UNIT


def _fixed(receivers: Sequence[Receiver]) -> Used:
    """A month of a fixed cost; one that was taken back is a month less."""
    line = receivers[0][1]
    cost = total(one.cost for _, one in receivers)
    months = Decimal(-1 if cost < 0 else 1)
    return Used(line.charge_start, line.charge_end, months, cost, abs(cost))


def _usage(
    period: BillingPeriod, lines: Mapping[tuple[Any, ...], Sequence[Receiver]]
) -> Iterator[Charge]:
    zone = ZoneInfo(period.zone)
    for key, rows in groupby(_read(period), key=lambda row: row[:_KEY]):
        if receivers := lines.get(key):
            yield from spread((_used(row, zone) for row in rows), receivers)
        elif left := total(row.cost for row in rows):
            raise Unreconciled(f"{left:f} of {key} is on no statement of {period}.")


def _read(period: BillingPeriod) -> Iterator[_Row]:
    where = owned(period)
    with connection.chunked_cursor() as cursor:
        cursor.execute(_ROWS.replace("{owned}", where.sql), where.parameters)
        while found := cursor.fetchmany(2000):
            yield from map(_Row._make, found)


def _used(row: _Row, zone: ZoneInfo) -> Used:
    return Used(
        start=_midnight(row.day, zone),
        end=_midnight(row.day + timedelta(days=1), zone),
        quantity=row.quantity,
        cost=row.cost,
        price=_price(row),
        price_id=row.price,
        principal=row.principal,
        model=row.model,
        token_kind=row.token_kind,
        known=row.known,
        pricing=_pricing(row),
    )


def _price(row: _Row) -> Decimal:
    """Of one unit in the billing currency; without a price, what the cost comes to."""
    if row.amount is not None:
        return row.amount if row.rate is None else EXACT.multiply(row.amount, row.rate)
    if not row.quantity:
        return Decimal(0)
    unit = EXACT.divide(row.cost, row.quantity)
    return max(Decimal(0), unit.quantize(_PRICE_STEP, ROUND_HALF_EVEN, EXACT))


def _pricing(row: _Row) -> Pricing | None:
    """As it was priced, where that is another currency than what is billed."""
    if row.amount is None or row.list_cost is None:
        return None
    return Pricing(row.list_currency, row.amount, row.list_cost)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
