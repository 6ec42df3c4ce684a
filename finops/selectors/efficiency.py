"""What failed work cost: attempts that failed, and tasks that came to nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.money import total
from core.period import Period
from finops.selectors.measures import BUCKET, LOOSE, OF_TOOLS, calls_of, key_of
from finops.selectors.rows import rows
from finops.selectors.scope import Scope, of_calls, of_facts, of_loose_usage, of_usage

_COUNTS = ("runs", "wasted_runs", "retried_runs", "unrated_runs")
_COSTS = ("cost", "attempts", "failed", "abandoned", "retries")
# {r} is the fact of a run, t that of its task. Each cost is wasted for one reason.
_LOST = "t.outcome IS NOT NULL"
_COUNTED = f"""count(*) AS runs,
  count(*) FILTER (WHERE NOT f.succeeded OR {_LOST}) AS wasted_runs,
  count(*) FILTER (WHERE f.attempt > 1) AS retried_runs,
  count(*) FILTER (WHERE f.unrated > 0) AS unrated_runs"""
_NOT_COUNTED = ", ".join(f"0 AS {name}" for name in _COUNTS)
_SPENT = f"""sum({{cost}}) AS cost,
  sum({{cost}}) FILTER (WHERE NOT {{r}}.succeeded AND NOT {_LOST}) AS attempts,
  sum({{cost}}) FILTER (WHERE t.outcome = 'failed') AS failed,
  sum({{cost}}) FILTER (WHERE t.outcome = 'abandoned') AS abandoned,
  sum({{cost}}) FILTER (WHERE {{r}}.attempt > 1) AS retries"""
_NOT_SPENT = ", ".join(f"0 AS {name}" for name in _COSTS)
_OF_FACT = "CASE WHEN f.currency = %(currency)s THEN f.cost END"
_OF_USAGE = "CASE WHEN u.currency = %(currency)s THEN u.cost END"
# The few tasks that were lost, not all: their rows are what the join holds.
_LOST_TASKS = """LEFT JOIN (SELECT task, outcome FROM finops_taskfact
  WHERE outcome IN ('failed', 'abandoned'){more}) t ON t.task ="""
_TASK = _LOST_TASKS.format(more="")
# A task ended when its last run did, so not before any of them.
_RECENT_TASK = _LOST_TASKS.format(more=" AND ended_at >= %(start)s")
_SUMS = (
    *(f"sum({name})::bigint AS {name}" for name in _COUNTS),
    *(f"coalesce(sum({name}), 0) AS {name}" for name in _COSTS),
)
_ALL = f"""SELECT key, {", ".join(_SUMS)} FROM (
{{parts}}
) parts GROUP BY key"""  # noqa: S608 - constants of this module
# What was reported for a task alone belongs to no attempt of it.
_NO_RUN = "(SELECT NULL::boolean AS succeeded, NULL::int AS attempt) m"


@dataclass(frozen=True, slots=True)
class Waste:
    """What a group's runs of a period cost, and how much of it came to nothing.

    ``attempts`` are runs that failed in tasks that may still come, or came, to a good
    end; ``failed`` and ``abandoned`` all runs of such tasks. ``retries`` are all runs
    but the first of each task, whatever came of them: another view, never added.
    """

    runs: int = 0
    wasted_runs: int = 0
    retried_runs: int = 0
    unrated_runs: int = 0
    cost: Decimal = Decimal(0)
    attempts: Decimal = Decimal(0)
    failed: Decimal = Decimal(0)
    abandoned: Decimal = Decimal(0)
    retries: Decimal = Decimal(0)

    @property
    def wasted(self) -> Decimal:
        return total((self.attempts, self.failed, self.abandoned))

    @property
    def share(self) -> float | None:
        """Of the cost; None where there is none."""
        return float(self.wasted / self.cost) if self.cost else None

    @property
    def unrated_share(self) -> float | None:
        """Runs of which something has no price, and so no cost, of all runs."""
        return self.unrated_runs / self.runs if self.runs else None


NOTHING = Waste()


@dataclass(frozen=True, slots=True)
class Group:
    """The waste of one key. ``key`` is "" where the dimension is not known."""

    key: str
    waste: Waste


@dataclass(frozen=True, slots=True)
class Efficiency:
    """The whole, and groups by falling waste."""

    total: Waste
    groups: tuple[Group, ...]


def efficiency(scope: Scope, period: Period, by: str = "") -> Efficiency:
    """The report of the runs that ended in ``period``; ``by`` is in DIMENSIONS.

    By tool or server a run counts with each one that it called, and cost is the
    tool's own, so that groups do not add up to the whole.
    """
    found = _waste_by(scope, period, by) if by else {}
    groups = [Group(key, waste) for key, waste in found.items()]
    groups.sort(key=lambda one: (-one.waste.wasted, -one.waste.cost, one.key))
    if by and by not in OF_TOOLS:
        return Efficiency(_sum(found.values()), tuple(groups))
    whole = _waste_by(scope, period, "").get("", NOTHING)
    return Efficiency(whole, tuple(groups))


def _sum(found: Iterable[Waste]) -> Waste:
    """Of groups that share no run and no cost."""
    held = list(found)
    sums: dict[str, Any] = {
        name: sum(getattr(one, name) for one in held) for name in _COUNTS
    }
    for name in _COSTS:
        sums[name] = total(getattr(one, name) for one in held)
    return Waste(**sums)


def over_time(scope: Scope, period: Period) -> list[Waste]:
    """The waste of each bucket of ``period``."""
    found = {
        period.bucket_of(at): waste
        for at, waste in _waste_by(scope, period, BUCKET).items()
    }
    return [found.get(at, NOTHING) for at in period.buckets()]


def _waste_by(scope: Scope, period: Period, by: str) -> dict[Any, Waste]:
    of_tools = scope.narrows_tools or by in OF_TOOLS
    parts = _tool_use(scope, by) if of_tools else _whole_runs(by)
    where = of_usage(scope, period) if of_tools else of_loose_usage(scope, period)
    facts = of_facts(scope, period)
    query = _ALL.format(parts="\nUNION ALL ".join(parts))
    query = query.replace("{facts}", facts.sql).replace("{usage}", where.sql)
    parameters = where.parameters | facts.parameters | of_calls(scope).parameters
    return {row.pop("key"): Waste(**row) for row in rows(query, parameters)}


def _whole_runs(by: str) -> tuple[str, ...]:
    """Runs with all their cost, and what was spent outside of any."""
    [key], [loose] = key_of(by)("f", "f.ended_at"), key_of(by)(LOOSE, "u.at")
    spent = _SPENT.format(cost=_OF_FACT, r="f")
    outside = _SPENT.format(cost=_OF_USAGE, r="m")
    return (
        f"SELECT {key} AS key, {_COUNTED}, {spent} FROM finops_runfact f "  # noqa: S608
        f"{_RECENT_TASK} f.task WHERE {{facts}} GROUP BY 1",
        f"SELECT {loose} AS key, {_NOT_COUNTED}, {outside} "  # noqa: S608
        f"FROM finops_usageevent u CROSS JOIN {_NO_RUN} "
        f"{_TASK} u.task AND u.task <> '' WHERE {{usage}} GROUP BY 1",
    )


def _tool_use(scope: Scope, by: str) -> tuple[str, ...]:
    """Runs with each tool they called, and what the calls cost."""
    of = by if by in OF_TOOLS else ""
    [key], [called] = key_of(by)("f", "f.ended_at"), key_of(by)("u", "u.at")
    spent = _SPENT.format(cost=_OF_USAGE, r="m")
    return (
        f"SELECT {key} AS key, {_COUNTED}, {_NOT_SPENT} FROM finops_runfact f "  # noqa: S608
        f"{calls_of(scope, of)} {_RECENT_TASK} f.task WHERE {{facts}} GROUP BY 1",
        f"SELECT {called} AS key, {_NOT_COUNTED}, {spent} FROM finops_usageevent u "  # noqa: S608
        f"LEFT JOIN finops_runfact m ON m.run = u.run {_TASK} m.task "
        "WHERE {usage} AND u.kind = 'tool_call' GROUP BY 1",
    )
