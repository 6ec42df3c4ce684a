"""Prices in any currency are booked in one, at the month's stored rate."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.utils import IntegrityError
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.actor import Actor
from audit.models import Event
from core.errors import Invalid
from finops.models import ExchangeRate, UsageEvent
from finops.selectors.rates import known_rates, wanting
from finops.services.fx import set_rate
from finops.services.metering import Booked, Payer, Usage, book
from finops.services.prices import current_book, set_price
from finops.services.rerating import Wanted, rerate
from policy.models import User
from tests.builders.finops import AT, make_price
from tests.builders.identity import make_cast

FINANCE = Actor("user", "user:fiona", "Fiona")
NOVEMBER = date(2026, 11, 1)
pytestmark = pytest.mark.django_db


def _rate(rate: str, *, month: date = NOVEMBER, currency: str = "EUR") -> ExchangeRate:
    return set_rate(
        month=month,
        currency=currency,
        rate=Decimal(rate),
        reason="Month end",
        actor=FINANCE,
        at=AT,
    )


def _book(uid: str = "u1", *, sku: str = "tokens/a", at: datetime = AT) -> Booked:
    usage = Usage(uid, "tokens", sku, "Tokens", Decimal(3), "estimated")
    return book(payer=Payer("t", "c", "p", "e", "sa:t/a"), usages=[usage], at=at)


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_price_in_another_currency_is_converted_as_it_is_booked() -> None:
    price = make_price("tokens/a", "2", currency="EUR")
    _rate("1.25")
    assert _book() == Booked(Decimal("7.5"), "USD", 0)
    row = UsageEvent.objects.get()
    assert (row.cost, row.currency) == (Decimal("7.5"), "USD")
    assert (row.list_cost, row.list_currency, row.rate) == (
        Decimal(6),
        "EUR",
        Decimal("1.25"),
    )
    assert row.price_id == price.pk


def test_without_a_rate_it_is_unrated_and_says_why() -> None:
    make_price("tokens/a", "2", currency="EUR")
    assert _book() == Booked(Decimal(0), "USD", 1)
    row = UsageEvent.objects.get()
    assert (row.cost, row.list_cost, row.list_currency) == (None, Decimal(6), "EUR")
    assert row.rate is None


def test_a_rate_set_later_is_followed_by_pricing_anew() -> None:
    make_price("tokens/a", "2", currency="EUR")
    _rate("1.1", month=date(2026, 9, 1))
    assert _book().cost == Decimal("6.6")
    _rate("1.25")
    wanted = Wanted(
        datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    )
    for rows in (1, 0):
        done = rerate(wanted=wanted, reason="Rate", actor=FINANCE, at=AT)
        assert sum(one.rows for one in done) == rows
    reverse = UsageEvent.objects.exclude(reverses="").get()
    assert (reverse.cost, reverse.list_cost) == (Decimal("-6.6"), Decimal(-6))
    row = UsageEvent.objects.standing().get()
    assert (row.cost, row.rate) == (Decimal("7.5"), Decimal("1.25"))


def test_the_month_is_that_of_the_reports_zone(settings: Any) -> None:
    settings.REPORT_TIME_ZONE = "Pacific/Auckland"
    make_price("tokens/a", "1", currency="EUR")
    _rate("1", month=date(2026, 10, 1))
    _rate("2")
    # November begins in Auckland at 11:00 UTC of the day before.
    before = datetime(2026, 10, 31, 10, 59, tzinfo=UTC)
    assert _book("u1", at=before).cost == 3
    assert _book("u2", at=before.replace(hour=11)).cost == 6


def test_a_price_in_another_currency_takes_the_place_of_the_one_before() -> None:
    _rate("1.25")
    for amount, currency in (("1", ""), ("2", "EUR"), ("3", "USD")):
        set_price(
            sku="tokens/a",
            unit="Tokens",
            amount=Decimal(amount),
            currency=currency,
            valid_from=datetime(2026, 1, 1, tzinfo=UTC),
            reason="Contract",
            actor=FINANCE,
            at=AT,
        )
        rate = current_book().rate("tokens/a", unit="Tokens", at=AT)
        assert rate is not None
        assert (rate.amount, rate.currency) == (Decimal(amount), currency or "USD")


def test_a_correction_ends_what_was_known_and_is_on_record() -> None:
    first = _rate("1.25")
    second = _rate("1.26")
    first.refresh_from_db()
    assert first.known_to == AT
    assert list(known_rates()) == [second]
    event = Event.objects.filter(name="exchange_rate.set").order_by("pk").last()
    assert event is not None
    assert (
        event.summary == "Fiona set the rate of EUR in 2026-11 to 1.26 USD: Month end"
    )
    assert json.loads(event.body)["before"]["rate"] == "1.250000000000"
    with pytest.raises(IntegrityError, match="end its knowledge"), transaction.atomic():
        ExchangeRate.objects.filter(pk=second.pk).update(rate=2)
    with pytest.raises(IntegrityError, match="end its knowledge"), transaction.atomic():
        ExchangeRate.objects.all().delete()


@pytest.mark.parametrize(
    ("currency", "rate", "message"),
    [
        ("USD", "1", "own currency"),
        ("eur", "1", "is no currency"),
        ("EUR", "0", "above 0"),
        ("EUR", "-1", "above 0"),
        ("EUR", "NaN", "above 0"),
        ("EUR", "1E-13", "above 0"),
        ("EUR", "1.0000000000001", "12 decimal places"),
    ],
)
def test_what_is_no_rate_is_refused(currency: str, rate: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        _rate(rate, currency=currency)
    assert not ExchangeRate.objects.exists()
    assert not Event.objects.filter(name="exchange_rate.set").exists()


def test_currencies_without_this_months_rate_are_named() -> None:
    make_price("tokens/a", "2", currency="EUR")
    make_price("tokens/b", "2", currency="CHF")
    make_price("tokens/c", "2", currency="JPY")
    make_price("tokens/d", "2")
    _rate("1.1", month=date(2026, 9, 1))
    _rate("0.007", currency="JPY")
    found = [(one.currency, one.provisional) for one in wanting(at=AT)]
    assert found == [("CHF", False), ("EUR", True)]


def test_finance_sets_a_rate_and_all_read_it() -> None:
    cast = make_cast()
    values = {"month": "2026-10", "currency": "eur", "rate": "1.17", "reason": "Close"}
    finance = _client(cast.finance)
    answer = finance.post("/costs/rates/set/", values, follow=True)
    page = answer.content.decode()
    assert "1 EUR = 1.17 USD in 2026-10" in page
    assert "All that was known of EUR" in page
    wrong = finance.post("/costs/rates/set/", values | {"rate": "0"})
    assert wrong.status_code == 422
    assert "above 0" in wrong.content.decode()
    assert ExchangeRate.objects.count() == 1
    member = _client(cast.member)
    (shown,) = member.get("/api/v1/costs/rates/").json()["results"]
    assert (shown["month"], shown["currency"], shown["base"]) == (
        "2026-10",
        "EUR",
        "USD",
    )
    assert Decimal(shown["rate"]) == Decimal("1.17")
    table = b"".join(member.get("/costs/rates/export/")).decode().splitlines()
    assert table[1].startswith("2026-10-01,EUR,USD,1.170000000000,edited,")
    assert Event.objects.filter(name="exchange_rates.exported").count() == 1


def test_more_rates_cost_no_more_queries() -> None:
    client = _client(make_cast().finance)
    counts = []
    for months in (range(1, 4), range(4, 12)):
        for month in months:
            _rate("1.1", month=date(2026, month, 1))
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/costs/rates/?currency=EUR").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
