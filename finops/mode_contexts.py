"""What the page, the files and REST tell of scripts, direct calls and models."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from core.money import show
from core.period import Period
from core.templatetags.tollgate import seconds
from finops.figure_groups import Bar, group_bars
from finops.figures import Figure
from finops.labels import runs_url
from finops.mode_words import comparison_rows, percent
from finops.modes import MODES, Stratum, Tally
from finops.report_table import Table
from finops.selectors.modes import Cell, ModesReport
from finops.selectors.reports import EXACT, per

_COLOURS = {"script": "var(--tg-chart-1)", "direct": "var(--tg-chart-2)"}
_KNOWN = ("measured", "reported", "estimated")
_MOST_BARS, _MOST_SETS = 12, 50


@dataclass(frozen=True, slots=True)
class CellRow:
    """A cell in words, with the runs behind it."""

    label: str
    tasks: str
    first_try: str
    interval: str
    completed: str
    tokens: tuple[str, ...]
    p50: str
    p95: str
    cost: str
    per_action: str
    avoided: str
    unrated: int
    runs_url: str


@dataclass(frozen=True, slots=True)
class SetRow:
    """A set of tools that both scripts and direct calls used."""

    tools: tuple[str, ...]
    scripts: str
    direct: str
    runs_url: str


def cell_rows(
    report: ModesReport, period: Period, chosen: Mapping[str, str]
) -> list[CellRow]:
    """The cells as their table shows them."""
    return [_cell(cell, period, chosen) for cell in report.cells]


def _cell(cell: Cell, period: Period, chosen: Mapping[str, str]) -> CellRow:
    tally = cell.tally
    mean, action = per(tally.cost, tally.tasks), per(tally.cost, tally.actions)
    query = {**chosen, "mode": cell.mode, "model": cell.model}
    known = [(name, cell.known[name]) for name in _KNOWN if name in cell.known]
    return CellRow(
        label=label_of(cell.mode, cell.model),
        tasks=f"{tally.tasks:,}",
        first_try=percent(tally.first_try / tally.tasks),
        interval=_range(tally.interval),
        completed=percent(tally.completed / tally.tasks),
        tokens=tuple(
            f"{part.tokens / part.tasks:,.0f} {name}, {part.tasks:,} "
            f"task{'s' if part.tasks != 1 else ''}"
            for name, part in known
        ),
        p50=seconds(cell.p50),
        p95=seconds(cell.p95),
        cost=show(mean) if mean is not None else "–",
        per_action=show(action) if action is not None else "–",
        avoided=f"{tally.avoided:,}",
        unrated=tally.unrated,
        runs_url=runs_url(query, period),
    )


def label_of(mode: str, model: str) -> str:
    """A cell in words."""
    return f"{MODES.get(mode, mode)}, {model or 'model not reported'}"


def _range(interval: tuple[float, float] | None) -> str:
    return f"{interval[0] * 100:.1f} to {interval[1] * 100:.1f} %" if interval else "–"


def figure(report: ModesReport, rows: list[CellRow]) -> Figure:
    """First-try success of each cell, with its interval."""
    cells = list(zip(report.cells, rows, strict=True))[:_MOST_BARS]
    made = group_bars(
        bars=[
            Bar(
                name=row.label,
                value=cell.tally.first_try / cell.tally.tasks * 100,
                before=None,
                link=row.runs_url,
                low=cell.tally.interval[0] * 100 if cell.tally.interval else None,
                high=cell.tally.interval[1] * 100 if cell.tally.interval else None,
            )
            for cell, row in cells
        ],
        unit="% at first try",
        name="First-try success",
        ghost="",
    )
    [bars, _] = made["data"]
    colours = [_COLOURS.get(cell.mode, "var(--tg-chart-3)") for cell, _ in cells]
    bars["marker"] = {"color": colours}
    made["layout"]["xaxis"]["range"] = [0, 103]
    return {"data": [bars], "layout": made["layout"]}


def set_rows(
    report: ModesReport, period: Period, chosen: Mapping[str, str]
) -> list[SetRow]:
    """The sets of tools that both kinds of run used, the most used first."""
    sets: dict[tuple[str, ...], dict[str, Tally]] = {}
    for one in report.strata:
        found = sets.setdefault(one.tools, {})
        found[one.mode] = found.get(one.mode, Tally()) + one.tally
    both = [(tools, found) for tools, found in sets.items() if len(found) == len(MODES)]
    both.sort(key=lambda pair: (-sum(one.tasks for one in pair[1].values()), pair[0]))
    return [
        SetRow(
            tools=tools,
            scripts=_brief(found["script"]),
            direct=_brief(found["direct"]),
            runs_url=runs_url({**chosen, "tool": tools[0]}, period) if tools else "",
        )
        for tools, found in both[:_MOST_SETS]
    ]


def _brief(tally: Tally) -> str:
    return f"{tally.first_try:,} of {tally.tasks:,}"


def table(report: ModesReport, period: Period) -> Table:
    """Every stratum, exact: what all figures of the page are worked out from."""
    names = (
        *("mode", "model", "tools", "known", "tasks", "first_try", "completed"),
        *("tokens", "cost", "currency", "actions", "tokens_avoided", "unrated"),
        *("precision", "period_start", "period_end", "zone"),
    )
    return Table(
        title="Script or direct",
        summary="",
        caption="",
        names=names,
        rows=[_exact(one, period) for one in report.strata],
        headings=(),
        shown=(),
    )


def _exact(one: Stratum, period: Period) -> tuple[Any, ...]:
    tally = one.tally
    return (
        one.mode,
        one.model,
        " ".join(one.tools),
        one.known,
        tally.tasks,
        tally.first_try,
        tally.completed,
        tally.tokens,
        tally.cost,
        settings.CURRENCY,
        tally.actions,
        tally.avoided,
        tally.unrated,
        EXACT,
        period.start,
        period.end,
        period.zone,
    )


def answer(report: ModesReport) -> dict[str, Any]:
    """Cells and comparisons as REST gives them; amounts are text."""
    return {
        "cells": [_answer_cell(cell) for cell in report.cells],
        "comparisons": [
            {
                "title": row.title,
                "one": found.one,
                "other": found.other,
                "model": found.within,
                "comparable_tasks": [side.tasks for side in found.like],
                "all_tasks": [side.tasks for side in found.whole],
                "tool_sets": found.tool_sets,
                "enough": found.enough,
                "says": row.says,
                **{
                    name: asdict(difference) if difference else None
                    for name, difference in (
                        ("first_try", found.first_try),
                        ("completed", found.completed),
                        ("tokens_per_task", found.tokens),
                        ("cost_per_task", found.cost),
                    )
                },
            }
            for found, row in zip(
                report.comparisons, comparison_rows(report.comparisons), strict=True
            )
        ],
        "mixed_tasks": report.mixed,
    }


def _answer_cell(cell: Cell) -> dict[str, Any]:
    tally = cell.tally
    cost, action = per(tally.cost, tally.tasks), per(tally.cost, tally.actions)
    return {
        "mode": cell.mode,
        "model": cell.model,
        "tasks": tally.tasks,
        "first_try": tally.first_try,
        "first_try_interval": tally.interval,
        "completed": tally.completed,
        "tokens_per_task": {
            name: part.tokens / part.tasks for name, part in sorted(cell.known.items())
        },
        "p50_seconds": cell.p50,
        "p95_seconds": cell.p95,
        "cost_per_task": None if cost is None else f"{cost:f}",
        "cost_per_action": None if action is None else f"{action:f}",
        "tokens_avoided": tally.avoided,
        "unrated": tally.unrated,
    }
