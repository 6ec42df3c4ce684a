"""What a month owns of the ledger, and all else that its statements are made of."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from core.money import plain, total
from finops.chargeback.allocation import (
    COST,
    OF_USAGE,
    UNALLOCATED,
    Plan,
    Receiver,
    Rule,
    first_that_takes,
    plan,
    plan_from,
)
from finops.chargeback.build import ByHand, Group, Month, PlatformCost, Sources
from finops.chargeback.months import bounds
from finops.chargeback.shares import minor_places
from finops.chargeback.statement import Origin
from finops.models import (
    AllocationVersion,
    BillingPeriod,
    CostCentre,
    StatementLine,
)
from finops.selectors.platform_costs import of_month
from finops.selectors.rates import known_exchange, known_rates
from finops.selectors.rows import rows
from finops.selectors.scope import Conditions

_CENTRE = "coalesce(nullif(u.cost_centre, ''), 'unallocated')"
_MONTH = "date_trunc('month', u.at AT TIME ZONE %(zone)s)::date"
# Late rows lie before the month: those that no month before has taken.
_OWNED = """u.at < %(end)s AND u.id <= %(cut)s
  AND (u.at >= %(start)s OR u.id > %(cut_before)s)"""
_RATED = "u.cost IS NOT NULL AND u.currency = %(currency)s"
_GROUPS = """
SELECT u.team, u.cost_centre, u.project, u.environment, u.sku, u.unit, u.price_id,
  {month} AS charge_month, sum(u.quantity) AS quantity, sum(u.cost) AS cost
FROM finops_usageevent u WHERE {owned} AND {rated}
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
_DRIVERS = """
SELECT {centre} AS centre, count(DISTINCT nullif(u.run, '')) AS runs,
  coalesce(sum(u.quantity) FILTER (WHERE u.kind = 'tool_call'), 0) AS tool_calls,
  coalesce(sum(u.quantity) FILTER (WHERE u.kind = 'tokens'), 0) AS tokens,
  coalesce(sum(u.quantity) FILTER (WHERE u.kind = 'model_tokens'), 0) AS model_tokens,
  coalesce(sum(u.quantity) FILTER (WHERE u.kind = 'sandbox_cpu'), 0) AS cpu
FROM finops_usageevent u WHERE {owned} AND u.at >= %(start)s GROUP BY 1
"""
# Of those that were taken back by the cut nothing is wanting any more.
_UNRATED = """
SELECT count(*) FILTER (WHERE u.cost IS NULL AND u.reverses = '' AND NOT EXISTS (
    SELECT FROM finops_usageevent r WHERE r.reverses = u.uid AND r.id <= %(cut)s))
  + count(*) FILTER (WHERE u.cost IS NOT NULL AND u.currency <> %(currency)s)
  AS unrated
FROM finops_usageevent u WHERE {owned}
"""
_LATER = """
SELECT count(*) AS rows, coalesce(sum(u.cost) FILTER (WHERE {rated}), 0) AS cost
FROM finops_usageevent u WHERE u.at < %(end)s AND u.id > %(cut)s
"""
_OTHER_RATE = """
SELECT count(*) AS rows FROM finops_usageevent u
WHERE {owned} AND u.at >= %(start)s AND u.rate IS NOT NULL AND u.reverses = ''
  AND u.rate IS DISTINCT FROM (%(rates)s::jsonb ->> u.list_currency)::numeric
  AND NOT EXISTS (
    SELECT FROM finops_usageevent r WHERE r.reverses = u.uid AND r.id <= %(cut)s)
"""
_COST = """
SELECT coalesce(sum(u.cost), 0) AS cost
FROM finops_usageevent u WHERE {owned} AND {rated}
"""
Drivers = dict[str, dict[str, Decimal]]


def month_of(period: BillingPeriod) -> Month:
    """The month as the pure part knows it."""
    places = minor_places(period.currency)
    return Month(period.month, period.zone, period.currency, places)


def owned(period: BillingPeriod) -> Conditions:
    """Conditions on ``finops_usageevent u``: the rows that a month owns.

    They are those before its end and up to its cut, less what the months before own;
    with rising cuts every row is of one month alone. A month begins where the one
    before has ended, also where the zone was changed meanwhile.
    """
    start, end = bounds(period.month, period.zone)
    before = _month_before(period)
    if before is not None:
        start = bounds(before.month, before.zone)[1]
    parameters = {
        "start": start,
        "end": end,
        "cut": period.cut,
        "cut_before": before.cut if before else 0,
        "zone": period.zone,
        "currency": period.currency,
    }
    return Conditions(_OWNED, parameters)


def cut_before(period: BillingPeriod) -> int:
    """The cut of the month before; 0 of the first."""
    before = _month_before(period)
    return before.cut if before else 0


def _month_before(period: BillingPeriod) -> BillingPeriod | None:
    before = BillingPeriod.objects.filter(month__lt=period.month)
    return before.order_by("-month").first()


def groups(period: BillingPeriod) -> list[Group]:
    """The rated rows that a month owns, by all that a statement tells apart."""
    return [
        Group(
            origin=Origin(
                row["team"], row["cost_centre"], row["project"], row["environment"]
            ),
            sku=row["sku"],
            unit=row["unit"],
            price=row["price_id"],
            charge_month=row["charge_month"],
            quantity=row["quantity"],
            cost=row["cost"],
        )
        for row in _read(_GROUPS, period)
    ]


def drivers(period: BillingPeriod) -> Drivers:
    """What each cost centre has of each metered driver, of the month's own days."""
    found: Drivers = defaultdict(dict)
    for row in _read(_DRIVERS, period):
        centre = row.pop("centre")
        for name, value in row.items():
            found[name][centre] = Decimal(value)
    return dict(found)


def unrated(period: BillingPeriod) -> int:
    """Quantities that the month owns and that have no price, or another currency."""
    return int(_read(_UNRATED, period)[0]["unrated"])


def at_other_rates(period: BillingPeriod) -> int:
    """Rows of the month's own days converted at a rate that is not the month's now."""
    rates = {name: plain(rate) for name, rate in rates_known(period)}
    return int(_read(_OTHER_RATE, period, rates=json.dumps(rates))[0]["rows"])


def later(period: BillingPeriod) -> tuple[int, Decimal]:
    """Rows, with their cost, that came after the cut: corrections to be."""
    row = _read(_LATER, period)[0]
    return row["rows"], row["cost"]


def rules_of(month: date) -> list[Rule]:
    """The rules in force for a month, in their order: of each the latest version."""
    versions = (
        AllocationVersion.objects.filter(valid_from__lte=month)
        .select_related("rule")
        .order_by("rule__position", "rule_id", "-version")
    )
    latest: dict[int, AllocationVersion] = {}
    for version in versions:
        latest.setdefault(version.rule_id, version)
    return [rule_of(version) for version in latest.values() if version.active]


def rule_of(version: AllocationVersion) -> Rule:
    """A version as the pure part knows it."""
    return Rule(
        slug=version.rule.slug,
        version=version.version,
        source=version.source,
        sku=version.sku,
        team=version.team,
        method=version.method,
        driver=version.driver,
        receivers=tuple(
            Receiver(one["centre"], Decimal(one["weight"])) for one in version.receivers
        ),
    )


def plans(
    rules: Sequence[Rule],
    found: Sequence[Group],
    metered: Mapping[str, Mapping[str, Decimal]],
    *,
    month: date,
) -> list[Plan]:
    """Each rule with its weights; a cost centre's own cost is what no rule takes.

    As with all drivers that of the month counts, not what corrects another.
    """
    named = {one.origin.cost_centre or UNALLOCATED for one in found}
    centres = sorted(
        named | set(CostCentre.objects.values_list("slug", flat=True)) - {UNALLOCATED}
    )
    takers = [Plan(rule, ((UNALLOCATED, Decimal(1)),)) for rule in rules]
    own: dict[str, list[Decimal]] = defaultdict(list)
    for one in found:
        taken = first_that_takes(
            takers, source=OF_USAGE, sku=one.sku, team=one.origin.team
        )
        if taken is None and one.charge_month == month:
            own[one.origin.cost_centre or UNALLOCATED].append(one.cost)
    costs = {centre: total(amounts) for centre, amounts in own.items()}
    weights = {**metered, COST: costs}
    return [plan(rule, centres=centres, drivers=weights) for rule in rules]


def sources(period: BillingPeriod, *, rules: Sequence[Rule] | None = None) -> Sources:
    """All that a month is charged for, at its cut; ``rules`` other than those set."""
    found = groups(period)
    in_force = rules_of(period.month) if rules is None else rules
    return Sources(
        groups=found,
        platform=platform_due(period),
        by_hand=by_hand(period),
        plans=plans(in_force, found, drivers(period), month=period.month),
        plans_then=plans_then(period),
    )


def plans_then(period: BillingPeriod) -> dict[date, list[Plan]]:
    """The plans that months before have kept, by month."""
    before = BillingPeriod.objects.filter(
        month__lt=period.month, closed_at__isnull=False
    )
    return {one.month: plans_kept(one) for one in before}


def plans_kept(period: BillingPeriod) -> list[Plan]:
    """The plans that a month was built by."""
    return [plan_from(kept) for kept in period.allocations]


def by_hand(period: BillingPeriod) -> list[ByHand]:
    """Credits and adjustments of a month that stand."""
    found = period.adjustments.filter(withdrawn_at=None).select_related("cost_centre")
    return [
        ByHand(
            uid=one.uid,
            centre=one.cost_centre.slug,
            category=one.kind,
            amount=one.amount,
            charge_month=one.charge_month,
            reason=one.reason,
        )
        for one in found.order_by("pk")
    ]


def platform_due(period: BillingPeriod) -> list[PlatformCost]:
    """Fixed costs of the month, and what those of months before have changed by."""
    billed = platform_billed(period)
    before = BillingPeriod.objects.filter(month__lt=period.month)
    months = [*before.order_by("month").values_list("month", flat=True), period.month]
    now = {
        (cost.name, month): cost.amount
        for month in months
        for cost in of_month(month)
        if cost.amount is not None
    }
    zero = Decimal(0)
    due = {key: now.get(key, zero) - billed.get(key, zero) for key in {*now, *billed}}
    return [
        PlatformCost(name, month, amount)
        for (name, month), amount in sorted(due.items())
        if amount
    ]


def platform_unrated(period: BillingPeriod) -> int:
    """Fixed costs of the month that no exchange rate turns into its currency."""
    return sum(cost.amount is None for cost in of_month(period.month))


def platform_billed(period: BillingPeriod) -> dict[tuple[str, date], Decimal]:
    """What earlier months have charged of each fixed cost, by name and its month."""
    lines = (
        StatementLine.objects.filter(
            sku__startswith="platform/", statement__period__month__lt=period.month
        )
        .values("sku", "charge_month")
        .annotate(cost=Sum("cost"))
    )
    return {
        (line["sku"].removeprefix("platform/"), line["charge_month"]): line["cost"]
        for line in lines
    }


def _read(query: str, period: BillingPeriod, **more: str) -> list[dict[str, Any]]:
    where = owned(period)
    text = (
        query.replace("{owned}", where.sql)
        .replace("{rated}", _RATED)
        .replace("{month}", _MONTH)
        .replace("{centre}", _CENTRE)
    )
    return rows(text, {**where.parameters, **more})


def rates_known(period: BillingPeriod) -> list[tuple[str, Decimal]]:
    """The exchange rates in use for the month, as they are known now, by currency."""
    exchange = known_exchange()
    start, _ = bounds(period.month, period.zone)
    names = known_rates().values_list("currency", flat=True)
    found = [(name, exchange.rate(name, start)) for name in sorted(set(names))]
    return [(name, rate) for name, rate in found if rate is not None]


def ledger_cost(period: BillingPeriod) -> Decimal:
    """What the rated rows of a month come to, summed as they lie."""
    return Decimal(_read(_COST, period)[0]["cost"])
