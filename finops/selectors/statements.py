"""Statements as documents, for pages, exports and checks."""

from collections.abc import Iterable
from decimal import Decimal

from django.db.models import QuerySet

from finops.chargeback.months import bounds
from finops.chargeback.statement import (
    Allocated,
    Origin,
    StatementDocument,
)
from finops.chargeback.statement import StatementLine as Line
from finops.models import BillingPeriod, Statement, StatementLine


def statements_of(period: BillingPeriod) -> QuerySet[Statement]:
    """The statements of a month by cost centre."""
    found = period.statements.select_related("period", "cost_centre")
    return found.order_by("cost_centre__slug", "pk")


def documents_of(period: BillingPeriod) -> list[StatementDocument]:
    """Every statement of a month with its lines, in two queries."""
    found = statements_of(period).prefetch_related("lines")
    return [_document(statement, statement.lines.all()) for statement in found]


def document_of(statement: Statement) -> StatementDocument:
    """One statement with its lines."""
    return _document(statement, statement.lines.all())


def _document(
    statement: Statement, lines: Iterable[StatementLine]
) -> StatementDocument:
    period = statement.period
    start, end = bounds(period.month, period.zone)
    ordered = sorted(lines, key=lambda line: line.number)
    return StatementDocument(
        uid=statement.uid,
        month=period.month,
        period_start=start,
        period_end=end,
        zone=period.zone,
        currency=period.currency,
        cost_centre=statement.cost_centre.slug,
        cost_centre_name=statement.cost_centre_name,
        charged=statement.charged,
        state=statement.state,
        number=statement.number,
        digest=statement.digest,
        previous_digest=statement.previous_digest,
        closed_at=statement.closed_at,
        issued_at=statement.issued_at,
        lines=tuple(line_of(line, period.zone) for line in ordered),
        rates=rates_of(period),
    )


def rates_of(period: BillingPeriod) -> tuple[tuple[str, Decimal], ...]:
    """The exchange rates that the month was closed with, by currency."""
    return tuple((name, Decimal(rate)) for name, rate in sorted(period.rates.items()))


def line_of(line: StatementLine, zone: str) -> Line:
    """A stored line as it stands in a document."""
    start, end = bounds(line.charge_month, zone)
    return Line(
        number=line.number,
        category=line.category,
        origin=Origin(line.team, line.cost_centre, line.project, line.environment),
        sku=line.sku,
        unit=line.unit,
        quantity=line.quantity,
        cost=line.cost,
        billed=line.billed,
        charge_month=line.charge_month,
        charge_start=start,
        charge_end=end,
        allocated=_allocated(line),
        price=line.price_id,
        reason=line.reason,
        key=line.key,
    )


def _allocated(line: StatementLine) -> Allocated | None:
    if not line.rule or line.ratio is None:
        return None
    return Allocated(
        rule=line.rule,
        version=line.rule_version or 0,
        method=line.method,
        driver=line.driver,
        ratio=line.ratio,
    )
