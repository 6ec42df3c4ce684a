"""Tools, what changed between their versions, and how they are used."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Aggregate, Count, F, FloatField, Max, Q, QuerySet, Sum

from audit.web import Rights
from core.errors import NotFound
from finops.models import UsageEvent
from gateway.models import Run, Tool, ToolCall, ToolVersion
from policy.access import RUNS_READ

# Beyond this many lines a diff is neither quick to make nor read by anybody.
_LONGEST_DIFF = 3_000


class Percentile(Aggregate):
    """PostgreSQL's exact ``percentile_cont``."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, expression: str, *, share: float, **extra: Any):
        super().__init__(expression, share=share, **extra)


def tools() -> QuerySet[Tool]:
    """Every tool with server, current version (schemas deferred), environments."""
    return (
        Tool.objects.exclude(current=None)
        .select_related("server", "current")
        .defer("current__input_schema", "current__output_schema", "server__secrets")
        .prefetch_related("environments")
        .order_by("server__name", "name", "pk")
    )


def tool_named(server: str, name: str) -> Tool:
    """One tool with its server, version and environments. Raises NotFound."""
    tool = (
        Tool.objects.select_related("server", "current")
        .prefetch_related("environments")
        .exclude(current=None)
        .filter(server__name=server, name=name)
        .first()
    )
    if tool is None:
        raise NotFound(f"There is no tool {server}.{name} in the catalog.")
    return tool


def readers_beside(tool: Tool, *, most: int = 300) -> list[str]:
    """The server's other read tools, as it spells them: what may look a call up."""
    rows = tool.server.tools.filter(effect="read", removed_at=None).exclude(pk=tool.pk)
    return list(rows.order_by("original").values_list("original", flat=True)[:most])


def all_tags() -> tuple[str, ...]:
    """Every tag in use, sorted."""
    rows = Tool.objects.filter(removed_at=None).exclude(tags=[]).values_list("tags")
    return tuple(sorted({str(tag) for (tags,) in rows for tag in tags}))


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a diff; ``kind`` is ``added``, ``removed``, ``same`` or ``place``."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class VersionChange:
    """A version and what it changed against the one before (None for the first)."""

    version: ToolVersion
    diff: tuple[DiffLine, ...] | None
    too_long: bool = False


def history(tool: Tool, *, most: int = 20) -> tuple[VersionChange, ...]:
    """The newest versions of a tool, each with its changes, newest first."""
    rows = list(tool.versions.order_by("-number")[: most + 1])
    earlier: Sequence[ToolVersion | None] = [*rows[1:], None]
    pairs = list(zip(rows, earlier, strict=True))[:most]
    return tuple(_change(version, before) for version, before in pairs)


def _change(version: ToolVersion, before: ToolVersion | None) -> VersionChange:
    if before is None:
        return VersionChange(version, None)
    old, new = _as_text(before), _as_text(version)
    if len(old) > _LONGEST_DIFF or len(new) > _LONGEST_DIFF:
        return VersionChange(version, None, too_long=True)
    lines = difflib.unified_diff(old, new, lineterm="", n=3)
    return VersionChange(version, tuple(_marked(lines)))


def _as_text(version: ToolVersion) -> list[str]:
    shown = {
        "title": version.title,
        "description": version.description,
        "annotations": version.annotations,
        "input": version.input_schema,
        "output": version.output_schema,
    }
    text = json.dumps(shown, indent=2, sort_keys=True, ensure_ascii=False)
    return text.splitlines()


def _marked(lines: Iterable[str]) -> Iterable[DiffLine]:
    kinds = {"+": "added", "-": "removed", "@": "place"}
    for number, line in enumerate(lines):
        if number >= 2:
            yield DiffLine(kinds.get(line[:1], "same"), line)


@dataclass(frozen=True, slots=True)
class Usage:
    """How a tool was called in a window, by the teams that a person may see.

    Seconds are of calls that ended; ``error_rate`` is a share of all ended calls.
    """

    calls: int
    errors: int
    error_rate: float | None
    p50: float | None
    p95: float | None
    last_at: datetime | None
    costs: tuple[tuple[Decimal | None, str], ...]
    callers: tuple["Caller", ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called a tool, how often and when last."""

    principal: str
    team: str
    calls: int
    last_at: datetime


def _calls(access: Rights, since: datetime) -> QuerySet[ToolCall]:
    calls = ToolCall.objects.filter(intent_at__gte=since)
    teams = access.teams_for(RUNS_READ)
    return calls if teams is None else calls.filter(run__team__in=teams)


_ENDED = ~Q(outcome="")
_WENT_WRONG = Q(
    outcome__in=["tool_error", "failed", "unknown", "invalid", "denied", "withheld"]
)


def usage(tool: str, *, access: Rights, since: datetime) -> Usage:
    """Use of ``server.tool`` since a time, in three queries."""
    calls = _calls(access, since).filter(tool=tool)
    sums = calls.aggregate(
        calls=Count("pk"),
        ended=Count("pk", filter=_ENDED),
        errors=Count("pk", filter=_WENT_WRONG),
        p50=Percentile("seconds", share=0.5),
        p95=Percentile("seconds", share=0.95),
        last_at=Max("intent_at"),
    )
    callers = (
        calls.values(principal=F("run__principal"), team=F("run__team"))
        .annotate(calls=Count("pk"), last_at=Max("intent_at"))
        .order_by("-last_at", "principal")[:8]
    )
    return Usage(
        calls=sums["calls"],
        errors=sums["errors"],
        error_rate=sums["errors"] / sums["ended"] if sums["ended"] else None,
        p50=sums["p50"],
        p95=sums["p95"],
        last_at=sums["last_at"],
        costs=_costs(tool, access=access, since=since),
        callers=tuple(Caller(**row) for row in callers),
    )


def _costs(
    tool: str, *, access: Rights, since: datetime
) -> tuple[tuple[Decimal | None, str], ...]:
    booked = UsageEvent.objects.filter(sku=f"tool/{tool}", at__gte=since)
    teams = access.teams_for(RUNS_READ)
    if teams is not None:
        booked = booked.filter(team__in=teams)
    rows = booked.values_list("currency").annotate(total=Sum("cost"))
    return tuple((total, currency) for currency, total in rows.order_by("currency"))


@dataclass(frozen=True, slots=True)
class Brief:
    """A tool's use in one line of a list."""

    calls: int = 0
    error_rate: float | None = None
    p95: float | None = None


def usage_by_tool(
    names: Sequence[str], *, access: Rights, since: datetime
) -> Mapping[str, Brief]:
    """Use of each of these tools since a time, in one query."""
    rows = (
        _calls(access, since)
        .filter(tool__in=names)
        .values("tool")
        .annotate(
            calls=Count("pk"),
            ended=Count("pk", filter=_ENDED),
            errors=Count("pk", filter=_WENT_WRONG),
            p95=Percentile("seconds", share=0.95),
        )
    )
    return {
        row["tool"]: Brief(
            calls=row["calls"],
            error_rate=row["errors"] / row["ended"] if row["ended"] else None,
            p95=row["p95"],
        )
        for row in rows
    }


def runs_with(tool: str) -> QuerySet[Run]:
    """Runs that called ``server.tool`` at least once."""
    return Run.objects.filter(calls__tool=tool).distinct()
