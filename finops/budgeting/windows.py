"""When the windows of a budget begin and end, on the local calendar."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open stretch of time ``[start, end)`` in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Calendar:
    """Windows in local days of ``zone``: each begins and ends at a local midnight.

    Without ``first`` they are the calendar's months. Else one window goes from
    ``first`` to ``last``, both included; with ``every_days`` such windows follow each
    other from ``first`` on, until ``last`` if there is one.
    """

    zone: str
    first: date | None = None
    last: date | None = None
    every_days: int | None = None

    def at(self, at: datetime) -> Window | None:
        """The window that holds this moment; None before the first, after the last."""
        return self.on(at.astimezone(ZoneInfo(self.zone)).date())

    def on(self, day: date) -> Window | None:
        """The window that holds this local day."""
        if self.first is None:
            begins = day.replace(day=1)
            return self._window(begins, (begins + 31 * _DAY).replace(day=1))
        if day < self.first or (self.last is not None and day > self.last):
            return None
        if self.every_days is None:
            return self._window(self.first, (self.last or day) + _DAY)
        length = timedelta(days=self.every_days)
        begins = self.first + (day - self.first) // length * length
        ends = begins + length
        if self.last is not None:
            ends = min(ends, self.last + _DAY)
        return self._window(begins, ends)

    def back_from(self, at: datetime) -> Iterator[Window]:
        """The window that holds this moment, then those before it, without end."""
        window = self.at(at)
        while window is not None:
            yield window
            window = self.at(window.start - timedelta(microseconds=1))

    def days(self, window: Window) -> list[date]:
        """The local days of a window."""
        zone = ZoneInfo(self.zone)
        day, found = window.start.astimezone(zone).date(), []
        # A window ends at a midnight: the day before is its last.
        last = (window.end - timedelta(microseconds=1)).astimezone(zone).date()
        while day <= last:
            found.append(day)
            day += _DAY
        return found

    def _window(self, begins: date, ends: date) -> Window:
        return Window(self.midnight(begins), self.midnight(ends))

    def midnight(self, day: date) -> datetime:
        """When a local day begins, in UTC: also on a day that the clock changes."""
        return datetime.combine(day, time(), ZoneInfo(self.zone)).astimezone(UTC)
