"""The chart of a quota's past windows, in the grammar of Plotly."""

from collections.abc import Sequence
from typing import Any

from policy.quota_selectors import NEAR, PastWindow


def figure(windows: Sequence[PastWindow], *, unit: str) -> dict[str, Any]:
    """What was used in each window, with the limit as a line over it."""
    # Naive text: Plotly would shift anything with a zone.
    starts = [f"{window.start:%Y-%m-%dT%H:%M}" for window in windows]
    used = {
        "type": "bar",
        "name": "Used",
        "x": starts,
        "y": [float(window.used) for window in windows],
        "marker": {"color": [_colour(window) for window in windows]},
        "customdata": [window.refused for window in windows],
        "hovertemplate": f"%{{x}}<br>%{{y:,}} {unit} used, %{{customdata}} refused"
        "<extra></extra>",
    }
    limit = {
        "type": "scatter",
        "mode": "lines",
        "name": "Limit",
        "x": starts,
        "y": [window.limit for window in windows],
        "line": {"color": "var(--tg-muted)", "dash": "dot", "width": 2, "shape": "hv"},
        "hovertemplate": f"limit %{{y:,}} {unit}<extra></extra>",
    }
    layout = {
        "bargap": 0.25,
        "showlegend": False,
        "margin": {"l": 56, "r": 12, "t": 12, "b": 36},
        "xaxis": {"type": "date", "showgrid": False},
        "yaxis": {"title": {"text": unit}, "rangemode": "tozero", "tickformat": "~s"},
    }
    return {"data": [used, limit], "layout": layout}


def _colour(window: PastWindow) -> str:
    if window.refused or window.used >= window.limit:
        return "var(--tg-bad)"
    near = window.used >= window.limit * NEAR
    return "var(--tg-chart-4)" if near else "var(--tg-chart-1)"
