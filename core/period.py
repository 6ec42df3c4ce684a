"""Periods of a report, and the window before each to compare it with."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.errors import Invalid

PRESETS = {"24h": 1, "7d": 7, "30d": 30, "90d": 90}


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open window ``[start, end)``, both aware, in a named zone."""

    start: datetime
    end: datetime
    zone: str
    preset: str = ""

    @property
    def previous(self) -> "Period":
        """The equal window that ends where this one starts."""
        return Period(self.start - (self.end - self.start), self.start, self.zone)

    @property
    def days(self) -> float:
        return (self.end - self.start) / timedelta(days=1)

    @property
    def label(self) -> str:
        zone = ZoneInfo(self.zone)
        first = self.start.astimezone(zone)
        last = self.end.astimezone(zone)
        return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} {self.zone}"


def preset(name: str, *, zone: str, at: datetime) -> Period:
    """The window of a preset that ends at ``at``. Raises Invalid."""
    if name not in PRESETS:
        raise Invalid(f"Unknown period {name!r}: use one of {', '.join(PRESETS)}.")
    return Period(at - timedelta(days=PRESETS[name]), at, zone, preset=name)


def custom(first: date, last: date, *, zone: str) -> Period:
    """Whole local days from ``first`` to ``last``, both included. Raises Invalid."""
    if last < first:
        raise Invalid("The period ends before it starts: swap the two dates.")
    info = ZoneInfo(zone)
    return Period(
        datetime.combine(first, time(), info),
        datetime.combine(last + timedelta(days=1), time(), info),
        zone,
    )
