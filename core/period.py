"""Periods of a report, and the window before each to compare it with."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.errors import Invalid

# Days with today in them; "24h" rolls with the clock.
PRESETS = {"24h": 1, "7d": 7, "30d": 30, "90d": 90}
MONTHS = {"month": 0, "last-month": 1}
HOUR, DAY = "hour", "day"
_LONGEST_DAYS = 400


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open window ``[start, end)``, both aware, in a named zone."""

    start: datetime
    end: datetime
    zone: str
    preset: str = ""

    @property
    def previous(self) -> "Period":
        """The equal window before this one.

        Whole days are shifted by as many days on the local clock, so that a day with
        23 or 25 hours stays one day and a day that is not over is compared with the
        same hours; months are shifted by a month, and other windows by their length.
        """
        info = ZoneInfo(self.zone)
        first, last = self.start.astimezone(info), self.end.astimezone(info)
        if self.preset in MONTHS:
            start = _month_before(first)
            end = start + (last.replace(tzinfo=None) - first.replace(tzinfo=None))
            if self.preset == "last-month":
                end = first
            return Period(start, min(end, first), self.zone)
        if first.time() != time():
            return Period(self.start - (self.end - self.start), self.start, self.zone)
        days = (last.date() - first.date()).days
        days += last.time() != time()
        shift = timedelta(days=days)
        return Period(first - shift, last - shift, self.zone)

    @property
    def days(self) -> float:
        return (self.end.astimezone(UTC) - self.start.astimezone(UTC)) / timedelta(
            days=1
        )

    @property
    def unit(self) -> str:
        """What its charts count by: hours up to two days, else days."""
        return HOUR if self.days <= 2.1 else DAY

    @property
    def label(self) -> str:
        zone = ZoneInfo(self.zone)
        first = self.start.astimezone(zone)
        last = self.end.astimezone(zone)
        if first.time() == last.time() == time():
            last -= timedelta(days=1)
            days = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
            return f"{days if first < last else f'{first:%Y-%m-%d}'} {self.zone}"
        return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} {self.zone}"

    def bucket_of(self, at: datetime) -> datetime:
        """The local bucket that ``at`` lies in.

        Naive for days; for hours aware, as an autumn night has two of the same name.
        """
        local = at.astimezone(ZoneInfo(self.zone))
        if self.unit == DAY:
            return datetime.combine(local.date(), time())
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)

    def buckets(self) -> Iterator[datetime]:
        """Every bucket of the period in order, also those in which nothing was."""
        if self.start >= self.end:
            return
        bucket = self.bucket_of(self.start)
        last = self.bucket_of(self.end - timedelta(microseconds=1))
        while bucket <= last:
            yield bucket
            bucket += timedelta(days=1) if self.unit == DAY else timedelta(hours=1)

    def local(self, bucket: datetime) -> str:
        """A bucket as a chart shows it: naive local time in ISO form."""
        if bucket.tzinfo is None:
            return f"{bucket:%Y-%m-%d}"
        return f"{bucket.astimezone(ZoneInfo(self.zone)):%Y-%m-%dT%H:%M}"


def preset(name: str, *, zone: str, at: datetime) -> Period:
    """The window of a preset that ends at ``at``. Raises Invalid.

    Presets of days begin at a local midnight: the last of the days is today.
    """
    local = at.astimezone(ZoneInfo(zone))
    midnight = datetime.combine(local.date(), time(), local.tzinfo)
    if name in MONTHS:
        first = midnight.replace(day=1)
        if name == "month":
            return Period(first, local, zone, preset=name)
        return Period(_month_before(first), first, zone, preset=name)
    if name not in PRESETS:
        known = ", ".join([*PRESETS, *MONTHS])
        raise Invalid(f"Unknown period {name!r}: use one of {known}.")
    if name == "24h":
        return Period(at - timedelta(days=1), at, zone, preset=name)
    first = midnight - timedelta(days=PRESETS[name] - 1)
    return Period(first, local, zone, preset=name)


def custom(first: date, last: date, *, zone: str) -> Period:
    """Whole local days from ``first`` to ``last``, both included. Raises Invalid."""
    if last < first:
        raise Invalid("The period ends before it starts: swap the two dates.")
    if (last - first).days >= _LONGEST_DAYS:
        raise Invalid(f"Choose a period of at most {_LONGEST_DAYS} days.")
    if not 1970 <= first.year <= last.year < 2200:
        raise Invalid("Choose dates between 1970 and 2199.")
    info = ZoneInfo(zone)
    return Period(
        datetime.combine(first, time(), info),
        datetime.combine(last + timedelta(days=1), time(), info),
        zone,
    )


def _month_before(first: datetime) -> datetime:
    return (first - timedelta(days=1)).replace(day=1)


def asked_for(
    *, first: date | None, last: date | None, name: str, zone: str, at: datetime
) -> Period:
    """Days of one's own where any is given, else the preset. Raises Invalid.

    Without a first day it is the last alone; without a last it goes on until today.
    """
    if not first and not last:
        return preset(name, zone=zone, at=at)
    today = at.astimezone(ZoneInfo(zone)).date()
    end = last or max(today, first or today)
    return custom(first or end, end, zone=zone)
