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
        ("0.0145", "0.0145"),
        ("0.51", "0.51"),
        ("0.5", "0.50"),
        ("0.1934", "0.193"),
        ("0.009", "0.009"),
        ("0.000123456", "0.000123"),
        ("0.000000000001", "0.000000000001"),
        ("-3.5", "-3.50"),
    ],
)
def test_amounts_read_well(amount: str, text: str) -> None:
    assert show(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        ("1.03", 6, "1.030000"),
        ("0.000518", 6, "0.000518"),
        ("0.0000001", 6, "< 0.000001"),
        ("0", 4, "0.0000"),
        ("1234.5", 2, "1,234.50"),
    ],
)
def test_a_column_has_one_number_of_decimals(
    amount: str, decimals: int, text: str
) -> None:
    assert show(Decimal(amount), decimals=decimals) == text


@given(amounts)
def test_what_is_not_nothing_never_reads_as_nothing(amount: Decimal) -> None:
    digits = set(show(amount)) | set(show(amount, decimals=4))
    assert (digits & set("123456789") != set()) == (amount != 0)
