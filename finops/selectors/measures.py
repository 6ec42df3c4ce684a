"""The sums that every report is made of, by any keys. docs/metrics.md says how."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.period import Period
from finops.selectors.rows import UNRATED
from finops.selectors.scope import (
    Scope,
    of_calls,
    of_facts,
    of_loose_usage,
    of_tasks,
    of_usage,
)

# The only texts that reach a query as a column; {t} is the alias of its table.
SHARED = {
    "team": "{t}.team",
    "cost_centre": "{t}.cost_centre",
    "project": "{t}.project",
    "environment": "{t}.environment",
    "principal": "{t}.principal",
    "model": "{t}.model",
}
OF_RUNS = ("mode", "language")
OF_TOOLS = {"tool": "c.tool", "server": "c.server"}
BUCKET = "bucket"
# The alias of usage that belongs to no run, and so has neither mode nor language.
LOOSE = "loose"
DIMENSIONS = (*SHARED, *OF_RUNS, *OF_TOOLS)

_RUNS = {
    "runs": "count(*)",
    "failed": "count(*) FILTER (WHERE f.status = 'failed')",
    "cancelled": "count(*) FILTER (WHERE f.status = 'cancelled')",
    "avoided": "sum(f.tokens_avoided)",
    "newest": "max(f.ended_at)",
}
_WHOLE_RUNS = _RUNS | {
    "cost": "sum(f.cost) FILTER (WHERE f.currency = %(currency)s)",
    "unrated": "sum(f.unrated)",
    "actions": "sum(f.successful_calls)",
}
_FIRST = {
    "tried": "count(*) FILTER (WHERE f.tried)",
    "first_try": "count(*) FILTER (WHERE f.tried AND f.first_succeeded)",
}
_TASKS = {
    "tasks": "count(*)",
    "completed_tasks": "count(*) FILTER (WHERE f.outcome = 'succeeded')",
    "abandoned_tasks": "count(*) FILTER (WHERE f.outcome = 'abandoned')",
    "pending_tasks": "count(*) FILTER (WHERE f.outcome = 'pending')",
    "measured_tasks": "count(*) FILTER (WHERE f.known = 'measured')",
    "reported_tasks": "count(*) FILTER (WHERE f.known = 'reported')",
    "task_tokens": "sum(f.tokens)",
}
_USAGE = {
    "cost": "sum(u.cost) FILTER (WHERE u.currency = %(currency)s)",
    "unrated": UNRATED,
}
# What was spent outside a run is part of all cost, and of all tokens.
_LOOSE = _USAGE | {
    "loose_tokens": "sum(u.quantity) FILTER (WHERE u.kind = 'tokens')",
}
COUNTED = (
    *("runs", "failed", "cancelled", "avoided", "actions", "unrated", "tried"),
    *("first_try", *_TASKS, "loose_tokens"),
)
MEASURES = (*COUNTED, "cost", "newest")
_OUTER = {
    **{name: f"coalesce(sum({name}), 0)::bigint" for name in COUNTED},
    "cost": "coalesce(sum(cost), 0)",
    "newest": "max(newest)",
}
_NOTHING = dict.fromkeys(MEASURES, "0") | {"newest": "NULL::timestamptz"}

# The tools of a run or a task that are asked for: one row a key.
_CALLS = """CROSS JOIN LATERAL (
  SELECT {key} AS key, sum(c.ok) AS ok FROM (
    SELECT tool, split_part(tool, '.', 1) AS server, ok
    FROM unnest(f.tools, {successes}) AS used (tool, ok)) c
  WHERE {where} GROUP BY 1) c"""

Keys = Callable[[str, str], Sequence[str]]
"""Gives the columns to sum by, from a table's alias and its column of time."""


@dataclass(frozen=True, slots=True)
class Part:
    """Sums of one table; ``source`` is all that follows FROM."""

    keys: Sequence[str]
    values: Mapping[str, str]
    source: str

    @property
    def sql(self) -> str:
        """The SELECT, with every measure in order; those it has not are 0."""
        values = ", ".join((_NOTHING | dict(self.values))[name] for name in MEASURES)
        keys = ", ".join((*self.keys, ""))
        by = ", ".join(str(number + 1) for number in range(len(self.keys)))
        return f"SELECT {keys}{values} FROM {self.source} GROUP BY {by}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Query:
    """Parts that are added up, and the values of their parameters."""

    parts: tuple[str, ...]
    parameters: Mapping[str, Any]

    def sql(self, names: Sequence[str]) -> str:
        """All parts added up; ``names`` are those of the keys."""
        keys, values = ", ".join(names), ", ".join((*names, *MEASURES))
        outer = ", ".join(f"{_OUTER[name]} AS {name}" for name in MEASURES)
        union = "\nUNION ALL ".join(self.parts)
        return (
            f"SELECT {keys}, {outer} FROM (\n{union}\n) parts ({values}) "  # noqa: S608
            f"GROUP BY {keys}"
        )


def whole_runs(scope: Scope, period: Period, keys: Keys) -> Query:
    """Runs and tasks, and what belongs to no run."""
    runs, loose = of_facts(scope, period), of_loose_usage(scope, period)
    parts = (
        Part(
            keys("f", "f.ended_at"), _WHOLE_RUNS, f"finops_runfact f WHERE {runs.sql}"
        ),
        *_of_tasks(scope, period, keys, ""),
        Part(keys(LOOSE, "u.at"), _LOOSE, f"finops_usageevent u WHERE {loose.sql}"),
    )
    return Query(tuple(part.sql for part in parts), loose.parameters | runs.parameters)


def tool_use(scope: Scope, period: Period, keys: Keys, of: str) -> Query:
    """Runs and tasks with each tool they called; cost and actions are the tool's own.

    ``of`` is "tool" or "server" to have a row with each, "" for one with any; ``keys``
    find its name as ``c.key``, and in the ledger as the column ``u.tool`` or
    ``u.server``.
    """
    runs, calls, usage = (
        of_facts(scope, period),
        of_calls(scope),
        of_usage(scope, period),
    )
    lateral = _lateral(of, calls.sql, "f.tool_successes")
    tasks = _lateral(of, calls.sql, "ARRAY[]::integer[]")
    source = f"finops_runfact f {lateral} WHERE {runs.sql}"
    # A call's row has no mode of its own.
    ledger = (
        "finops_usageevent u LEFT JOIN finops_runfact m ON m.run = u.run "
        f"WHERE {usage.sql} AND u.kind = 'tool_call'"
    )
    parts = (
        Part(keys("f", "f.ended_at"), _RUNS | {"actions": "sum(c.ok)"}, source),
        *_of_tasks(scope, period, keys, tasks),
        Part(keys("u", "u.at"), _USAGE, ledger),
    )
    return Query(
        tuple(part.sql for part in parts),
        usage.parameters | runs.parameters | calls.parameters,
    )


def calls_of(scope: Scope, of: str) -> str:
    """What to join ``finops_runfact f`` with to have ``c.key``, by tool or server."""
    return _lateral(of, of_calls(scope).sql, "f.tool_successes")


def _lateral(of: str, where: str, successes: str) -> str:
    key = OF_TOOLS.get(of, "''")
    return _CALLS.format(key=key, where=where, successes=successes)


def _of_tasks(scope: Scope, period: Period, keys: Keys, lateral: str) -> list[Part]:
    found = []
    for time, values in (("first_ended_at", _FIRST), ("ended_at", _TASKS)):
        where = of_tasks(scope, period, time).sql
        source = f"finops_taskfact f {lateral} WHERE {where}"
        found.append(Part(keys("f", f"f.{time}"), values, source))
    return found


def key_of(by: str) -> Keys:
    """The one key of a report: a dimension, BUCKET, or "" for the total."""

    def keys(alias: str, time: str) -> Sequence[str]:
        if by == BUCKET:
            return [f"date_trunc(%(unit)s, {time}, %(zone)s)"]
        if by in OF_TOOLS:
            return ["c.key" if alias == "f" else f"u.{by}"]
        if by in OF_RUNS:
            return [_of_run(alias, by)]
        table = "u" if alias == LOOSE else alias
        if by == "project":
            return [f"{table}.team || '/' || {table}.project"]
        return [SHARED[by].format(t=table) if by else "''"]

    return keys


def all_keys(of: str) -> Keys:
    """Every dimension: those of DIMENSIONS without the tools, then server and tool."""

    def keys(alias: str, time: str) -> Sequence[str]:
        used = {"tool": "''", "server": "''"}
        if of and alias == "f":
            used[of] = "c.key"
            if of == "tool":
                used["server"] = "split_part(c.key, '.', 1)"
        elif of:
            used["server"] = "u.server"
            used["tool"] = "u.tool" if of == "tool" else "''"
        table = "u" if alias == LOOSE else alias
        shared = [text.format(t=table) for text in SHARED.values()]
        of_runs = [_of_run(alias, name) for name in OF_RUNS]
        return [*shared, *of_runs, used["server"], used["tool"]]

    return keys


def _of_run(alias: str, name: str) -> str:
    if alias == LOOSE:
        return "''"
    return f"f.{name}" if alias == "f" else f"coalesce(m.{name}, '')"
