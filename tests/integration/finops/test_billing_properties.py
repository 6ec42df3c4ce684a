"""Random ledgers, closed month by month: nothing is lost, doubled or rounded away."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.test import override_settings
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.ids import new_id
from core.money import multiply
from finops.chargeback.allocation import DRIVERS, Receiver, Rule
from finops.chargeback.months import next_month, start_of
from finops.chargeback.shares import minor_places, rounded
from finops.chargeback.statement import digest_of
from finops.models import (
    BillingPeriod,
    CostCentre,
    Price,
    Statement,
    StatementLine,
    UsageEvent,
)
from finops.selectors.billing import owned
from finops.selectors.recompute import recompute_all
from finops.selectors.rows import rows
from finops.selectors.statements import document_of
from finops.services import adjustments, billing, closing, cost_centres
from tests.builders.chargeback import CONTROLLER, make_rate
from tests.builders.finops import make_price

pytestmark = pytest.mark.django_db

# A leap day, the clock forward in New York, the clock back in Auckland.
FIRST, SECOND, THIRD = date(2028, 2, 1), date(2028, 3, 1), date(2028, 4, 1)
MONTHS = (FIRST, SECOND, THIRD)
# Fixed costs in gold, at a rate that is first guessed; the second month has none.
FOREIGN, LICENCE, LATER_RATE, LAST_RATE = "XAU", "11.1", "0.5", "2.000000000001"
OWN = "SELECT u.id FROM finops_usageevent u WHERE {where}"
OF_TEAMS = """SELECT u.team, coalesce(sum(u.cost), 0) AS cost
FROM finops_usageevent u WHERE {where} AND u.currency = %(currency)s GROUP BY 1"""
ZONES = ("Pacific/Auckland", "America/New_York", "Asia/Kathmandu")
CENTRES = ("CC-1", "CC-2", "CC-3", "")
TEAMS = ("sales", "support", "platform")
SKUS = (
    ("tool/crm.read", "tool_call", "Requests"),
    ("tokens/result", "tokens", "Tokens"),
    ("sandbox/cpu", "sandbox_cpu", "Seconds"),
)
COSTS = st.one_of(
    st.none(),
    st.integers(0, 10**13).map(lambda units: Decimal(units).scaleb(-12)),
    st.sampled_from([Decimal(0), Decimal("0.005"), Decimal("1E-12"), Decimal(123456)]),
)


@dataclass(frozen=True)
class Booking:
    """A row to book: when as a share of the months so far, or at an edge of one."""

    month: date
    share: float
    edge: int
    team: str
    centre: str
    sku: tuple[str, str, str]
    cost: Decimal | None
    quantity: int
    run: str
    foreign: bool

    def at(self, zone: str) -> datetime:
        start, end = start_of(self.month, zone), start_of(next_month(self.month), zone)
        if self.edge:
            # The first or the last moment of the month.
            return start if self.edge == 1 else end - timedelta(microseconds=1)
        length = end.astimezone(UTC) - start.astimezone(UTC)
        return start.astimezone(UTC) + length * self.share


@dataclass(frozen=True)
class Step:
    """What happens before one month is closed."""

    bookings: list[Booking]
    rerated: list[int] = field(default_factory=list)
    by_hand: list[tuple[str, int]] = field(default_factory=list)


BOOKINGS = st.builds(
    Booking,
    month=st.sampled_from(MONTHS),
    share=st.floats(0, 0.999),
    edge=st.sampled_from([0, 0, 1, 2]),
    team=st.sampled_from(TEAMS),
    centre=st.sampled_from(CENTRES),
    sku=st.sampled_from(SKUS),
    cost=COSTS,
    quantity=st.integers(0, 1000),
    run=st.sampled_from(["", "run_a", "run_b"]),
    # Booked before the organization changed its currency: charged to nobody.
    foreign=st.sampled_from([False, False, False, True]),
)
STEPS = st.builds(
    Step,
    bookings=st.lists(BOOKINGS, max_size=12),
    rerated=st.lists(st.integers(0, 40), max_size=3),
    by_hand=st.lists(
        st.tuples(
            st.sampled_from(["CC-1", "CC-9"]), st.integers(-999, 999).filter(bool)
        ),
        max_size=2,
    ),
)
RULES = st.builds(
    lambda team, method, driver, weights: Rule(
        slug=f"rule-{team}",
        version=0,
        source="usage",
        sku="",
        team=team,
        method=method,
        driver=driver,
        receivers=_receivers(method, weights),
    ),
    team=st.sampled_from(TEAMS),
    method=st.sampled_from(["direct", "even", "fixed", "proportional"]),
    driver=st.sampled_from(DRIVERS),
    weights=st.lists(st.integers(0, 50), min_size=2, max_size=2),
)


def _receivers(method: str, weights: list[int]) -> tuple[Receiver, ...]:
    if method == "direct":
        return (Receiver("CC-1"),)
    first, second = weights
    third = 100 - first - second if method == "fixed" else 1
    return (
        Receiver("CC-1", Decimal(first)),
        Receiver("CC-2", Decimal(second)),
        Receiver("CC-3", Decimal(third)),
    )


@contextmanager
def undone() -> Iterator[None]:
    """Each example begins with nothing."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def book(bookings: list[Booking], *, until: date, zone: str, currency: str) -> None:
    UsageEvent.objects.bulk_create(
        UsageEvent(
            uid=new_id("use"),
            at=one.at(zone),
            kind=one.sku[1],
            sku=one.sku[0],
            unit=one.sku[2],
            quantity=Decimal(one.quantity),
            known="measured",
            cost=one.cost,
            currency=FOREIGN if one.foreign else currency,
            run=one.run,
            task="",
            team=one.team,
            cost_centre=one.centre,
            project="default",
            environment="prod",
            principal="sa",
        )
        for one in bookings
        if one.month <= until
    )


def rerate(places: list[int]) -> None:
    """Take standing rows back and book them at another cost, as rerating does."""
    standing = list(UsageEvent.objects.standing().order_by("pk"))
    chosen = {place % len(standing) for place in places} if standing else set()
    for place in sorted(chosen):
        row = standing[place]
        again = Decimal("0.333333333333") + (row.cost or 0)
        for change in (
            {"reverses": row.uid, "quantity": -row.quantity}
            | {"cost": None if row.cost is None else -row.cost},
            {"cost": again},
        ):
            values: dict[str, Any] = {
                one.attname: getattr(row, one.attname)
                for one in UsageEvent._meta.concrete_fields
                if not one.primary_key
            }
            UsageEvent.objects.create(**(values | change | {"uid": new_id("use")}))


def close(month: date, zone: str) -> None:
    at = start_of(next_month(month), zone) + timedelta(days=2)
    billing.build(month=month, actor=CONTROLLER, at=at)
    closing.start_review(month=month, actor=CONTROLLER, at=at)
    closing.close(month=month, reason="as it is", actor=CONTROLLER, at=at)


def play(steps: list[Step], rules: list[Rule], zone: str, currency: str) -> None:
    """Book, price anew and adjust; then close the month; and again."""
    at = start_of(next_month(THIRD), zone) + timedelta(days=1)
    billing.ensure_centres(["CC-1", "CC-2", "CC-3"], at=at)
    CostCentre.objects.filter(slug="CC-2").update(charged=False)
    # Something in the first month, so that the months begin there.
    book([_first()], until=FIRST, zone=zone, currency=currency)
    _fixed_costs(currency)
    for position, rule in enumerate(rules):
        cost_centres.set_rule(
            rule=rule,
            name=rule.slug,
            position=position,
            valid_from=MONTHS[position % 2],
            reason="random",
            actor=CONTROLLER,
            at=at,
        )
    for month, step in zip(MONTHS, steps, strict=True):
        book(step.bookings, until=month, zone=zone, currency=currency)
        rerate(step.rerated)
        billing.ensure_periods(at=start_of(month, zone))
        for centre, amount in step.by_hand:
            adjustments.adjust(
                month=month,
                centre=centre,
                kind="credit" if amount < 0 else "adjustment",
                amount=Decimal(amount).scaleb(-minor_places(currency)),
                charge_month=FIRST,
                reason="random",
                actor=CONTROLLER,
                at=at,
            )
        close(month, zone)
        if month == FIRST:
            # The first month costs more than was known when it was closed.
            Price.objects.filter(sku="platform/host/a").update(known_to=at)
            make_price("platform/host/a", "9.01", unit="Months", currency=currency)
            make_rate(FIRST, FOREIGN, LATER_RATE)


def _fixed_costs(currency: str) -> None:
    """What no rule takes is charged to nobody; rules of usage leave it alone."""
    make_price("platform/host/a", "7.005", unit="Months", currency=currency)
    # In another currency, at a rate that each month is converted by.
    make_price("platform/licence/b", LICENCE, unit="Months", currency=FOREIGN)
    make_rate(FIRST, FOREIGN, "0.333333333333")
    make_rate(THIRD, FOREIGN, LAST_RATE)


def _first() -> Booking:
    sku = SKUS[0]
    return Booking(
        FIRST, 0.0, 1, "sales", "CC-1", sku, Decimal("0.1"), 1, "run_a", False
    )


# Shrinking takes minutes: the seed that is printed is enough to go on.
@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])
@given(
    steps=st.lists(STEPS, min_size=3, max_size=3),
    rules=st.lists(RULES, max_size=2, unique_by=lambda rule: rule.team),
    zone=st.sampled_from(ZONES),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
)
def test_months_own_the_ledger_to_the_last_digit(
    steps: list[Step], rules: list[Rule], zone: str, currency: str
) -> None:
    with (
        override_settings(REPORT_TIME_ZONE=zone, CURRENCY=currency),
        undone(),
    ):
        play(steps, rules, zone, currency)

        _every_row_is_owned_once()
        _totals_are_those_of_the_ledger(currency)
        _teams_add_up_to_the_ledger_of_each_month()
        _shares_are_one_together()
        _centres_bear_what_they_caused({rule.team for rule in rules}, currency)
        _every_line_is_worked_out_again()
        _the_chain_holds()


def _every_row_is_owned_once() -> None:
    found: list[int] = []
    for period in BillingPeriod.objects.all():
        where = owned(period)
        query = OWN.replace("{where}", where.sql)
        found += [row["id"] for row in rows(query, where.parameters)]

    assert sorted(found) == list(
        UsageEvent.objects.order_by("pk").values_list("pk", flat=True)
    )


def _totals_are_those_of_the_ledger(currency: str) -> None:
    places = minor_places(currency)
    for statement in Statement.objects.all():
        lines = list(statement.lines.all())
        assert sum(line.billed for line in lines) == statement.billed
        assert sum(line.cost for line in lines) == statement.cost
        assert all(line.billed == round(line.billed, places) for line in lines)
    for period in BillingPeriod.objects.all():
        exact = period.ledger_cost + period.platform_cost + period.adjusted
        found = list(period.statements.all())
        assert sum(one.cost for one in found) == exact
        assert sum(one.billed for one in found) == period.billed
        assert period.billed == rounded(exact, places=places)
    rated = UsageEvent.objects.filter(cost__isnull=False, currency=currency)
    booked = sum(row.cost for row in rated if row.cost is not None)
    by_hand = sum(period.adjusted for period in BillingPeriod.objects.all())
    borne = sum(line.cost for line in StatementLine.objects.all())
    # Three months at the amounts and rates that are known in the end.
    licence = sum(
        multiply(Decimal(LICENCE), Decimal(rate))
        for rate in (LATER_RATE, LATER_RATE, LAST_RATE)
    )
    assert borne == booked + by_hand + 3 * Decimal("9.01") + licence


def _teams_add_up_to_the_ledger_of_each_month() -> None:
    """Whoever bears it: charged, shown, or nobody."""
    for period in BillingPeriod.objects.all():
        where = owned(period)
        query = OF_TEAMS.replace("{where}", where.sql)
        caused = {row["team"]: row["cost"] for row in rows(query, where.parameters)}
        lines = StatementLine.objects.filter(statement__period=period)
        told = lines.exclude(team="").values_list("team").annotate(cost=Sum("cost"))
        assert {team: cost for team, cost in told if cost} == {
            team: cost for team, cost in caused.items() if cost
        }


def _shares_are_one_together() -> None:
    shares: dict[tuple[object, ...], Decimal] = {}
    for line in StatementLine.objects.exclude(rule="").select_related("statement"):
        what = (
            *(line.statement.period_id, line.charge_month, line.rule, line.team),
            *(line.cost_centre, line.sku, line.price_id, line.rule_version),
        )
        shares[what] = shares.get(what, Decimal(0)) + (line.ratio or 0)
    assert set(shares.values()) <= {Decimal(1)}


def _centres_bear_what_they_caused(shared: set[str], currency: str) -> None:
    """What no rule takes stays with the team and cost centre that caused it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT team, cost_centre, sum(cost) FROM finops_usageevent "
            "WHERE currency = %s AND NOT team = ANY(%s) GROUP BY 1, 2",
            [currency, sorted(shared)],
        )
        caused = {(team, centre): cost for team, centre, cost in cursor.fetchall()}
    borne: dict[tuple[str, str], Decimal] = {}
    for line in StatementLine.objects.select_related("statement__cost_centre"):
        if line.team and line.team not in shared:
            assert line.statement.cost_centre.slug == (
                line.cost_centre or "unallocated"
            )
            key = (line.team, line.cost_centre)
            borne[key] = borne.get(key, Decimal(0)) + line.cost

    assert {key: cost for key, cost in borne.items() if cost} == {
        key: cost for key, cost in caused.items() if cost
    }


def _every_line_is_worked_out_again() -> None:
    for statement in Statement.objects.select_related("period", "cost_centre"):
        lines = list(statement.lines.order_by("number"))
        wrong = [
            (line.category, line.sku, line.cost, again)
            for line, again in zip(lines, recompute_all(lines, statement), strict=True)
            if not again.equal
        ]
        assert wrong == []


def _the_chain_holds() -> None:
    previous = ""
    for statement in Statement.objects.order_by("position"):
        assert statement.previous_digest == previous
        assert digest_of(document_of(statement)) == statement.digest
        previous = statement.digest
