"""DDSketch: quantiles within 1 % of the value, from counts that add up.

C. Masson, J. E. Rim, H. K. Lee: DDSketch (VLDB 2019). A value falls into the bin
``ceil(log(value) / log(GAMMA))``; what is too small for one counts as 0. The database
does the same in ``finops/selectors/durations.py``.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

ALPHA = 0.01
GAMMA = (1 + ALPHA) / (1 - ALPHA)
LOG_GAMMA = math.log(GAMMA)
SMALLEST = 1e-6
ZERO = -32768
"""The bin of what is smaller than SMALLEST."""

Bins = Mapping[int, int]


def bin_of(value: float) -> int:
    """The bin of a value from 0 up."""
    return ZERO if value < SMALLEST else math.ceil(math.log(value) / LOG_GAMMA)


def value_of(index: int) -> float:
    """The value that is within ALPHA of each in the bin."""
    return 0.0 if index == ZERO else 2 * math.exp(index * LOG_GAMMA) / (GAMMA + 1)


def sketch(values: Iterable[float]) -> Counter[int]:
    """How many of the values are in each bin."""
    return Counter(map(bin_of, values))


def merge(sketches: Iterable[Bins]) -> Counter[int]:
    """The sketch of all values together: the same as if they had been one set."""
    whole: Counter[int] = Counter()
    for one in sketches:
        whole.update(one)
    return whole


def quantile(bins: Bins, share: float) -> float | None:
    """The value at a share of 1, between two ranks in proportion; None of nothing."""
    count = sum(bins.values())
    if not count:
        return None
    rank = share * (count - 1)
    low = _at(bins, math.floor(rank))
    high = _at(bins, math.ceil(rank))
    return low + (high - low) * (rank - math.floor(rank))


def _at(bins: Bins, rank: int) -> float:
    seen = 0
    for index in sorted(bins):
        seen += bins[index]
        if seen > rank:
            return value_of(index)
    raise IndexError(rank)
