"""Re-rated totals are those of rating afresh, and a second time changes nothing."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.actor import Actor
from audit.models import Event
from core.errors import Invalid
from core.money import total
from finops.models import RunFact, UsageEvent
from finops.rerate import cost_at
from finops.services.metering import Payer, Usage, book
from finops.services.prices import current_book, set_price
from finops.services.rerating import Wanted, preview, rerate
from tests.builders.finops import AT, make_fact, make_price, make_usage

FINANCE = Actor("user", "user:fiona", "Fiona")
WANTED = Wanted(AT - timedelta(days=10), AT + timedelta(days=10))
LATER = AT + timedelta(days=3)

pytestmark = pytest.mark.django_db


def _set(sku: str, amount: str, day: int = -20) -> None:
    set_price(
        sku=sku,
        unit="Tokens",
        amount=Decimal(amount),
        valid_from=AT + timedelta(days=day),
        reason="Contract",
        actor=FINANCE,
        at=LATER,
    )


def _rerate(wanted: Wanted = WANTED, batch: int = 1000) -> int:
    done = rerate(
        wanted=wanted, reason="Contract 117", actor=FINANCE, at=LATER, batch=batch
    )
    return sum(one.rows for one in done)


def _costs() -> Decimal:
    rows = UsageEvent.objects.exclude(cost=None).values_list("cost", flat=True)
    return total(cost for cost in rows if cost is not None)


_AMOUNT = st.decimals(0, 1000, places=12, allow_nan=False)
_QUANTITY = st.decimals(0, 10**6, places=9, allow_nan=False)
_SKU = st.sampled_from(["tokens/a", "tokens/b", "tokens/c"])
_BOOK = st.dictionaries(st.tuples(_SKU, st.integers(-9, 9)), _AMOUNT, max_size=4)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    first=_BOOK,
    changes=st.lists(_BOOK, max_size=2),
    usages=st.lists(st.tuples(_SKU, st.integers(-9, 9), _QUANTITY), max_size=12),
    batch=st.integers(1, 5),
)
def test_totals_are_those_of_rating_afresh(
    first: dict[tuple[str, int], Decimal],
    changes: list[dict[tuple[str, int], Decimal]],
    usages: list[tuple[str, int, Decimal]],
    batch: int,
) -> None:
    with transaction.atomic():
        for (sku, day), amount in first.items():
            _set(sku, f"{amount:f}", day)
        payer = Payer("t", "c", "p", "e", "sa:t/a")
        for number, (sku, day, quantity) in enumerate(usages):
            usage = Usage(f"u{number}", "tokens", sku, "Tokens", quantity, "estimated")
            book(payer=payer, usages=[usage], at=AT + timedelta(days=day))
        for change in changes:
            for (sku, day), amount in change.items():
                _set(sku, f"{amount:f}", day)
            shown = preview(WANTED)
            before = _costs()
            assert _rerate(batch=batch) == sum(one.rows for one in shown)
            assert _costs() - before == total(one.change for one in shown)
            rows = UsageEvent.objects.count()
            assert _rerate(batch=batch) == 0
            assert preview(WANTED) == ()
            assert UsageEvent.objects.count() == rows
        originals = list(UsageEvent.objects.filter(uid__startswith="u"))
        afresh = [cost_at(current_book(), row) for row in originals]
        if changes:
            assert _costs() == total(cost for cost in afresh if cost is not None)
            standing = UsageEvent.objects.standing()
            assert standing.filter(cost=None).count() == afresh.count(None)
            assert total(row.quantity for row in standing) == total(
                quantity for _, _, quantity in usages
            )
        transaction.set_rollback(True)


def test_what_was_unrated_gets_its_cost_and_the_fact_follows() -> None:
    run = make_fact(cost="1", unrated=1).run
    make_usage("tokens/a", "10", cost=None, run=run)
    make_usage("tokens/b", "1", cost="1", run=run)
    _set("tokens/*", "0.5")
    assert _rerate() == 2
    fact = RunFact.objects.get(run=run)
    assert fact.unrated == 0
    assert fact.cost == Decimal("5.5") == _costs()
    original = UsageEvent.objects.get(sku="tokens/a", reported_at=None)
    again = UsageEvent.objects.standing().get(sku="tokens/a")
    assert (again.at, again.reported_at, again.team) == (AT, LATER, original.team)
    event = Event.objects.get(name="usage.rerated")
    assert event.summary == (
        "Fiona priced 2 quantities anew (4.500000000000 USD): Contract 117"
    )


def test_only_what_is_asked_for_is_priced_anew() -> None:
    for sku in ("tokens/a", "tokens/ab", "tokens/b"):
        make_usage(sku, "1", cost="1")
    make_usage("tokens/a", "1", cost="1", at=AT + timedelta(days=11))
    make_usage("tokens/a", "1", cost="1", currency="EUR")
    _set("tokens/*", "2")
    assert _rerate(Wanted(WANTED.start, WANTED.end, "tokens/a")) == 1
    assert _rerate(Wanted(WANTED.start, WANTED.end, "tokens/a*")) == 1
    assert _rerate() == 1


def test_a_reason_and_a_period_are_needed() -> None:
    make_usage("tokens/a", "1", cost="1")
    with pytest.raises(Invalid, match="reason"):
        rerate(wanted=WANTED, reason=" ", actor=FINANCE, at=LATER)
    with pytest.raises(Invalid, match="end after"):
        rerate(wanted=Wanted(AT, AT), reason="Deal", actor=FINANCE, at=LATER)
    assert UsageEvent.objects.count() == 1


def test_more_rows_cost_no_more_queries() -> None:
    make_price("tokens/a", "2")
    make_usage("tokens/a", "1", cost="1")
    assert _rerate() == 1
    counts = []
    for size in (3, 30):
        for _ in range(size):
            make_usage("tokens/a", "1", cost="1")
        with CaptureQueriesContext(connection) as queries:
            assert _rerate() == size
        counts.append(len(queries))
    assert counts[0] == counts[1]
