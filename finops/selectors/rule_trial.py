"""What a rule would change of a month, before it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.money import total
from finops.chargeback.allocation import Plan, Rule
from finops.chargeback.build import Lines, statements
from finops.models import BillingPeriod
from finops.selectors.billing import month_of, rules_of, sources


@dataclass(frozen=True, slots=True)
class Moved:
    """What a cost centre would bear instead."""

    centre: str
    before: Decimal
    after: Decimal

    @property
    def change(self) -> Decimal:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule tried on a month: who would bear what, and by which weights.

    Both totals are the same whatever the rule says.
    """

    period: BillingPeriod
    moved: tuple[Moved, ...]
    plan: Plan
    before: Decimal
    after: Decimal


def try_rule(period: BillingPeriod, rule: Rule) -> Trial:
    """Split a month by ``rule`` beside, or in the place of, those in force.

    Nothing is written. Raises Invalid.
    """
    rule.check()
    month = month_of(period)
    before = statements(month, sources(period))
    tried = sources(period, rules=_with(rule, rules_of(period.month)))
    after = statements(month, tried)
    costs, then = _costs(before), _costs(after)
    zero = Decimal(0)
    moved = tuple(
        Moved(name, costs.get(name, zero), then.get(name, zero))
        for name in sorted({*costs, *then})
    )
    return Trial(
        period=period,
        moved=moved,
        plan=next(one for one in tried.plans if one.rule.slug == rule.slug),
        before=total(costs.values()),
        after=total(then.values()),
    )


def _with(rule: Rule, others: Sequence[Rule]) -> list[Rule]:
    tried = replace(rule, version=0)
    if all(one.slug != rule.slug for one in others):
        return [*others, tried]
    return [tried if one.slug == rule.slug else one for one in others]


def _costs(lines: Lines) -> Mapping[str, Decimal]:
    return {name: total(one.cost for one in found) for name, found in lines.items()}
