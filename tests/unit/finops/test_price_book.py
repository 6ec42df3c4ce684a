"""The longest matching pattern prices a SKU; nothing else does."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from finops.exchange import Exchange
from finops.price_book import PriceBook, Rate

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


def _rate(
    number: int,
    sku: str,
    *,
    unit: str = "Requests",
    valid_from: datetime = JANUARY,
    valid_to: datetime | None = None,
) -> Rate:
    return Rate(number, sku, unit, Decimal(number), "USD", valid_from, valid_to)


BOOK = PriceBook(
    [
        _rate(1, "tool/*"),
        _rate(2, "tool/crm.*"),
        _rate(3, "tool/crm.list_orders"),
        _rate(4, "tool/crm.list_orders*"),
        _rate(5, "tool/erp.*", valid_from=JUNE),
        _rate(6, "tool/old.*", valid_to=JUNE),
        _rate(7, "tokens/result", unit="Tokens"),
    ],
    Exchange("USD", "UTC"),
)


@pytest.mark.parametrize(
    ("sku", "unit", "at", "expected"),
    [
        ("tool/crm.list_orders", "Requests", NOVEMBER, 3),
        ("tool/crm.list_orders_page", "Requests", NOVEMBER, 4),
        ("tool/crm.get_customer", "Requests", NOVEMBER, 2),
        ("tool/mail.send", "Requests", NOVEMBER, 1),
        ("tool/erp.post", "Requests", NOVEMBER, 5),
        ("tool/erp.post", "Requests", JANUARY, 1),
        ("tool/old.call", "Requests", JANUARY, 6),
        ("tool/old.call", "Requests", JUNE, 1),
        ("tokens/result", "Tokens", NOVEMBER, 7),
        ("tokens/result", "Requests", NOVEMBER, None),
        ("sandbox/cpu", "Seconds", NOVEMBER, None),
    ],
)
def test_longest_valid_match_of_the_same_unit_wins(
    sku: str, unit: str, at: datetime, expected: int | None
) -> None:
    found = BOOK.rate(sku, unit=unit, at=at)
    assert (found.id if found else None) == expected


def test_a_rate_applies_from_its_start_and_no_longer_at_its_end() -> None:
    rate = _rate(1, "tool/*", valid_from=JANUARY, valid_to=JUNE)
    assert rate.applies(unit="Requests", at=JANUARY)
    assert not rate.applies(unit="Requests", at=JUNE)
