"""Words of the dimensions, and the addresses behind a group."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.urls import NoReverseMatch, reverse

from core.period import PRESETS, Period, custom

LABELS = {
    "team": "Team",
    "project": "Project",
    "environment": "Environment",
    "cost_centre": "Cost centre",
    "server": "Server",
    "tool": "Tool",
    "model": "Model",
    "token_kind": "Token kind",
    "principal": "Principal",
    "mode": "Kind of run",
    "language": "Language",
    "sku": "SKU",
    "day": "Day",
}
FILTERS = {
    "first": "From",
    "last": "To",
    "against_first": "Compare from",
    "against_last": "Compare to",
    "team": "Team",
    "project": "Project",
    "environment": "Environment",
    "mode": "Kind of run",
    "tool": "Tool",
    "model": "Model",
    "cost_centre": "Cost centre",
    "principal": "Principal",
    "server": "Server",
    "token_kind": "Token kind",
    "language": "Language",
    "sku": "SKU",
}
_EMPTY = {
    "server": "No server: tokens and sandbox",
    "tool": "No tool: tokens and sandbox",
    "model": "Not reported",
    "token_kind": "No model tokens",
    "mode": "No run",
    "language": "No script",
}
# Filters that the list of runs has too, under the same names.
_OF_RUNS = frozenset(
    {
        "team",
        "project",
        "environment",
        "mode",
        "tool",
        "model",
        "cost_centre",
        "principal",
        "server",
        "language",
    }
)
_OF_TIME = frozenset({"period", "first", "last", "against_first", "against_last"})
# The next finer question about a group.
_FINER = {
    "team": "project",
    "cost_centre": "team",
    "project": "tool",
    "environment": "team",
    "server": "tool",
    "tool": "team",
    "model": "team",
    "token_kind": "model",
    "mode": "team",
    "language": "team",
    "principal": "tool",
    "sku": "team",
    "day": "team",
}


def in_words(dimension: str) -> str:
    """A dimension within a sentence."""
    label = LABELS[dimension]
    return label if label.isupper() else label.lower()


def group_label(dimension: str, key: str) -> str:
    """A group as people read it."""
    return key or _EMPTY.get(dimension, "None")


def group_query(
    dimension: str, key: str, chosen: Mapping[str, str]
) -> dict[str, str] | None:
    """The filters of a group added to those in force; None where there is no such."""
    if not key:
        return None
    kept = {name: value for name, value in chosen.items() if value and name != "by"}
    if dimension == "day":
        kept.pop("period", None)
        return kept | {"first": key, "last": key}
    return kept | {dimension: key}


def report_url(
    dimension: str, query: Mapping[str, str], *, page: str = "costs", slug: str = ""
) -> str:
    """The report of a group, by the next finer dimension."""
    address = reverse(page, args=[slug] if slug else None)
    return f"{address}?{urlencode({**query, 'by': _FINER[dimension]})}"


def report_runs_url(chosen: Mapping[str, str], period: Period, *, failed: bool) -> str:
    """The runs behind a whole report; those that failed where that is the question."""
    query = {name: value for name, value in chosen.items() if name != "by"}
    return runs_url(query, period, **({"status": "failed"} if failed else {}))


def runs_by_day(
    buckets: Sequence[str], chosen: Mapping[str, str], zone: str, **more: str
) -> list[str]:
    """The runs of the day that each bucket lies in."""
    kept = {name: value for name, value in chosen.items() if name != "by"}
    days = [date.fromisoformat(bucket[:10]) for bucket in buckets]
    return [runs_url(kept, custom(day, day, zone=zone), **more) for day in days]


def runs_url(query: Mapping[str, str], period: Period, **more: str) -> str:
    """The runs behind a figure; empty where the list of runs has no such filter.

    Reports count a run where it ended, and so does the list then.
    """
    chosen = {
        name: value for name, value in query.items() if value and name not in _OF_TIME
    }
    if not _OF_RUNS.issuperset(chosen):
        return ""
    try:
        query = {**of_period(period), **chosen, **more, "counted": "ended"}
        return f"{reverse('runs')}?{urlencode(query)}"
    except NoReverseMatch:
        return ""


def of_period(period: Period) -> dict[str, str]:
    """A period as the filters of any page write it: a rolling preset, or dates."""
    if period.preset in PRESETS:
        return {"period": period.preset}
    zone = ZoneInfo(period.zone)
    last = period.end - timedelta(microseconds=1)
    return {
        "first": f"{period.start.astimezone(zone):%Y-%m-%d}",
        "last": f"{last.astimezone(zone):%Y-%m-%d}",
    }
