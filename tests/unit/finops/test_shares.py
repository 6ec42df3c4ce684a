"""Parts of an amount: they add up to the last digit, whatever the weights."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from finops.chargeback.shares import (
    minor_places,
    ratios,
    round_all,
    rounded,
    split,
)

AMOUNTS = st.integers(-(10**20), 10**20).map(lambda units: Decimal(units).scaleb(-12))
WEIGHTS = st.lists(
    st.integers(0, 10**15).map(lambda units: Decimal(units).scaleb(-9)),
    min_size=1,
    max_size=12,
)


@given(AMOUNTS, WEIGHTS)
def test_parts_add_up_and_are_fair(amount: Decimal, weights: list[Decimal]) -> None:
    assume(any(weights))

    parts = split(amount, weights, places=12)

    assert sum(map(Fraction, parts)) == Fraction(amount)
    whole = sum(map(Fraction, weights))
    for part, weight in zip(parts, weights, strict=True):
        fair = Fraction(amount) * Fraction(weight) / whole
        assert abs(Fraction(part) - fair) < Fraction(1, 10**12)
        assert weight or part == 0


@given(AMOUNTS, WEIGHTS)
def test_what_is_taken_back_cancels(amount: Decimal, weights: list[Decimal]) -> None:
    assume(any(weights))

    there, back = (split(one, weights, places=12) for one in (amount, -amount))

    assert [a + b for a, b in zip(there, back, strict=True)] == [0] * len(weights)


@given(WEIGHTS)
def test_shares_are_one_together(weights: list[Decimal]) -> None:
    assume(any(weights))

    assert sum(map(Fraction, ratios(weights))) == 1


@given(st.lists(AMOUNTS, max_size=30), st.sampled_from([0, 2, 3]))
def test_rounded_lines_are_the_rounded_total(
    amounts: list[Decimal], places: int
) -> None:
    exact = sum(map(Fraction, amounts))
    whole = Decimal(round(exact * 10**places)).scaleb(-places)

    lines = round_all(amounts, whole, places=places)

    assert sum(map(Fraction, lines)) == Fraction(whole)
    for line, amount in zip(lines, amounts, strict=True):
        assert abs(Fraction(line) - Fraction(amount)) < Fraction(1, 10**places)


def test_the_largest_remainder_gets_what_is_left() -> None:
    assert split(Decimal("1.00"), [Decimal(1)] * 3, places=2) == (
        Decimal("0.34"),
        Decimal("0.33"),
        Decimal("0.33"),
    )
    amounts = [Decimal("0.004"), Decimal("0.006"), Decimal("0.005")]
    assert round_all(amounts, Decimal("0.02"), places=2) == (
        Decimal("0.00"),
        Decimal("0.01"),
        Decimal("0.01"),
    )


@pytest.mark.parametrize("weights", [[], [Decimal(0)], [Decimal(1), Decimal(-1)]])
def test_weights_that_split_nothing(weights: list[Decimal]) -> None:
    with pytest.raises(ValueError, match="weights"):
        split(Decimal(1), weights, places=2)


def test_a_whole_that_is_not_theirs() -> None:
    with pytest.raises(ValueError, match="whole"):
        round_all([Decimal("1.2")], Decimal("3"), places=0)


def test_halves_go_away_from_nothing() -> None:
    assert rounded(Decimal("0.005"), places=2) == Decimal("0.01")
    assert rounded(Decimal("-0.005"), places=2) == Decimal("-0.01")
    assert rounded(Decimal("2.5"), places=0) == Decimal("3")


def test_the_smallest_coin() -> None:
    assert (minor_places("EUR"), minor_places("JPY"), minor_places("KWD")) == (2, 0, 3)
