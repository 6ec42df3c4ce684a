"""Quotas as values: what covers an act, in which window, and when it will be full."""

import math
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

CALLS = "calls"
RUNS = "runs"
TOKENS = "tokens"
CPU = "cpu_seconds"
CONCURRENT = "concurrent_runs"
METRICS = (CALLS, RUNS, TOKENS, CPU, CONCURRENT)
WORDS = {
    CALLS: "tool calls",
    RUNS: "runs",
    TOKENS: "tokens",
    CPU: "sandbox CPU-seconds",
    CONCURRENT: "runs at once",
}
HELD = frozenset({TOKENS, CPU, CONCURRENT})
"""Metrics of which a run holds a reservation until it ends."""
AT_ONCE = ""
"""The window of concurrent runs, which has no end."""
WINDOWS = ("minute", "hour", "day", "month")
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
# When something ends cannot be known: ask again about as often as runs end.
_RETRY_AT_ONCE = 5
# A rate measured over less of the window than this says too little.
_TOO_EARLY = Decimal("0.02")


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota as the decision point holds it in memory; empty scopes mean any."""

    id: int
    metric: str
    window: str
    limit: int
    team: str = ""
    key_id: int | None = None
    key: str = ""
    tool: str = ""
    environment: str = ""

    @property
    def scope(self) -> str:
        """Whose acts count, in words."""
        return scope_words(
            team=self.team, key=self.key, tool=self.tool, environment=self.environment
        )

    def __str__(self) -> str:
        return amount_words(self.metric, self.limit, self.window)


def scope_words(*, team: str, key: str, tool: str, environment: str) -> str:
    """A scope in words: ``team sales, tool crm.*, environment prod``."""
    given = {"team": team, "key": key, "tool": tool, "environment": environment}
    return ", ".join(f"{k} {v}" for k, v in given.items() if v) or "organization"


def amount_words(metric: str, limit: int, window: str) -> str:
    """A limit in words: ``25 tool calls an hour``, ``4 runs at once``."""
    per = {"hour": " an hour"}.get(window, f" a {window}" if window in WINDOWS else "")
    return f"{limit:,} {WORDS[metric]}{per}"


@dataclass(frozen=True, slots=True)
class Want:
    """What an act asks of a metric: ``amount``, or what is left from ``least`` on."""

    metric: str
    amount: Decimal = Decimal(1)
    least: Decimal | None = None
    """None: the whole amount or nothing."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A want against one quota that covers it, in its present window."""

    limit: Limit
    start: datetime
    end: datetime | None
    want: Want

    def granted(self, *, used: Decimal, limit: int) -> Decimal | None:
        """What can be had now; None where that is too little."""
        least = self.want.amount if self.want.least is None else self.want.least
        granted = min(self.want.amount, limit - used)
        return granted if granted >= least else None

    def refusal(self, *, used: Decimal, limit: int, at: datetime) -> dict[str, Any]:
        """What the caller is told, as the details of the error."""
        least = self.want.amount if self.want.least is None else self.want.least
        return {
            "quota": self.limit.id,
            "scope": self.limit.scope,
            "metric": self.limit.metric,
            "limit": limit,
            "used": plain(used),
            "remaining": plain(max(limit - used, Decimal(0))),
            "window": self.limit.window or "at_once",
            "resets_at": self.end.isoformat() if self.end else None,
            "retry_after": None if least > limit else self._retry_after(at),
        }

    def _retry_after(self, at: datetime) -> int:
        if self.end is None:
            return _RETRY_AT_ONCE
        return max(1, math.ceil((self.end - at).total_seconds()))


def covering(
    limits: Iterable[Limit],
    metrics: Container[str],
    *,
    key_id: int | None,
    tool: str = "",
) -> tuple[Limit, ...]:
    """The quotas that count an act, in the one order in which all lock them.

    Team and environment are matched when the limits are read.
    """
    found = [
        limit
        for limit in limits
        if limit.metric in metrics
        and limit.key_id in (None, key_id)
        and (not limit.tool or fnmatchcase(tool, limit.tool))
    ]
    return tuple(sorted(found, key=lambda limit: limit.id))


def ask_of(limit: Limit, want: Want, *, at: datetime) -> Ask:
    """A want against one quota."""
    start, end = window_of(limit.window, at)
    return Ask(limit, start, end, want)


def asks(
    limits: Iterable[Limit],
    wants: Iterable[Want],
    *,
    at: datetime,
    key_id: int | None,
) -> list[Ask]:
    """Each quota that covers one of the wants, in its present window."""
    by_metric = {want.metric: want for want in wants}
    return [
        ask_of(limit, by_metric[limit.metric], at=at)
        for limit in covering(limits, by_metric, key_id=key_id)
    ]


def plain(amount: Decimal) -> int | str:
    """An amount as JSON: whole where it is whole, else text, since floats are inexact.

    >>> plain(Decimal("3.000")), plain(Decimal("0.250"))
    (3, '0.25')
    """
    whole = int(amount)
    return whole if whole == amount else f"{tidy(amount)}"


def tidy(amount: Decimal) -> Decimal:
    """The same amount without zeros at its end, nor an exponent.

    >>> tidy(Decimal("4000.000")), tidy(Decimal("0.250"))
    (Decimal('4000'), Decimal('0.25'))
    """
    whole = amount.to_integral_value()
    return whole if whole == amount else amount.normalize()


def window_of(window: str, at: datetime) -> tuple[datetime, datetime | None]:
    """Start and end (UTC) of the window that ``at`` lies in; UTC has no summer time."""
    if window == AT_ONCE:
        return _ALWAYS, None
    minute = at.astimezone(UTC).replace(second=0, microsecond=0)
    if window == "minute":
        return minute, minute + timedelta(minutes=1)
    hour = minute.replace(minute=0)
    if window == "hour":
        return hour, hour + timedelta(hours=1)
    day = hour.replace(hour=0)
    if window == "day":
        return day, day + timedelta(days=1)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a quota will be full if its window goes on as it began, and why."""

    full_at: datetime | None
    because: str
    made_at: datetime


def forecast(
    *, used: Decimal, limit: int, start: datetime, end: datetime | None, at: datetime
) -> Forecast:
    """The straight line from nothing at ``start`` through ``used`` now."""
    if end is None:
        return Forecast(None, "Runs at once come and go: there is no rate.", at)
    if used >= limit:
        return Forecast(at, "Nothing is left in this window.", at)
    whole = Decimal((end - start).total_seconds())
    elapsed = Decimal((at - start).total_seconds())
    if elapsed < whole * _TOO_EARLY:
        return Forecast(None, "The window has only begun: too early to tell.", at)
    seconds = elapsed * (limit - used) / used if used else whole
    span = _span(elapsed)
    rate = f"{_short(used)} used in the first {span}, {_short(limit - used)} left"
    if not used:
        return Forecast(None, f"Nothing used in the first {span}.", at)
    if seconds >= Decimal((end - at).total_seconds()):
        return Forecast(None, f"{rate}: at this rate some is left at the reset.", at)
    return Forecast(at + timedelta(seconds=float(seconds)), f"{rate}.", at)


def _short(amount: Decimal) -> str:
    return f"{amount:,.0f}" if amount >= 100 else f"{amount.normalize():,f}"


def _span(seconds: Decimal) -> str:
    minutes = int(seconds) // 60
    if minutes < 1:
        return f"{int(seconds)} s"
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
