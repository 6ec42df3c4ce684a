"""Windows of budgets on local calendars: months, days of their own, changed clocks."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.budgeting.windows import Calendar, Window

AUCKLAND, NEW_YORK, KATHMANDU = "Pacific/Auckland", "America/New_York", "Asia/Kathmandu"
ZONES = (AUCKLAND, NEW_YORK, KATHMANDU, "UTC")
HOUR = timedelta(hours=1)
_START = datetime(2024, 1, 1, 0, 30, tzinfo=UTC)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "at", "start", "end"),
    [
        # The last hour of October in UTC is November in Auckland, October in New York.
        (AUCKLAND, "2026-10-31T12:00", "2026-10-31T11:00", "2026-11-30T11:00"),
        (NEW_YORK, "2026-11-01T03:59", "2026-10-01T04:00", "2026-11-01T04:00"),
        (NEW_YORK, "2026-11-01T04:00", "2026-11-01T04:00", "2026-12-01T05:00"),
        (KATHMANDU, "2026-02-28T18:14", "2026-01-31T18:15", "2026-02-28T18:15"),
        (KATHMANDU, "2026-02-28T18:15", "2026-02-28T18:15", "2026-03-31T18:15"),
        # Leap years have a 29th, and the month holds it.
        ("UTC", "2028-02-29T23:59", "2028-02-01T00:00", "2028-03-01T00:00"),
        (AUCKLAND, "2028-02-29T10:59", "2028-01-31T11:00", "2028-02-29T11:00"),
    ],
)
def test_months_are_those_of_the_zone(zone: str, at: str, start: str, end: str) -> None:
    assert Calendar(zone).at(_utc(at)) == Window(_utc(start), _utc(end))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (NEW_YORK, date(2026, 3, 8), 23),
        (NEW_YORK, date(2026, 11, 1), 25),
        (AUCKLAND, date(2026, 9, 27), 23),
        (AUCKLAND, date(2026, 4, 5), 25),
        (KATHMANDU, date(2026, 3, 8), 24),
    ],
)
def test_a_day_of_its_own_is_as_long_as_its_clock_says(
    zone: str, day: date, hours: int
) -> None:
    window = Calendar(zone, day, day).on(day)
    assert window is not None
    assert window.end - window.start == hours * HOUR


def test_days_of_its_own_are_one_window_and_nothing_around_it() -> None:
    calendar = Calendar("UTC", date(2026, 11, 3), date(2026, 11, 9))
    assert calendar.at(_utc("2026-11-02T23:59")) is None
    assert calendar.at(_utc("2026-11-10T00:00")) is None
    week = Window(_utc("2026-11-03T00:00"), _utc("2026-11-10T00:00"))
    assert calendar.at(week.start) == week
    assert calendar.at(week.end - timedelta(microseconds=1)) == week
    assert len(calendar.days(week)) == 7


def test_fortnights_follow_each_other_until_the_last_day() -> None:
    calendar = Calendar(NEW_YORK, date(2026, 10, 25), date(2026, 11, 20), 14)
    first = calendar.on(date(2026, 10, 25))
    second = calendar.on(date(2026, 11, 8))
    assert first is not None
    assert second is not None
    # The clock goes back within the first: fourteen days and an hour.
    assert first.end - first.start == timedelta(days=14, hours=1)
    assert second == Window(first.end, _utc("2026-11-21T05:00"))
    assert calendar.on(date(2026, 11, 21)) is None
    assert list(calendar.back_from(second.start)) == [second, first]


@given(
    st.sampled_from(ZONES),
    st.integers(0, 8 * 365 * 24).map(lambda hours: _START + hours * HOUR),
    st.one_of(st.none(), st.integers(1, 40)),
)
def test_windows_tile_time(zone: str, at: datetime, every: int | None) -> None:
    calendar = (
        Calendar(zone, date(2023, 11, 1), None, every) if every else Calendar(zone)
    )
    later, earlier = islice(calendar.back_from(at), 2)
    assert later.start <= at < later.end
    assert earlier.end == later.start
    days = calendar.days(later)
    assert calendar.midnight(days[0]) == later.start
    assert calendar.midnight(days[-1] + timedelta(days=1)) == later.end
    if every:
        assert len(days) == every
