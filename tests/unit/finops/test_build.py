"""Statements of random months: whole, fair, and the same however they are read."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from core.money import total
from finops.chargeback.allocation import DRIVERS, Plan, Receiver, Rule, plan
from finops.chargeback.build import (
    ByHand,
    Group,
    Month,
    PlatformCost,
    Sources,
    statements,
)
from finops.chargeback.months import month_before
from finops.chargeback.shares import rounded
from finops.chargeback.statement import Origin, StatementLine

MARCH = date(2028, 3, 1)
CENTRES = ("CC-1", "CC-2", "CC-3")
TEAMS = ("sales", "support", "platform")
# From a whole million down to the last decimal, and what was taken back.
AMOUNTS = st.one_of(
    st.integers(-(10**18), 10**18).map(lambda units: Decimal(units).scaleb(-12)),
    st.sampled_from(
        [Decimal("1E-12"), Decimal("-3E-12"), Decimal("0.005"), Decimal(0)]
    ),
)
QUANTITIES = st.one_of(
    st.integers(-(10**9), 10**9).map(lambda units: Decimal(units).scaleb(-9)),
    st.sampled_from([Decimal(0), Decimal("1E-9"), Decimal(3)]),
)
MONTHS = st.sampled_from([MARCH, month_before(MARCH)])
GROUPS = st.builds(
    lambda team, centre, sku, price, month, quantity, cost: Group(
        Origin(team, centre, "default", "prod"),
        *(sku, "Requests", price, month, quantity, cost),
    ),
    team=st.sampled_from(TEAMS),
    centre=st.sampled_from([*CENTRES, ""]),
    sku=st.sampled_from(["tool/crm.read", "tool/crm.write", "tokens/result"]),
    price=st.sampled_from([None, 1, 2]),
    month=MONTHS,
    quantity=QUANTITIES,
    cost=AMOUNTS,
)
WEIGHTS = st.dictionaries(
    st.sampled_from(CENTRES),
    st.one_of(
        st.integers(0, 10**6).map(Decimal),
        st.sampled_from([Decimal("1E-9"), Decimal(10) ** 12]),
    ),
    min_size=1,
)


def _rule(method: str, driver: str, weights: dict[str, Decimal], number: int) -> Rule:
    named = sorted(weights)
    if method == "direct":
        named = named[:1]
    receivers = tuple(Receiver(name, weights[name]) for name in named)
    if method == "fixed":
        rest = Decimal(100) - (len(named) - 1) * Decimal("33.3")
        each = [Decimal("33.3")] * (len(named) - 1) + [rest]
        receivers = tuple(map(Receiver, named, each))
    source, sku, team = (
        ("usage", "tool/crm.*", ""),
        ("usage", "", "platform"),
        ("usage", "tokens/result", "sales"),
        ("platform", "host/a", ""),
    )[number]
    return Rule(f"rule-{number}", 1, source, sku, team, method, driver, receivers)


RULES = st.builds(
    _rule,
    method=st.sampled_from(["direct", "even", "fixed", "proportional"]),
    driver=st.sampled_from(DRIVERS),
    weights=WEIGHTS,
    number=st.integers(0, 3),
)
METERED = st.dictionaries(st.sampled_from(DRIVERS), WEIGHTS)
PLATFORM = st.lists(
    st.builds(
        PlatformCost,
        name=st.sampled_from(["host/a", "licence/b"]),
        charge_month=MONTHS,
        amount=AMOUNTS.filter(bool),
    ),
    max_size=3,
    unique_by=lambda cost: (cost.name, cost.charge_month),
)
BY_HAND = st.lists(
    st.builds(
        ByHand,
        uid=st.uuids().map(str),
        centre=st.sampled_from([*CENTRES, "CC-9"]),
        category=st.sampled_from(["credit", "adjustment"]),
        amount=AMOUNTS.filter(bool),
        charge_month=MONTHS,
        reason=st.just("random"),
    ),
    max_size=3,
)


@st.composite
def sources(draw: st.DrawFn) -> Sources:
    """Groups that differ in what tells them apart, and rules in their order."""
    groups = draw(
        st.lists(
            GROUPS,
            max_size=12,
            unique_by=lambda one: (one.origin, one.sku, one.price, one.charge_month),
        )
    )
    rules = draw(st.lists(RULES, max_size=4, unique_by=lambda rule: rule.slug))
    metered = draw(METERED)
    plans: list[Plan] = [plan(one, centres=CENTRES, drivers=metered) for one in rules]
    kept = draw(st.booleans())
    return Sources(
        groups=groups,
        platform=draw(PLATFORM),
        by_hand=draw(BY_HAND),
        plans=plans,
        plans_then={month_before(MARCH): plans[::-1]} if kept else None,
    )


def _all(found: Sources, places: int = 2) -> list[StatementLine]:
    made = statements(Month(MARCH, "Asia/Kathmandu", "USD", places), found)
    return [line for lines in made.values() for line in lines]


@given(sources(), st.sampled_from([0, 2, 3]))
def test_statements_add_up_to_all_that_is_charged(found: Sources, places: int) -> None:
    lines = _all(found, places)

    assert total(line.cost for line in lines) == found.cost
    assert total(line.billed for line in lines) == rounded(found.cost, places=places)
    step = Decimal(1).scaleb(-places)
    for line in lines:
        assert line.billed == line.billed.quantize(step)
        assert abs(line.billed - line.cost) < step


@given(sources())
def test_each_team_causes_what_its_groups_cost(found: Sources) -> None:
    caused: dict[str, list[Decimal]] = defaultdict(list)
    told: dict[str, list[Decimal]] = defaultdict(list)
    for group in found.groups:
        caused[group.origin.team].append(group.cost)
    for line in _all(found):
        if line.origin.team:
            told[line.origin.team].append(line.cost)

    for team in TEAMS:
        assert total(told[team]) == total(caused[team])


@given(sources())
def test_shares_of_a_cost_are_one_together(found: Sources) -> None:
    shares: dict[Sequence[object], list[Decimal]] = defaultdict(list)
    for line in _all(found):
        if line.allocated:
            what = (line.origin, line.sku, line.price, line.charge_month)
            shares[(*what, line.allocated.id)].append(line.allocated.ratio)

    assert all(total(ratios) == 1 for ratios in shares.values())


@given(sources())
def test_the_order_of_reading_changes_nothing(found: Sources) -> None:
    month = Month(MARCH, "UTC", "USD", 2)
    backwards = Sources(
        found.groups[::-1],
        found.platform[::-1],
        found.by_hand[::-1],
        found.plans,
        found.plans_then,
    )

    assert statements(month, backwards) == statements(month, found)


def test_the_smallest_cost_has_a_line_for_every_receiver() -> None:
    rule = Rule(
        *("even", 1, "usage", "", "platform", "even", ""),
        tuple(Receiver(name) for name in CENTRES),
    )
    even = plan(rule, centres=CENTRES, drivers={})
    origin = Origin("platform", "CC-9", "default", "prod")
    quantity, cost = Decimal("1E-9"), Decimal("1E-12")
    group = Group(origin, "tokens/result", "Tokens", 1, MARCH, quantity, cost)

    lines = _all(Sources([group], plans=[even]))

    assert [line.cost for line in lines] == [cost, 0, 0]
    assert [line.quantity for line in lines] == [quantity, 0, 0]
    assert total(line.allocated.ratio for line in lines if line.allocated) == 1


def test_what_was_taken_back_whole_has_no_line() -> None:
    origin = Origin("sales", "CC-1", "default", "prod")
    nothing = (Decimal(0), Decimal(0))
    group = Group(origin, "tokens/result", "Tokens", 1, MARCH, *nothing)

    assert statements(Month(MARCH, "UTC", "USD", 2), Sources([group])) == {}


def test_the_first_rule_holds_and_a_share_is_not_split_again() -> None:
    """A chain of rules: what one gives to a cost centre stays there."""
    origin = Origin("platform", "CC-1", "default", "prod")
    group = Group(
        origin, "tool/crm.read", "Requests", 1, MARCH, Decimal(4), Decimal(10)
    )
    direct = _rule("direct", "", {"CC-2": Decimal(1)}, 0)
    even = _rule("even", "", {"CC-1": Decimal(1), "CC-3": Decimal(1)}, 1)
    for order in permutations([direct, even]):
        plans = [plan(one, centres=CENTRES, drivers={}) for one in order]
        lines = _all(Sources([group], plans=plans))

        first = [line.allocated.rule for line in lines if line.allocated]
        assert set(first) == {order[0].slug}
        assert total(line.cost for line in lines) == 10
