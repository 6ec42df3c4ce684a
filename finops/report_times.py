"""When a report is due: an hour of a zone's own clock, with and without summer time."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY, WEEK, MONTH = "day", "week", "month"
WEEKDAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """``every`` day, week (on ``weekday``, Monday is 0) or month (on ``day``)."""

    every: str
    hour: int
    zone: str
    weekday: int = 0
    day: int = 1

    def following(self, after: datetime) -> datetime:
        """The first time that lies later than ``after``, in UTC.

        An hour that a clock leaves out comes an hour later; one that it shows twice
        counts the first time.
        """
        zone = ZoneInfo(self.zone)
        day = after.astimezone(zone).date() - timedelta(days=1)
        while True:
            if self._is_on(day):
                local = datetime.combine(day, time(self.hour), zone)
                if (found := local.astimezone(UTC)) > after:
                    return found
            day += timedelta(days=1)

    @property
    def words(self) -> str:
        """“every Monday at 07:00 Europe/Berlin”."""
        on = {
            DAY: "every day",
            WEEK: f"every {WEEKDAYS[self.weekday]}",
            MONTH: f"on day {self.day} of each month",
        }[self.every]
        return f"{on} at {self.hour:02}:00 {self.zone}"

    def _is_on(self, day: date) -> bool:
        if self.every == WEEK:
            return day.weekday() == self.weekday
        if self.every == MONTH:
            return day.day == min(self.day, monthrange(day.year, day.month)[1])
        return True
