"""Money keeps its last digit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.money import Money, multiply, show, total

amounts = st.decimals(
    min_value=0, max_value=10**15, places=12, allow_nan=False, allow_infinity=False
)
quantities = st.decimals(
    min_value=0, max_value=10**15, places=9, allow_nan=False, allow_infinity=False
)


@given(st.lists(amounts, max_size=40), st.randoms())
def test_sum_of_parts_is_the_total_in_any_order(parts: list[Decimal], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(parts)
    random.shuffle(shuffled)
    middle = len(parts) // 2
    whole = total(parts)
    assert total(shuffled) == whole
    assert total((total(parts[:middle]), total(parts[middle:]))) == whole
    scaled = sum(int(part.scaleb(12)) for part in parts)
    assert (
        int(whole.scaleb(12).quantize(Decimal(1))) == scaled if scaled < 10**27 else 1
    )


@given(quantities, amounts)
def test_a_cost_is_within_half_of_the_last_place(
    quantity: Decimal, price: Decimal
) -> None:
    cost = multiply(quantity, price)
    exact = int(quantity.scaleb(9)) * int(price.scaleb(12))  # at 21 places
    shown = int(f"{cost:.12f}".replace(".", "")) * 10**9
    assert abs(shown - exact) * 2 <= 10**9


def test_a_million_tiny_calls_are_not_free() -> None:
    assert multiply(Decimal(1), Decimal("0.0000004")) * 1_000_000 == Decimal("0.4")


def test_currencies_do_not_mix() -> None:
    with pytest.raises(Invalid, match="convert first"):
        Money(Decimal(1), "USD") + Money(Decimal(1), "EUR")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("1234.5", "1,234.50"),
        ("0.01", "0.01"),
        ("0.009", "0.009"),
        ("0.000123456", "0.000123"),
        ("0.000000000001", "0.000000000001"),
        ("-3.5", "-3.50"),
    ],
)
def test_amounts_read_well(amount: str, text: str) -> None:
    assert show(Decimal(amount)) == text
