"""Days that cost far more than the same weekdays before.

The modified z-score of Iglewicz and Hoaglin (How to Detect and Handle Outliers, 1993):
0.6745 × (cost − median) ÷ MAD above 3.5. Median and MAD of the same weekdays, so that
neither a week's rhythm nor one earlier outlier hides or makes an unusual day. Where the
MAD is 0 (more than half of the days alike) the mean absolute deviation stands in, as
they propose; a spread below a twentieth of the median is taken as that, so that days
that are nearly alike do not alarm about pennies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from statistics import fmean, median

WEEKS = 8
LEAST_WEEKS = 4
THRESHOLD = 3.5
_MAD_OF_NORMAL = 0.6745
_MEAN_OF_NORMAL = 1.2533
_LEAST_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A day's cost, what such days usually cost, and by how much it stands out."""

    day: date
    cost: Decimal
    usual: Decimal
    score: float


def anomaly(
    history: Mapping[date, Decimal], day: date, *, least: Decimal = Decimal(0)
) -> Anomaly | None:
    """Whether ``day`` is unusually dear; None also where too few weeks are known.

    A rise by ``least`` or less is never worth an alarm.
    """
    before = [day - timedelta(weeks=week) for week in range(1, WEEKS + 1)]
    costs = [float(history[one]) for one in before if one in history]
    if day not in history or len(costs) < LEAST_WEEKS:
        return None
    cost, usual = float(history[day]), median(costs)
    spread = _spread(costs, usual)
    if not spread or cost - usual <= float(least):
        return None
    score = (cost - usual) / spread
    if score <= THRESHOLD:
        return None
    return Anomaly(day, history[day], Decimal(f"{usual:.12f}"), round(score, 1))


def _spread(costs: list[float], usual: float) -> float:
    """A robust stand-in for the standard deviation."""
    off = [abs(cost - usual) for cost in costs]
    spread = median(off) / _MAD_OF_NORMAL or fmean(off) * _MEAN_OF_NORMAL
    return max(spread, usual * _LEAST_SPREAD)
