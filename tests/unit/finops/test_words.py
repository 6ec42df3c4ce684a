"""Intervals, changes in words, and small lines."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.compare import DOWN, NEITHER, UP, points, relative
from finops.sparkline import sparkline
from finops.statistics import wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # From the closed formula with z = 1.96, checked by hand to four digits.
        (8, 10, 0.4902, 0.9433),
        (1, 2, 0.0945, 0.9055),
        (50, 100, 0.4038, 0.5962),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)
    assert found == pytest.approx((low, high), abs=1e-4)


def test_nothing_has_no_interval() -> None:
    assert wilson(0, 0) is None


@given(st.integers(1, 10_000), st.data())
def test_the_interval_holds_the_share(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    found = wilson(successes, trials)
    assert found is not None
    assert 0 <= found[0] <= successes / trials <= found[1] <= 1


@pytest.mark.parametrize(
    ("now", "before", "better", "text", "verdict"),
    [
        (110, 100, UP, "+10.0 %", "better"),
        (90, 100, UP, "−10.0 %", "worse"),
        (90.0, 100.0, DOWN, "−10.0 %", "better"),
        (Decimal("0.3"), Decimal("0.2"), DOWN, "+50.0 %", "worse"),
        (5, 4, NEITHER, "+25.0 %", ""),
        (100, 100, UP, "no change", ""),
        (5000, 100, UP, "+49 ×", "better"),
        (1, 0, UP, "no figure before", ""),
        (None, 1, UP, "no figure before", ""),
        (1, None, UP, "no figure before", ""),
    ],
)
def test_changes_in_words(
    now: int | None, before: int | None, better: str, text: str, verdict: str
) -> None:
    found = relative(now, before, better=better)
    assert (found.text, found.verdict) == (text, verdict)


def test_shares_change_by_points() -> None:
    found = points(0.5, 0.625, better=UP)
    assert (found.text, found.verdict, found.tone) == ("−12.5 points", "worse", "bad")


def test_a_line_has_gaps_where_there_is_no_figure() -> None:
    found = sparkline([1, 2, None, 4, None])
    assert found.lines == ("3.0,25.5 41.5,18.0",)
    assert found.dots == ((118.5, 3.0),)
    assert sparkline([]).lines == ()
    assert sparkline([None, None]).dots == ()
