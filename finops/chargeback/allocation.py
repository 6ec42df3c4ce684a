"""Which rule takes a shared cost, and by what weights it is split; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.errors import Invalid
from core.money import plain
from finops.chargeback.statement import Allocated

DIRECT, EVEN, FIXED, PROPORTIONAL = "direct", "even", "fixed", "proportional"
METHODS = (DIRECT, EVEN, FIXED, PROPORTIONAL)
OF_USAGE, OF_PLATFORM = "usage", "platform"
COST, WEIGHT = "cost", "weight"
# Read from the ledger; "cost" is what each bears itself, "weight" is set by hand.
METERED = ("runs", "tool_calls", "tokens", "model_tokens", "cpu")
DRIVERS = (*METERED, COST, WEIGHT)
# Where costs stand that belong to no cost centre and that no rule splits.
UNALLOCATED = "unallocated"
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A cost centre that bears a part; ``weight`` is a percentage or a weight."""

    centre: str
    weight: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rule:
    """A version of a rule, in force for a month.

    ``sku`` may end in ``*``; of platform costs it is the cost's name. "" is any.
    Without ``receivers`` every cost centre bears a part.
    """

    slug: str
    version: int
    source: str
    sku: str
    team: str
    method: str
    driver: str
    receivers: tuple[Receiver, ...]

    def takes(self, *, source: str, sku: str, team: str = "") -> bool:
        """Whether a cost is one of those that this rule splits."""
        if self.source != source or (self.team and self.team != team):
            return False
        if self.sku.endswith("*"):
            return sku.startswith(self.sku[:-1])
        return not self.sku or self.sku == sku

    def check(self) -> None:
        """Raises Invalid where it could not split a cost, and says what to do."""
        if self.method not in METHODS:
            raise Invalid(f"Choose a method: {', '.join(METHODS)}.")
        if self.source == OF_USAGE and not (self.sku or self.team):
            raise Invalid("Say which usage is shared: by SKU, by team, or by both.")
        names = [one.centre for one in self.receivers]
        if len(set(names)) < len(names):
            raise Invalid("Name each receiving cost centre once.")
        if any(not one.weight.is_finite() or one.weight < 0 for one in self.receivers):
            raise Invalid("Weights and percentages are numbers from 0 up.")
        if self.method == DIRECT and len(names) != 1:
            raise Invalid("All to one: name exactly one receiving cost centre.")
        if self.method == FIXED and self._whole != _HUNDRED:
            raise Invalid(
                f"Fixed percentages add up to 100; these are {plain(self._whole)}."
            )
        if self.method == PROPORTIONAL and self.driver not in DRIVERS:
            raise Invalid(f"Choose a driver: {', '.join(DRIVERS)}.")
        if self.driver == WEIGHT and self.method == PROPORTIONAL and not self._whole:
            raise Invalid("Give at least one receiver a weight above 0.")

    @property
    def _whole(self) -> Decimal:
        return sum((one.weight for one in self.receivers), Decimal(0))


@dataclass(frozen=True, slots=True)
class Plan:
    """A rule with the weights of one month.

    Without a weight above 0 it splits nothing, and costs stay where they arose.
    """

    rule: Rule
    weights: tuple[tuple[str, Decimal], ...]

    @property
    def splits(self) -> bool:
        return any(weight for _, weight in self.weights)

    def allocated(self, ratio: Decimal) -> Allocated:
        """How a line names this plan."""
        rule = self.rule
        return Allocated(rule.slug, rule.version, rule.method, rule.driver, ratio)

    def as_dict(self) -> dict[str, Any]:
        """What a closed month keeps of it; ``plan_from`` reads it back."""
        rule = self.rule
        return {
            "rule": rule.slug,
            "version": rule.version,
            "source": rule.source,
            "sku": rule.sku,
            "team": rule.team,
            "method": rule.method,
            "driver": rule.driver,
            "weights": [[centre, plain(weight)] for centre, weight in self.weights],
        }


def plan_from(kept: Mapping[str, Any]) -> Plan:
    """The plan that a month has kept."""
    rule = Rule(
        slug=kept["rule"],
        version=kept["version"],
        source=kept["source"],
        sku=kept["sku"],
        team=kept["team"],
        method=kept["method"],
        driver=kept["driver"],
        receivers=(),
    )
    weights = tuple((centre, Decimal(weight)) for centre, weight in kept["weights"])
    return Plan(rule, weights)


def plan(
    rule: Rule,
    *,
    centres: Sequence[str],
    drivers: Mapping[str, Mapping[str, Decimal]],
) -> Plan:
    """The weights of ``rule`` for a month, by the name of the cost centre.

    ``drivers`` maps a driver to what each cost centre has of it; what it has none of,
    or less than nothing after a correction, weighs 0.
    """
    named = {one.centre: one.weight for one in rule.receivers}
    names = sorted(named) if named else sorted(set(centres) - {UNALLOCATED})
    if rule.method in {DIRECT, EVEN}:
        found = dict.fromkeys(names, Decimal(1))
    elif rule.method == FIXED or rule.driver == WEIGHT:
        found = named
    else:
        metered = drivers.get(rule.driver, {})
        found = {name: max(metered.get(name, Decimal(0)), Decimal(0)) for name in names}
    return Plan(rule, tuple((name, found[name]) for name in names))


def first_that_takes(
    plans: Iterable[Plan], *, source: str, sku: str, team: str = ""
) -> Plan | None:
    """The plan for a cost: the first rule that takes it, None where none splits it."""
    for one in plans:
        if one.rule.takes(source=source, sku=sku, team=team):
            return one if one.splits else None
    return None
