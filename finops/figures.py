"""Figures in the grammar of Plotly, coloured by the page's own variables.

They are plain mappings, since Plotly's classes cost 30 MB and a second in each
process; a test builds each of them with those classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any, TypedDict


class Figure(TypedDict):
    """What ``Plotly.react`` takes."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]


COLOURS = 7
_MOST_HOVER, _LONGEST_HOVER = 5, 80
_OTHERS = "var(--tg-chart-ghost)"


@dataclass(frozen=True, slots=True)
class Stack:
    """One layer of a stacked bar: a value and an address for each bucket."""

    name: str
    values: Sequence[Decimal]
    links: Sequence[str]
    others: bool = False


def stacked_bars(
    *,
    buckets: Sequence[str],
    stacks: Sequence[Stack],
    before: Sequence[Decimal],
    unit: str,
    ghost: str = "Previous period",
) -> Figure:
    """Bars by bucket with the period before as a dotted line over them."""
    bars = [
        {
            "type": "bar",
            "name": stack.name,
            "x": list(buckets),
            "y": [float(value) for value in stack.values],
            "customdata": [[link] for link in stack.links],
            "marker": {"color": _colour(index, stack)},
            "hovertemplate": f"%{{x}}<br>%{{y:.6~g}} {unit}",
        }
        for index, stack in enumerate(stacks)
    ]
    line = {
        "type": "scatter",
        "mode": "lines+markers" if len(buckets) < 3 else "lines",
        "name": ghost,
        "x": list(buckets),
        "y": [float(value) for value in before],
        "line": {"color": "var(--tg-muted)", "dash": "dot", "width": 2},
        "hovertemplate": f"{ghost.lower()}<br>%{{y:.6~g}} {unit}",
    }
    layout: dict[str, Any] = {
        "barmode": "stack",
        "bargap": 0.25,
        "showlegend": False,  # the page has one that wraps on small screens
        "margin": {"l": 56, "r": 12, "t": 12, "b": 36},
        "xaxis": {
            "type": "date",
            "showgrid": False,
            # Naive local text: Plotly would shift anything with a zone.
            "tickformat": "%H:%M\n%-d %b" if "T" in buckets[0] else "%-d %b",
        },
        "yaxis": {"title": {"text": unit}, "rangemode": "tozero", "tickformat": "~g"},
    }
    return {"data": [*bars, line] if before else bars, "layout": layout}


def with_marks(
    figure: Figure, found: Sequence[tuple[str, str]], *, colour: str = "var(--tg-muted)"
) -> Figure:
    """The figure with an upright line at each bucket in ``found`` (bucket, words)."""
    if not found:
        return figure
    words: dict[str, list[str]] = {}
    for bucket, text in found:
        words.setdefault(bucket, []).append(text)
    line = {"color": colour, "width": 1, "dash": "dash"}
    layout = figure["layout"] | {
        "shapes": [
            {
                "type": "line",
                "x0": bucket,
                "x1": bucket,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": line,
            }
            for bucket in words
        ],
        "yaxis2": {
            "overlaying": "y",
            "range": [0, 1],
            "visible": False,
            "fixedrange": True,
        },
    }
    # A line has no hover: a mark at its head tells what happened.
    heads = {
        "type": "scatter",
        "mode": "markers",
        "name": "Deployments and changes",
        "x": list(words),
        "y": [0.985] * len(words),
        "yaxis": "y2",
        "marker": {"symbol": "triangle-down", "size": 10, "color": colour},
        "text": ["<br>".join(_short(texts)) for texts in words.values()],
        "hovertemplate": "%{x}<br>%{text}<extra></extra>",
    }
    return {"data": [*figure["data"], heads], "layout": layout}


def _short(texts: Sequence[str]) -> list[str]:
    """What fits beside a pointer; the list below the chart has all."""
    shown = [
        text if len(text) <= _LONGEST_HOVER else f"{text[: _LONGEST_HOVER - 1]}…"
        for text in texts[:_MOST_HOVER]
    ]
    more = len(texts) - len(shown)
    # Plotly reads a few tags in texts: none comes from outside.
    safe = [escape(text) for text in shown]
    return [*safe, f"and {more} more"] if more else safe


@dataclass(frozen=True, slots=True)
class Effects:
    """A row of a chart of effects: its name, an address, an amount for each effect."""

    name: str
    link: str
    amounts: Sequence[Decimal]


def effect_bars(
    *, effects: Sequence[str], rows: Sequence[Effects], unit: str
) -> Figure:
    """Lying bars, a row each: what raises to the right, what lowers to the left."""
    names = [row.name for row in rows]
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": effect,
            "y": names,
            "x": [float(row.amounts[index]) for row in rows],
            "customdata": [[row.link] for row in rows],
            "marker": {"color": f"var(--tg-chart-{index + 1})"},
            "hovertemplate": f"%{{y}}<br>{effect} %{{x:+.6~g}} {unit}",
        }
        for index, effect in enumerate(effects)
    ]
    layout: dict[str, Any] = {
        "barmode": "relative",
        "bargap": 0.35,
        "showlegend": False,
        "height": 110 + 34 * len(rows),
        "margin": {"l": 12, "r": 12, "t": 12, "b": 44},
        "xaxis": {"title": {"text": unit}, "tickformat": "+~g", "zeroline": True},
        # The largest stands first; a long name must not push the bars away.
        "yaxis": {"autorange": "reversed", "type": "category", "ticklabelstandoff": 6},
    }
    return {"data": bars, "layout": layout}


def legend(figure: Figure) -> list[tuple[str, str]]:
    """Each layer's key (a class of ``finops.css``) and name, in order."""
    found: list[tuple[str, str]] = []
    for index, trace in enumerate(figure["data"]):
        colour = trace.get("marker", {}).get("color")
        if trace.get("yaxis") == "y2":
            key = "mark"
        elif trace["type"] != "bar":
            key = trace.get("meta", "before")
        elif colour == _OTHERS:
            key = "others"
        else:
            key = str(index % COLOURS + 1)
        found.append((key, trace["name"]))
    return found


def _colour(index: int, stack: Stack) -> str:
    return _OTHERS if stack.others else f"var(--tg-chart-{index % COLOURS + 1})"


@dataclass(frozen=True, slots=True)
class Line:
    """A figure over time; None where there is none. ``before`` is that of the other."""

    name: str
    values: Sequence[float | None]
    links: Sequence[str] = ()
    before: bool = False


def lines(*, buckets: Sequence[str], found: Sequence[Line], unit: str) -> Figure:
    """Lines over time with a dot at each bucket; a gap where there is no figure."""
    traces: list[dict[str, Any]] = []
    for index, line in enumerate(found):
        colour = "var(--tg-muted)" if line.before else f"var(--tg-chart-{index + 1})"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if not line.before else "lines",
                "name": line.name,
                "meta": "before" if line.before else str(index + 1),
                "x": list(buckets),
                "y": list(line.values),
                "customdata": [[link] for link in line.links],
                "connectgaps": False,
                "line": {
                    "color": colour,
                    "width": 2,
                    **({"dash": "dot"} if line.before else {}),
                },
                "hovertemplate": f"%{{x}}<br>%{{y:.6~g}} {unit}",
            }
        )
    layout: dict[str, Any] = {
        "showlegend": False,
        "margin": {"l": 56, "r": 12, "t": 12, "b": 36},
        "xaxis": {
            "type": "date",
            "showgrid": False,
            "tickformat": "%H:%M\n%-d %b" if "T" in buckets[0] else "%-d %b",
        },
        "yaxis": {"title": {"text": unit}, "tickformat": "~g"},
    }
    return {"data": traces, "layout": layout}
