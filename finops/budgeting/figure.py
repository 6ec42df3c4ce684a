"""The chart of a budget's window, in the grammar of Plotly."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Protocol


class _Day(Protocol):
    @property
    def day(self) -> date: ...
    @property
    def cost(self) -> Decimal: ...
    @property
    def total(self) -> Decimal | None: ...
    @property
    def amount(self) -> Decimal: ...


def figure(
    days: Sequence[_Day],
    *,
    currency: str,
    limit: Decimal | None,
    forecast: Decimal | None,
    low: Decimal | None,
    high: Decimal | None,
) -> dict[str, Any]:
    """Cost by day, what the window had cost by then, its amount, and its forecast."""
    names = [f"{one.day:%Y-%m-%d}" for one in days]
    known = [one for one in days if one.total is not None]
    unit = f" {currency}"
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": "Cost by day",
            "x": names,
            "y": [float(one.cost) for one in days],
            "marker": {"color": "var(--tg-chart-2)"},
            "hovertemplate": f"%{{x}}<br>%{{y:,.4~f}}{unit} that day<extra></extra>",
        },
        _line(
            "Spent by then",
            [f"{one.day:%Y-%m-%d}" for one in known],
            [one.total for one in known],
            {"color": "var(--tg-chart-1)", "width": 3},
            unit,
        ),
        _line(
            "Amount",
            names,
            [one.amount for one in days],
            {"color": "var(--tg-text)", "dash": "dot", "shape": "hv"},
            unit,
        ),
    ]
    if limit is not None and days and limit != days[-1].amount:
        data.append(
            _line(
                "Hard stop",
                names,
                [limit] * len(names),
                {"color": "var(--tg-bad)", "dash": "dash"},
                unit,
            )
        )
    if forecast is not None and known and known[-1].total is not None:
        data += _cone(known[-1], days[-1].day, forecast, low, high, unit)
    layout = {
        "bargap": 0.25,
        "showlegend": False,
        "margin": {"l": 64, "r": 12, "t": 12, "b": 36},
        "xaxis": {"type": "date", "showgrid": False},
        "yaxis": {"title": {"text": currency}, "rangemode": "tozero"},
    }
    return {"data": data, "layout": layout}


def _cone(
    today: _Day,
    last: date,
    forecast: Decimal,
    low: Decimal | None,
    high: Decimal | None,
    unit: str,
) -> list[dict[str, Any]]:
    """From today's sum to the forecast, with its interval at the end."""
    ends = [f"{today.day:%Y-%m-%d}", f"{last:%Y-%m-%d}"]
    style = {"color": "var(--tg-chart-1)", "dash": "dot", "width": 2}
    line = _line("Forecast", ends, [today.total, forecast], style, unit)
    line["mode"] = "lines+markers"
    if low is not None and high is not None:
        line["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [0, float(high - forecast)],
            "arrayminus": [0, float(forecast - low)],
            "color": "var(--tg-chart-1)",
        }
    return [line]


def _line(
    name: str,
    x: Sequence[str],
    y: Sequence[Decimal | None],
    style: dict[str, Any],
    unit: str,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": [None if one is None else float(one) for one in y],
        "line": style,
        "hovertemplate": f"{name}: %{{y:,.4~f}}{unit}<extra></extra>",
    }
