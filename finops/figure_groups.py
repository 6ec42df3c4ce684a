"""Bars by group: a figure, what it was in another window, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finops.figures import Figure


@dataclass(frozen=True, slots=True)
class Bar:
    """A group's figure. ``low`` and ``high`` bound where it may truly lie."""

    name: str
    value: float | None
    before: float | None
    link: str = ""
    low: float | None = None
    high: float | None = None


def group_bars(*, bars: Sequence[Bar], unit: str, name: str, ghost: str) -> Figure:
    """Lying bars, the first on top, with a diamond where the figure was before."""
    names = [bar.name for bar in bars]
    now: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": names,
        "x": [bar.value for bar in bars],
        "customdata": [[bar.link] for bar in bars],
        "marker": {"color": "var(--tg-chart-1)"},
        "hovertemplate": f"%{{y}}<br>%{{x:.6~g}} {unit}<extra></extra>",
    }
    if any(bar.high is not None for bar in bars):
        now["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [_reach(bar.value, bar.high) for bar in bars],
            "arrayminus": [_reach(bar.low, bar.value) for bar in bars],
            "color": "var(--tg-muted)",
            "thickness": 1.5,
        }
    before = {
        "type": "scatter",
        "mode": "markers",
        "name": ghost,
        "meta": "diamond",
        "y": names,
        "x": [bar.before for bar in bars],
        "marker": {"symbol": "diamond", "size": 9, "color": "var(--tg-chart-2)"},
        "hovertemplate": f"{ghost}<br>%{{x:.6~g}} {unit}<extra></extra>",
    }
    layout: dict[str, Any] = {
        "bargap": 0.4,
        "showlegend": False,
        "height": 110 + 34 * len(bars),
        "margin": {"l": 12, "r": 12, "t": 12, "b": 44},
        "xaxis": {"title": {"text": unit}, "tickformat": "~g", "rangemode": "tozero"},
        "yaxis": {"autorange": "reversed", "type": "category", "ticklabelstandoff": 6},
    }
    return {"data": [now, before], "layout": layout}


def _reach(low: float | None, high: float | None) -> float:
    return high - low if low is not None and high is not None else 0.0
