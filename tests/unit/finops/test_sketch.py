"""Quantiles of a sketch are within 1 % of the true ones, however skewed the data."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops.sketch import (
    ALPHA,
    SMALLEST,
    ZERO,
    bin_of,
    merge,
    quantile,
    sketch,
    value_of,
)

SHARES = (0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0)
SKEWED = {
    "lognormal": lambda source: source.lognormvariate(0, 2),
    "pareto": lambda source: source.paretovariate(1.1),
    "uniform": lambda source: source.uniform(0.001, 100),
    "two peaks": lambda source: (
        source.gauss(0.1, 0.01) % 1 + 500 * source.getrandbits(1)
    ),
    "zeros": lambda source: source.choice((0.0, 0.0, source.expovariate(1))),
}


def exact(values: list[float], share: float) -> float:
    """As PostgreSQL's percentile_cont has it."""
    ordered = sorted(values)
    rank = share * (len(ordered) - 1)
    low, high = ordered[int(rank)], ordered[min(int(rank) + 1, len(ordered) - 1)]
    return low + (high - low) * (rank - int(rank))


@pytest.mark.parametrize("name", SKEWED)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 800))
def test_a_quantile_is_within_one_per_cent(name: str, seed: int, count: int) -> None:
    source = random.Random(seed)
    values = [SKEWED[name](source) for _ in range(count)]
    for share in SHARES:
        found, true = quantile(sketch(values), share), exact(values, share)
        assert found == pytest.approx(true, rel=ALPHA + 1e-9, abs=SMALLEST)


@given(st.lists(st.lists(st.floats(0, 1e7), max_size=20), max_size=6))
def test_merged_sketches_are_the_sketch_of_all_values(
    groups: list[list[float]],
) -> None:
    whole = sketch(value for group in groups for value in group)
    assert merge(map(sketch, groups)) == whole
    assert merge(map(sketch, reversed(groups))) == whole


@given(st.floats(SMALLEST, 1e9))
def test_the_value_of_a_bin_is_near_each_value_in_it(value: float) -> None:
    assert value_of(bin_of(value)) == pytest.approx(value, rel=ALPHA + 1e-9)


def test_nothing_has_no_quantile_and_zero_is_zero() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({ZERO: 3}, 0.95) == 0
    assert value_of(bin_of(0.0)) == 0
