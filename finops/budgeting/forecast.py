"""What a budget's window will have cost when it ends, from the days before.

The seasonal mean: each day that is left is expected to cost what the same weekday cost
on average in the last eight weeks; the interval comes from the spread of those days
around their weekday's mean, as Hyndman and Athanasopoulos put it in Forecasting:
Principles and Practice (3rd ed.), 5.2 and 5.5. Days are taken as independent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from math import sqrt

WEEKS = 8
LEAST_DAYS = 14
LEVEL = 80
# Quantile of the normal distribution for an interval that holds 80 of 100 times.
_Z = 1.2816
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The window's cost at its end, and an interval; all None with ``note`` as why."""

    expected: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    note: str = ""

    def passes(self, amount: Decimal) -> bool:
        """Whether the window is expected to cost more than this."""
        return self.expected is not None and self.expected > amount


def forecast(
    history: Mapping[date, Decimal],
    *,
    spent: Decimal,
    today: date,
    elapsed: float,
    left: Sequence[date],
) -> Forecast:
    """``spent`` so far, and what the rest of today and the days ``left`` will add.

    ``history`` has the cost of each day before today, those without any as well;
    ``elapsed`` is the share of today that is over. With too few days it says so.
    """
    days = trimmed(history, today)
    if len(days) < LEAST_DAYS:
        return Forecast(
            note=f"Too little to go by: {len(days)} of {LEAST_DAYS} whole days."
        )
    means = _means(days)
    freedom = len(days) - len(means)
    spread = sum((float(cost) - means[day.weekday()]) ** 2 for day, cost in days)
    variance = spread / freedom
    ahead = [(today, 1 - elapsed), *((day, 1.0) for day in left)]
    added = sum(means[day.weekday()] * share for day, share in ahead)
    error = _Z * sqrt(variance * (_own(ahead) + _of_means(ahead, days)))
    return Forecast(
        expected=spent + _money(added),
        low=spent + _money(max(added - error, 0.0)),
        high=spent + _money(added + error),
    )


def trimmed(history: Mapping[date, Decimal], today: date) -> list[tuple[date, Decimal]]:
    """The last eight weeks before today, from the first day that cost anything."""
    first = today - WEEKS * 7 * _DAY
    days = sorted((day, cost) for day, cost in history.items() if first <= day < today)
    begun = next((index for index, (_, cost) in enumerate(days) if cost), len(days))
    return days[begun:]


def _means(days: Sequence[tuple[date, Decimal]]) -> dict[int, float]:
    by_weekday: dict[int, list[float]] = {}
    for day, cost in days:
        by_weekday.setdefault(day.weekday(), []).append(float(cost))
    return {day: sum(costs) / len(costs) for day, costs in by_weekday.items()}


def _own(ahead: Sequence[tuple[date, float]]) -> float:
    """Each day to come strays by itself."""
    return sum(share for _, share in ahead)


def _of_means(
    ahead: Sequence[tuple[date, float]], days: Sequence[tuple[date, Decimal]]
) -> float:
    """A mean of few days strays too, for all its weekdays to come at once."""
    shares: dict[int, float] = {}
    for day, share in ahead:
        shares[day.weekday()] = shares.get(day.weekday(), 0.0) + share
    known: dict[int, int] = {}
    for day, _ in days:
        known[day.weekday()] = known.get(day.weekday(), 0) + 1
    return sum(share**2 / known[weekday] for weekday, share in shares.items())


def _money(amount: float) -> Decimal:
    return Decimal(f"{amount:.12f}")
