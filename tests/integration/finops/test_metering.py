"""Booking: exact costs, once, whoever books."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from audit.actor import Actor
from core.clock import now
from core.errors import Invalid
from finops.models import UsageEvent
from finops.services.metering import Booked, Payer, Usage, book
from finops.services.prices import set_price
from tests.builders.finops import AT, make_price

PAYER = Payer(
    team="support",
    cost_centre="CC-100",
    project="returns",
    environment="prod",
    principal="sa:support/agent",
    run="run_1",
    task="task_1",
)
FINANCE = Actor("user", "user:fiona", "Fiona")


def _usage(uid: str, sku: str, quantity: str, unit: str = "Tokens") -> Usage:
    kind = "tokens" if unit == "Tokens" else "tool_call"
    return Usage(
        uid=uid,
        kind=kind,
        sku=sku,
        unit=unit,
        quantity=Decimal(quantity),
        known="estimated",
        step=4,
    )


@pytest.mark.django_db
def test_cost_is_quantity_times_price_to_the_last_place() -> None:
    make_price("tokens/result", "0.000003000001")
    booked = book(payer=PAYER, usages=[_usage("a", "tokens/result", "1234.5")], at=AT)
    assert booked == Booked(Decimal("0.003703501234"), "USD", 0)
    row = UsageEvent.objects.get()
    assert (row.uid, row.cost, row.quantity) == (
        "a",
        Decimal("0.003703501234"),
        Decimal("1234.5"),
    )
    assert (row.team, row.cost_centre, row.project, row.environment) == (
        "support",
        "CC-100",
        "returns",
        "prod",
    )
    assert (row.run, row.task, row.step, row.at) == ("run_1", "task_1", 4, AT)
    assert row.price is not None
    assert row.price.sku == "tokens/result"


@pytest.mark.django_db
def test_without_a_price_a_quantity_is_unrated_and_not_free() -> None:
    make_price("tool/*", "0.5", unit="Requests")
    booked = book(
        payer=PAYER,
        usages=[
            _usage("a", "tokens/result", "10"),
            _usage("b", "tool/crm.x", "2", "Requests"),
        ],
        at=AT,
    )
    assert booked == Booked(Decimal(1), "USD", 1)
    assert UsageEvent.objects.get(uid="a").cost is None


@pytest.mark.django_db
def test_booking_again_gives_the_same_figures_and_adds_nothing() -> None:
    make_price("tokens/result", "0.001")
    usages = [_usage("a", "tokens/result", "10"), _usage("b", "tokens/other", "1")]
    first = book(payer=PAYER, usages=usages, at=AT)
    set_price(
        sku="tokens/result",
        unit="Tokens",
        amount=Decimal(7),
        valid_from=AT,
        reason="New contract",
        actor=FINANCE,
        at=AT,
    )
    assert book(payer=PAYER, usages=usages, at=AT) == first
    more = [*usages, _usage("c", "tokens/result", "1")]
    assert book(payer=PAYER, usages=more, at=AT) == Booked(Decimal("7.01"), "USD", 1)
    assert UsageEvent.objects.count() == 3


@pytest.mark.django_db
def test_a_uid_named_twice_in_one_booking_is_booked_once() -> None:
    make_price("tokens/result", "1")
    twice = [_usage("a", "tokens/result", "10"), _usage("a", "tokens/result", "99")]
    assert book(payer=PAYER, usages=twice, at=AT).cost == 10


@pytest.mark.django_db
def test_a_new_price_is_seen_at_once_and_a_future_one_in_time() -> None:
    make_price("tokens/result", "1")
    assert book(
        payer=PAYER, usages=[_usage("a", "tokens/result", "1")], at=AT
    ).cost == Decimal(1)
    set_price(
        sku="tokens/result",
        unit="Tokens",
        amount=Decimal(2),
        valid_from=AT + timedelta(hours=1),
        reason="New contract",
        actor=FINANCE,
        at=AT,
    )
    assert book(
        payer=PAYER, usages=[_usage("b", "tokens/result", "1")], at=AT
    ).cost == Decimal(1)
    assert book(
        payer=PAYER,
        usages=[_usage("c", "tokens/result", "1")],
        at=AT + timedelta(hours=1),
    ).cost == Decimal(2)


@pytest.mark.django_db
def test_a_price_in_another_currency_does_not_price(settings: Settings) -> None:
    make_price("tokens/result", "1")
    settings.CURRENCY = "EUR"
    booked = book(payer=PAYER, usages=[_usage("a", "tokens/result", "1")], at=AT)
    assert booked == Booked(Decimal(0), "EUR", 1)


@pytest.mark.django_db
@pytest.mark.parametrize("quantity", ["-1", "NaN", "Infinity"])
def test_impossible_quantities_are_refused_and_nothing_is_booked(quantity: str) -> None:
    usages = [_usage("a", "tokens/result", "1"), _usage("b", "tokens/result", quantity)]
    with pytest.raises(Invalid, match="cannot be booked"):
        book(payer=PAYER, usages=usages, at=AT)
    assert not UsageEvent.objects.exists()


@pytest.mark.django_db
def test_nothing_to_book_costs_nothing() -> None:
    assert book(payer=PAYER, usages=[], at=AT) == Booked(Decimal(0), "USD", 0)


@pytest.mark.django_db
@pytest.mark.parametrize("size", [3, 300])
def test_any_number_of_quantities_costs_two_queries(size: int) -> None:
    make_price("tokens/result", "1")
    at = now()
    book(payer=PAYER, usages=[_usage("warm", "tokens/result", "1")], at=at)
    usages = [_usage(f"u{n}", "tokens/result", "1") for n in range(size)]
    with CaptureQueriesContext(connection) as queries:
        assert book(payer=PAYER, usages=usages, at=at).cost == size
    assert len(queries) == 2


@pytest.mark.django_db
def test_the_ledger_refuses_changes() -> None:
    book(payer=PAYER, usages=[_usage("a", "tokens/result", "1")], at=AT)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        UsageEvent.objects.update(cost=0)


def test_bookings_at_the_same_moment_agree_and_add_up(committed: None) -> None:
    make_price("tokens/result", "0.000001")
    threads = 8
    start = Barrier(threads)

    def work(number: int) -> Booked:
        # Each thread names the same uids in another order.
        usages = [_usage(f"u{n}", "tokens/result", "10") for n in range(50)]
        turned = usages[number * 5 :] + usages[: number * 5]
        try:
            start.wait()
            with transaction.atomic():
                return book(payer=PAYER, usages=turned, at=AT)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(work, range(threads)))
    assert set(answers) == {Booked(Decimal("0.0005"), "USD", 0)}
    assert UsageEvent.objects.count() == 50


def test_a_booking_that_is_rolled_back_leaves_the_uid_free(committed: None) -> None:
    make_price("tokens/result", "1")
    with transaction.atomic():
        book(payer=PAYER, usages=[_usage("a", "tokens/result", "1")], at=AT)
        transaction.set_rollback(True)
    again = book(payer=PAYER, usages=[_usage("a", "tokens/result", "3")], at=AT)
    assert again.cost == 3
