"""Makes the statements of a month from what its ledger owns; pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from core.canonical import canonical
from core.money import PLACES, total
from finops.chargeback.allocation import (
    OF_PLATFORM,
    OF_USAGE,
    UNALLOCATED,
    Plan,
    first_that_takes,
)
from finops.chargeback.months import bounds
from finops.chargeback.shares import ratios, round_all, rounded, split
from finops.chargeback.statement import (
    CATEGORIES,
    CORRECTION,
    PLATFORM,
    SHARED,
    USAGE,
    Allocated,
    Origin,
    StatementLine,
)

QUANTITY_PLACES = 9
_MONTHS = "Months"


@dataclass(frozen=True, slots=True)
class Group:
    """Rated rows of the ledger that differ in nothing that a statement tells."""

    origin: Origin
    sku: str
    unit: str
    price: int | None
    charge_month: date
    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class PlatformCost:
    """What a fixed cost comes to in a month, less what was billed of it before."""

    name: str
    charge_month: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ByHand:
    """A credit or adjustment that a person has put on a cost centre."""

    uid: str
    centre: str
    category: str
    amount: Decimal
    charge_month: date
    reason: str


@dataclass(frozen=True, slots=True)
class Month:
    """The month that is charged, and its money."""

    month: date
    zone: str
    currency: str
    places: int


@dataclass(frozen=True, slots=True)
class Sources:
    """All that a month is charged for.

    ``plans`` are the rules of the month in order; ``plans_then`` those that closed
    months have kept: what corrects such a month is split as it was then.
    """

    groups: Sequence[Group]
    platform: Sequence[PlatformCost] = ()
    by_hand: Sequence[ByHand] = ()
    plans: Sequence[Plan] = ()
    plans_then: Mapping[date, Sequence[Plan]] | None = None

    def plans_of(self, charge_month: date) -> Sequence[Plan]:
        return (self.plans_then or {}).get(charge_month, self.plans)

    @property
    def cost(self) -> Decimal:
        """What everything comes to, exactly."""
        return total(
            (
                *(one.cost for one in self.groups),
                *(one.amount for one in self.platform),
                *(one.amount for one in self.by_hand),
            )
        )


Lines = dict[str, tuple[StatementLine, ...]]


def statements(month: Month, sources: Sources) -> Lines:
    """The lines of each cost centre, rounded: they add up to the rounded whole."""
    found: dict[str, list[StatementLine]] = {}
    for centre, line in _lines(month, sources):
        found.setdefault(centre, []).append(line)
    names = sorted(found)
    costs = [total(line.cost for line in found[name]) for name in names]
    whole = rounded(sources.cost, places=month.places)
    billed = round_all(costs, whole, places=month.places)
    return {
        name: _billed(found[name], amount, month.places)
        for name, amount in zip(names, billed, strict=True)
    }


def _billed(
    lines: list[StatementLine], amount: Decimal, places: int
) -> tuple[StatementLine, ...]:
    ordered = sorted(lines, key=_order)
    amounts = round_all([line.cost for line in ordered], amount, places=places)
    return tuple(
        replace(line, number=number, billed=part)
        for number, (line, part) in enumerate(zip(ordered, amounts, strict=True), 1)
    )


def _order(line: StatementLine) -> tuple[object, ...]:
    origin = line.origin
    return (
        CATEGORIES.index(line.category),
        line.charge_month,
        origin.team,
        origin.project,
        origin.environment,
        line.sku,
        line.allocated.id if line.allocated else "",
        line.price or 0,
        line.key,
    )


def _lines(month: Month, sources: Sources) -> Iterable[tuple[str, StatementLine]]:
    for group in sources.groups:
        yield from _of_group(month, sources, group)
    for cost in sources.platform:
        yield from _of_platform(month, sources, cost)
    for one in sources.by_hand:
        yield (
            one.centre,
            _line(
                month,
                category=one.category,
                centre=one.centre,
                sku=one.category,
                unit="Each",
                quantity=Decimal(1),
                cost=one.amount,
                charge_month=one.charge_month,
                reason=one.reason,
                named=one.uid,
            ),
        )


def _of_group(
    month: Month, sources: Sources, group: Group
) -> Iterable[tuple[str, StatementLine]]:
    if not (group.cost or group.quantity):
        return  # All of it was taken back.
    own = group.origin.cost_centre or UNALLOCATED
    plan = first_that_takes(
        sources.plans_of(group.charge_month),
        source=OF_USAGE,
        sku=group.sku,
        team=group.origin.team,
    )
    for centre, quantity, cost, allocated in shares_of(
        plan, own, group.quantity, group.cost
    ):
        yield (
            centre,
            _line(
                month,
                category=SHARED if allocated else USAGE,
                centre=centre,
                origin=group.origin,
                sku=group.sku,
                unit=group.unit,
                quantity=quantity,
                cost=cost,
                charge_month=group.charge_month,
                price=group.price,
                allocated=allocated,
            ),
        )


def _of_platform(
    month: Month, sources: Sources, cost: PlatformCost
) -> Iterable[tuple[str, StatementLine]]:
    plan = first_that_takes(
        sources.plans_of(cost.charge_month), source=OF_PLATFORM, sku=cost.name
    )
    one = Decimal(1)
    for centre, quantity, amount, allocated in shares_of(
        plan, UNALLOCATED, one, cost.amount
    ):
        yield (
            centre,
            _line(
                month,
                category=PLATFORM,
                centre=centre,
                sku=f"platform/{cost.name}"[:200],
                unit=_MONTHS,
                quantity=quantity,
                cost=amount,
                charge_month=cost.charge_month,
                allocated=allocated,
            ),
        )


def shares_of(
    plan: Plan | None, own: str, quantity: Decimal, cost: Decimal
) -> list[tuple[str, Decimal, Decimal, Allocated | None]]:
    """Who bears what of a cost: its own cost centre all of it, where no plan takes it.

    Parts of quantity and cost add up to the whole, to their last decimal.
    """
    if plan is None:
        return [(own, quantity, cost, None)]
    weights = [weight for _, weight in plan.weights]
    parts = zip(
        plan.weights,
        ratios(weights),
        split(quantity, weights, places=QUANTITY_PLACES),
        split(cost, weights, places=PLACES),
        strict=True,
    )
    return [
        (centre, part, amount, plan.allocated(ratio))
        for (centre, weight), ratio, part, amount in parts
        if weight
    ]


def _line(
    month: Month,
    *,
    category: str,
    centre: str,
    sku: str,
    unit: str,
    quantity: Decimal,
    cost: Decimal,
    charge_month: date,
    origin: Origin | None = None,
    price: int | None = None,
    allocated: Allocated | None = None,
    reason: str = "",
    named: str = "",
) -> StatementLine:
    """A line that is not rounded yet; what is of an earlier month is a correction."""
    if charge_month < month.month and category in {USAGE, SHARED, PLATFORM}:
        category = CORRECTION
    where = origin or Origin()
    start, end = bounds(charge_month, month.zone)
    rule = allocated.id if allocated else ""
    told = [
        *(centre, category, f"{charge_month:%Y-%m}"),
        *(where.team, where.cost_centre, where.project, where.environment),
        *(sku, unit, price or 0, rule, named),
    ]
    return StatementLine(
        number=0,
        category=category,
        origin=where,
        sku=sku,
        unit=unit,
        quantity=quantity,
        cost=cost,
        billed=Decimal(0),
        charge_month=charge_month,
        charge_start=start,
        charge_end=end,
        allocated=allocated,
        price=price,
        reason=reason,
        key=hashlib.sha256(canonical(told)).hexdigest()[:24],
    )
