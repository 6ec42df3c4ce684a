"""One rate a month turns amounts into the organization's currency."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from finops.exchange import Exchange, MonthRate, month_of
from finops.price_book import UNPRICED, PriceBook, Priced, Rate

START = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "zone", "month"),
    [
        # The first hours of a month in Auckland, still the day before in UTC.
        ("2026-09-30T11:00:00Z", "Pacific/Auckland", "2026-10-01"),
        ("2026-09-30T10:59:59Z", "Pacific/Auckland", "2026-09-01"),
        # New York on both sides of its change of clocks.
        ("2026-11-01T03:59:59Z", "America/New_York", "2026-10-01"),
        ("2026-11-01T04:00:00Z", "America/New_York", "2026-11-01"),
        ("2026-03-01T04:59:59Z", "America/New_York", "2026-02-01"),
        ("2028-02-29T18:14:59Z", "Asia/Kathmandu", "2028-02-01"),
        ("2028-02-29T18:15:00Z", "Asia/Kathmandu", "2028-03-01"),
    ],
)
def test_a_month_is_one_of_the_named_zone(at: str, zone: str, month: str) -> None:
    assert month_of(datetime.fromisoformat(at), zone) == date.fromisoformat(month)


def _exchange() -> Exchange:
    rates = [
        MonthRate("EUR", date(2026, 3, 1), Decimal("1.25")),
        MonthRate("EUR", date(2026, 1, 1), Decimal("1.1")),
        MonthRate("JPY", date(2026, 2, 1), Decimal("0.007")),
    ]
    return Exchange("USD", "UTC", rates)


@pytest.mark.parametrize(
    ("currency", "month", "rate"),
    [
        ("EUR", 1, "1.1"),
        ("EUR", 2, "1.1"),
        ("EUR", 3, "1.25"),
        ("EUR", 12, "1.25"),
        ("JPY", 1, None),
        ("JPY", 2, "0.007"),
        ("USD", 1, "1"),
        ("CHF", 1, None),
    ],
)
def test_a_month_uses_its_own_rate_or_the_latest_before(
    currency: str, month: int, rate: str | None
) -> None:
    found = _exchange().rate(currency, datetime(2026, month, 15, tzinfo=UTC))
    assert found == (None if rate is None else Decimal(rate))


def test_only_a_rate_of_its_own_settles_a_month() -> None:
    exchange = _exchange()
    assert exchange.own("EUR", date(2026, 3, 1))
    assert not exchange.own("EUR", date(2026, 2, 1))
    assert not exchange.own("CHF", date(2026, 3, 1))
    assert exchange.own("USD", date(2026, 2, 1))


def test_a_quantity_is_priced_then_converted_each_to_twelve_places() -> None:
    book = PriceBook(
        [
            Rate(1, "tokens/a", "Tokens", Decimal("0.000000000003"), "EUR", START),
            Rate(2, "tokens/b", "Tokens", Decimal(2), "USD", START),
            Rate(3, "tokens/c", "Tokens", Decimal(2), "CHF", START),
        ],
        _exchange(),
    )

    def priced(sku: str, quantity: str) -> Priced:
        at = datetime(2026, 3, 9, tzinfo=UTC)
        return book.price(sku, unit="Tokens", at=at, quantity=Decimal(quantity))

    # 1.5 of the last place is 2 in EUR (half to even), and 2.5 is 2 in USD.
    least = Decimal("1E-12")
    rate = Decimal("1.25")
    assert priced("tokens/a", "0.5") == Priced(1, 2 * least, 2 * least, "EUR", rate)
    assert priced("tokens/b", "3") == Priced(2, Decimal(6))
    assert priced("tokens/c", "3") == Priced(3, None, Decimal(6), "CHF")
    assert priced("tokens/d", "3") == UNPRICED
