"""Tasks by kind of run, model and the set of tools that they used."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.period import Period
from finops.modes import DIRECT, MODES, SCRIPT, Comparison, Stratum, Tally, compare
from finops.selectors.rows import rows
from finops.selectors.scope import Scope, of_tasks

MOST_MODELS = 5
_OF_ONE_MODE = """NOT EXISTS (SELECT FROM finops_runfact o
  WHERE o.task = f.task AND o.mode <> f.mode)"""
# Of direct calls each is a run of its own: the first alone says little of the task.
_STRATA = """
SELECT f.mode, f.model, f.tools, f.known, r.mixed, count(*) AS tasks,
  count(*) FILTER (WHERE CASE f.mode WHEN 'direct' THEN r.clean
    ELSE f.first_succeeded END) AS first_try,
  count(*) FILTER (WHERE f.outcome = 'succeeded') AS completed,
  sum(f.tokens)::bigint AS tokens, sum(f.tokens::float8 ^ 2) AS tokens_squared,
  sum(f.run_cost + f.loose_cost) AS cost,
  sum((f.run_cost + f.loose_cost)::float8 ^ 2) AS cost_squared,
  sum(f.successful_calls)::bigint AS actions, sum(r.avoided)::bigint AS avoided,
  sum(f.unrated)::bigint AS unrated
FROM finops_taskfact f CROSS JOIN LATERAL (
  SELECT coalesce(bool_and(o.succeeded), false) AS clean,
    coalesce(bool_or(o.mode <> f.mode), false) AS mixed,
    coalesce(sum(o.tokens_avoided), 0) AS avoided
  FROM finops_runfact o WHERE o.task = f.task
) r WHERE {where} GROUP BY f.mode, f.model, f.tools, f.known, r.mixed
"""
_TIMES = """
SELECT f.mode, f.model,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY t.seconds) AS p50,
  percentile_cont(0.95) WITHIN GROUP (ORDER BY t.seconds) AS p95
FROM finops_taskfact f CROSS JOIN LATERAL (
  SELECT extract(epoch FROM f.ended_at - f.started_at)::float8 AS seconds
) t WHERE {where} AND {one_mode} GROUP BY f.mode, f.model
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """The tasks of one kind of run and model; ``known`` are tasks by kind of tokens."""

    mode: str
    model: str
    tally: Tally
    known: Mapping[str, Tally]
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class ModesReport:
    """Cells by falling number of tasks, comparisons, and what both are made of.

    ``mixed`` tasks had runs of both kinds and are in neither.
    """

    cells: tuple[Cell, ...]
    comparisons: tuple[Comparison, ...]
    strata: tuple[Stratum, ...]
    mixed: int


def modes_report(scope: Scope, period: Period) -> ModesReport:
    """Kinds of run and models over the tasks whose first run ended in the period.

    Tasks with two calls or more, whose outcome is settled. Always exact; two queries.
    """
    found = of_tasks(replace(scope, tool="", server=""), period, "first_ended_at")
    parts, parameters = [found.sql, "f.tried", "f.outcome <> 'pending'"], {}
    if scope.tool:
        parts.append("%(tool)s = ANY(f.tools)")
        parameters["tool"] = scope.tool
    if scope.server:
        parts.append(
            "EXISTS (SELECT FROM unnest(f.tools) u "
            "WHERE split_part(u, '.', 1) = %(server)s)"
        )
        parameters["server"] = scope.server
    where, values = " AND ".join(parts), found.parameters | parameters
    strata, mixed = _strata(where, values)
    times = {
        (row["mode"], row["model"]): (row["p50"], row["p95"])
        for row in rows(_TIMES.format(where=where, one_mode=_OF_ONE_MODE), values)
    }
    return ModesReport(
        cells=_cells(strata, times),
        comparisons=tuple(_comparisons(strata)),
        strata=strata,
        mixed=mixed,
    )


def _strata(where: str, values: dict[str, Any]) -> tuple[tuple[Stratum, ...], int]:
    made, mixed = [], 0
    for row in rows(_STRATA.format(where=where), values):
        place = [row.pop(name) for name in ("mode", "model", "tools", "known")]
        if row.pop("mixed"):
            mixed += row["tasks"]
            continue
        mode, model, tools, known = place
        made.append(Stratum(mode, model, tuple(tools), known, Tally(**row)))
    return tuple(made), mixed


def _cells(
    strata: tuple[Stratum, ...],
    times: Mapping[tuple[str, str], tuple[float | None, float | None]],
) -> tuple[Cell, ...]:
    sums: dict[tuple[str, str], dict[str, Tally]] = {}
    for one in strata:
        known = sums.setdefault((one.mode, one.model), {})
        known[one.known] = known.get(one.known, Tally()) + one.tally
    cells = [
        Cell(*place, sum(known.values(), Tally()), known, *times[place])
        for place, known in sums.items()
    ]
    return tuple(sorted(cells, key=lambda one: (-one.tally.tasks, one.model, one.mode)))


def _comparisons(strata: tuple[Stratum, ...]) -> list[Comparison]:
    """Scripts against direct calls, whole and by model; the chief model and others."""
    tasks: dict[str, int] = {}
    for one in strata:
        tasks[one.model] = tasks.get(one.model, 0) + one.tally.tasks
    ranked = sorted(tasks, key=lambda name: (-tasks[name], name))
    found = [_by_mode(strata)]
    models = [name for name in ranked if name][:MOST_MODELS]
    if len(tasks) > 1:
        found += [
            _by_mode(tuple(one for one in strata if one.model == name), name)
            for name in models
            if {one.mode for one in strata if one.model == name} == set(MODES)
        ]
    return (
        found
        + [
            compare(
                strata,
                one=lambda stratum, name=models[0]: stratum.model == name,  # type: ignore[misc]
                other=lambda stratum, name=name: stratum.model == name,  # type: ignore[misc]
                alike=lambda stratum: stratum.mode,
                names=(models[0], name),
            )
            for name in models[1:]
        ]
    )


def _by_mode(strata: tuple[Stratum, ...], model: str = "") -> Comparison:
    return compare(
        strata,
        one=lambda stratum: stratum.mode == SCRIPT,
        other=lambda stratum: stratum.mode == DIRECT,
        alike=lambda stratum: stratum.model,
        names=(MODES[SCRIPT], MODES[DIRECT]),
        within=model,
    )
