"""Works a line of a statement out anew, from the rows of the ledger it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.money import total
from finops.chargeback.allocation import (
    OF_PLATFORM,
    OF_USAGE,
    UNALLOCATED,
    Plan,
    first_that_takes,
)
from finops.chargeback.build import shares_of
from finops.chargeback.months import bounds
from finops.chargeback.shares import minor_places, round_all, rounded
from finops.models import BillingPeriod, Statement, StatementLine
from finops.selectors.billing import owned, plans_kept
from finops.selectors.rows import rows
from finops.selectors.scope import Conditions

MOST_RUNS = 50
_PLATFORM = "platform/"
_ROWS = """
SELECT count(*) AS rows, coalesce(sum(u.quantity), 0) AS quantity,
  coalesce(sum(u.cost), 0) AS cost, count(DISTINCT nullif(u.run, '')) AS runs,
  count(*) FILTER (WHERE u.reverses <> '') AS taken_back,
  min(u.at) AS first, max(u.at) AS last
FROM finops_usageevent u WHERE {where}
"""
_RUNS = """
SELECT u.run, count(*) AS rows, sum(u.quantity) AS quantity, sum(u.cost) AS cost
FROM finops_usageevent u WHERE {where} GROUP BY u.run
ORDER BY sum(u.cost) DESC, u.run LIMIT %(limit)s
"""
_LINE = """ AND u.cost IS NOT NULL AND u.currency = %(currency)s
  AND u.team = %(team)s AND u.cost_centre = %(cost_centre)s
  AND u.project = %(project)s AND u.environment = %(environment)s
  AND u.sku = %(sku)s AND u.unit = %(unit)s
  AND u.price_id IS NOT DISTINCT FROM %(price)s
  AND u.at >= %(charge_start)s AND u.at < %(charge_end)s"""


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of the ledger that a line is made of."""

    rows: int
    runs: int
    taken_back: int
    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class RunShare:
    """What one run adds to the rows of a line; "" is usage outside of any run."""

    run: str
    rows: int
    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A line worked out anew. ``found`` is None where no rows of the ledger are meant.

    ``plan`` split ``whole``, the cost before it was split; ``billed_whole`` is what
    the whole statement was rounded to.
    """

    found: Found | None
    plan: Plan | None
    whole: Decimal
    quantity: Decimal
    cost: Decimal
    billed: Decimal
    billed_whole: Decimal
    equal: bool


def recompute(line: StatementLine) -> Recomputed:
    """Work out one line of a stored statement."""
    return recompute_all([line], line.statement)[0]


def recompute_all(
    lines: Sequence[StatementLine], statement: Statement
) -> list[Recomputed]:
    """Work out lines of a stored statement; one query each for those of the ledger."""
    period = statement.period
    billed = _billed(statement)
    whole = _billed_statement(statement)
    return [_one(line, statement, period, billed, whole) for line in lines]


def runs_of(line: StatementLine, *, limit: int = MOST_RUNS) -> list[RunShare]:
    """The runs that a line's rows belong to, the dearest first."""
    where = _where(line, line.statement.period)
    found = rows(
        _RUNS.replace("{where}", where.sql), {**where.parameters, "limit": limit}
    )
    return [RunShare(**row) for row in found]


def _one(
    line: StatementLine,
    statement: Statement,
    period: BillingPeriod,
    billed: dict[int, Decimal],
    whole: Decimal,
) -> Recomputed:
    found, plan, before, quantity = None, None, line.cost, line.quantity
    if line.category in {"credit", "adjustment"}:
        before, quantity = _by_hand(line, statement), Decimal(1)
    elif line.sku.startswith(_PLATFORM):
        name = line.sku.removeprefix(_PLATFORM)
        plan = first_that_takes(_plans(line, period), source=OF_PLATFORM, sku=name)
        before, quantity = _platform(line, period), Decimal(1)
    else:
        found = _found(line, period)
        before, quantity = found.cost, found.quantity
        plan = first_that_takes(
            _plans(line, period), source=OF_USAGE, sku=line.sku, team=line.team
        )
    own = UNALLOCATED if found is None else line.cost_centre or UNALLOCATED
    if line.category in {"credit", "adjustment"}:
        own = statement.cost_centre.slug
    parts = shares_of(plan, own, quantity, before)
    mine = [one for one in parts if one[0] == statement.cost_centre.slug]
    _, part, cost, _ = mine[0] if mine else ("", Decimal(0), Decimal(0), None)
    rounded_to = billed[line.pk]
    equal = (part, cost, rounded_to) == (line.quantity, line.cost, line.billed)
    return Recomputed(
        found=found,
        plan=plan,
        whole=before,
        quantity=part,
        cost=cost,
        billed=rounded_to,
        billed_whole=whole,
        equal=equal and whole == statement.billed,
    )


def _plans(line: StatementLine, period: BillingPeriod) -> list[Plan]:
    """The plans by which this line was split: those of its own month once closed."""
    if line.charge_month < period.month:
        then = BillingPeriod.objects.filter(
            month=line.charge_month, closed_at__isnull=False
        ).first()
        if then is not None:
            return plans_kept(then)
    return plans_kept(period)


def _found(line: StatementLine, period: BillingPeriod) -> Found:
    where = _where(line, period)
    row = rows(_ROWS.replace("{where}", where.sql), where.parameters)[0]
    return Found(
        row["rows"], row["runs"], row["taken_back"], row["quantity"], row["cost"]
    )


def _where(line: StatementLine, period: BillingPeriod) -> Conditions:
    where = owned(period)
    start, end = bounds(line.charge_month, period.zone)
    parameters = where.parameters | {
        "team": line.team,
        "cost_centre": line.cost_centre,
        "project": line.project,
        "environment": line.environment,
        "sku": line.sku,
        "unit": line.unit,
        "price": line.price_id,
        "charge_start": start,
        "charge_end": end,
    }
    return Conditions(where.sql + _LINE, parameters)


def _platform(line: StatementLine, period: BillingPeriod) -> Decimal:
    """The fixed cost as the month has kept it."""
    name = line.sku.removeprefix(_PLATFORM)
    month = f"{line.charge_month:%Y-%m}"
    return total(
        Decimal(amount)
        for kept, of, amount in period.platform
        if (kept, of) == (name, month)
    )


def _by_hand(line: StatementLine, statement: Statement) -> Decimal:
    """What the person entered, where it still stands."""
    found = statement.period.adjustments.filter(
        cost_centre_id=statement.cost_centre_id,
        withdrawn_at=None,
        kind=line.category,
        amount=line.cost,
        charge_month=line.charge_month,
        reason=line.reason,
    ).first()
    return found.amount if found else Decimal(0)


def _billed(statement: Statement) -> dict[int, Decimal]:
    """Each line of the statement, rounded so that they add up to its total."""
    lines = list(statement.lines.order_by("number").values_list("pk", "cost"))
    places = minor_places(statement.period.currency)
    parts = round_all([cost for _, cost in lines], statement.billed, places=places)
    return {pk: part for (pk, _), part in zip(lines, parts, strict=True)}


def _billed_statement(statement: Statement) -> Decimal:
    """The statement's total, rounded so that all add up to the month's."""
    period = statement.period
    # In the order they were built in: PostgreSQL's own depends on its locale.
    found = sorted(
        period.statements.filter(lines__isnull=False)
        .distinct()
        .values_list("cost_centre__slug", "pk", "cost")
    )
    places = minor_places(period.currency)
    whole = rounded(
        total((period.ledger_cost, period.platform_cost, period.adjusted)),
        places=places,
    )
    parts = round_all([cost for _, _, cost in found], whole, places=places)
    by_statement = dict(zip((pk for _, pk, _ in found), parts, strict=True))
    return by_statement.get(statement.pk, Decimal(0))
