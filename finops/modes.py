"""Ways of working held against each other, over tasks that used the same tools."""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

from finops.statistics import wilson

# The 97.5th percentile of the normal distribution: an interval of 95 %.
_Z = 1.959963984540054
LEAST_TASKS = 30
"""On either side: with fewer that can be compared nothing is concluded."""
SCRIPT, DIRECT = "script", "direct"
MODES = {SCRIPT: "Scripts", DIRECT: "Direct calls"}


@dataclass(frozen=True, slots=True)
class Tally:
    """What tasks of one kind come to; ``*_squared`` are sums of squares."""

    tasks: int = 0
    first_try: int = 0
    completed: int = 0
    tokens: int = 0
    tokens_squared: float = 0.0
    cost: Decimal = Decimal(0)
    cost_squared: float = 0.0
    actions: int = 0
    avoided: int = 0
    unrated: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            *(
                getattr(self, one.name) + getattr(other, one.name)
                for one in fields(self)
            )
        )

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the share that succeeded at first try."""
        return wilson(self.first_try, self.tasks)


@dataclass(frozen=True, slots=True)
class Stratum:
    """Tasks alike in kind of run, model, tools, and how their tokens are known."""

    mode: str
    model: str
    tools: tuple[str, ...]
    known: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both sides, weighted alike; the difference with its interval.

    ``low`` and ``high`` are None where the spread cannot be told.
    """

    one: float
    other: float
    low: float | None
    high: float | None

    @property
    def value(self) -> float:
        return self.one - self.other

    @property
    def shown(self) -> bool:
        """Whether the interval leaves no difference out."""
        if self.low is None or self.high is None:
            return False
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides, and what can be said of them over the same tools."""

    one: str
    other: str
    within: str
    whole: tuple[Tally, Tally]
    like: tuple[Tally, Tally]
    tool_sets: int
    first_try: Difference | None
    completed: Difference | None
    tokens: Difference | None
    cost: Difference | None

    @property
    def enough(self) -> bool:
        return min(side.tasks for side in self.like) >= LEAST_TASKS


Key = Callable[[Stratum], Hashable]
Pairs = Sequence[tuple[Tally, Tally]]


def compare(
    strata: Iterable[Stratum],
    *,
    one: Callable[[Stratum], bool],
    other: Callable[[Stratum], bool],
    alike: Key,
    names: tuple[str, str],
    within: str = "",
) -> Comparison:
    """``one`` against ``other`` among tasks with the same tools and ``alike``."""
    found = [stratum for stratum in strata if one(stratum) or other(stratum)]

    def pairs(key: Key) -> dict[Hashable, tuple[Tally, Tally]]:
        made: dict[Hashable, tuple[Tally, Tally]] = {}
        for stratum in found:
            left, right = made.get(key(stratum), (Tally(), Tally()))
            if one(stratum):
                left += stratum.tally
            else:
                right += stratum.tally
            made[key(stratum)] = (left, right)
        return {k: pair for k, pair in made.items() if all(t.tasks for t in pair)}

    like = pairs(lambda stratum: (stratum.tools, alike(stratum)))
    # Tokens that are measured are not held against ones that are estimated.
    known = pairs(lambda stratum: (stratum.tools, alike(stratum), stratum.known))
    both = list(like.values())
    return Comparison(
        one=names[0],
        other=names[1],
        within=within,
        whole=(
            _sum(one_.tally for one_ in found if one(one_)),
            _sum(one_.tally for one_ in found if not one(one_)),
        ),
        like=(_sum(left for left, _ in both), _sum(right for _, right in both)),
        tool_sets=len({key[0] for key in like if isinstance(key, tuple)}),
        first_try=shares(both, lambda tally: tally.first_try),
        completed=shares(both, lambda tally: tally.completed),
        tokens=means(
            list(known.values()), lambda t: (float(t.tokens), t.tokens_squared)
        ),
        cost=means(both, lambda tally: (float(tally.cost), tally.cost_squared)),
    )


def _sum(tallies: Iterable[Tally]) -> Tally:
    return sum(tallies, Tally())


def shares(pairs: Pairs, count: Callable[[Tally], int]) -> Difference | None:
    """The difference of two shares over strata, by Mantel's and Haenszel's weights.

    Its interval takes each stratum's shares with one success and one failure more
    (Agresti and Caffo, 2000), so that strata without failures still have a spread.
    """
    weights = _weights(pairs)
    if not weights:
        return None
    whole, sides, spread = sum(weights), [0.0, 0.0], 0.0
    for weight, pair in zip(weights, pairs, strict=True):
        for side, tally in enumerate(pair):
            sides[side] += weight / whole * count(tally) / tally.tasks
            share = (count(tally) + 1) / (tally.tasks + 2)
            spread += (weight / whole) ** 2 * share * (1 - share) / (tally.tasks + 2)
    reach = _Z * math.sqrt(spread)
    middle = sides[0] - sides[1]
    low, high = max(-1.0, middle - reach), min(1.0, middle + reach)
    return Difference(sides[0], sides[1], low, high)


def means(
    pairs: Pairs, sums: Callable[[Tally], tuple[float, float]]
) -> Difference | None:
    """The difference of two means over strata, by the same weights.

    Each side's spread is that around the means of its strata, taken as the same in
    all; None where no stratum has two tasks.
    """
    weights = _weights(pairs)
    if not weights:
        return None
    whole, sides, spread = sum(weights), [0.0, 0.0], 0.0
    told = True
    for side in (0, 1):
        around, free, share = 0.0, 0, 0.0
        for weight, pair in zip(weights, pairs, strict=True):
            tally = pair[side]
            value, squared = sums(tally)
            sides[side] += weight / whole * value / tally.tasks
            around += max(0.0, squared - value * value / tally.tasks)
            free += tally.tasks - 1
            share += (weight / whole) ** 2 / tally.tasks
        told = told and free > 0
        spread += around / free * share if free else 0.0
    middle, reach = sides[0] - sides[1], _Z * math.sqrt(spread)
    low, high = (middle - reach, middle + reach) if told else (None, None)
    return Difference(sides[0], sides[1], low, high)


def _weights(pairs: Pairs) -> list[float]:
    """What each stratum weighs: the more, the more tasks both sides have in it."""
    return [a.tasks * b.tasks / (a.tasks + b.tasks) for a, b in pairs]
