"""When a report is due: the zone's own clock, summer time and month ends."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.report_times import Rhythm


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rhythm", "after", "due"),
    [
        # New York leaves 2 o'clock out on 8 March 2026; it has 1 o'clock twice on
        # 1 November.
        (Rhythm("day", 7, "America/New_York"), "2026-03-07 13:00", "2026-03-08 11:00"),
        (Rhythm("day", 2, "America/New_York"), "2026-03-08 06:00", "2026-03-08 07:00"),
        (Rhythm("day", 1, "America/New_York"), "2026-11-01 04:00", "2026-11-01 05:00"),
        (Rhythm("day", 1, "America/New_York"), "2026-11-01 05:00", "2026-11-02 06:00"),
        (Rhythm("day", 7, "Asia/Kathmandu"), "2026-05-01 01:15", "2026-05-02 01:15"),
        (Rhythm("week", 0, "Pacific/Auckland"), "2026-09-25 00:00", "2026-09-27 11:00"),
        (Rhythm("month", 6, "UTC", day=31), "2028-02-01 00:00", "2028-02-29 06:00"),
        (Rhythm("month", 6, "UTC", day=31), "2027-02-28 06:00", "2027-03-31 06:00"),
        (Rhythm("week", 7, "UTC", weekday=4), "2026-11-20 07:00", "2026-11-27 07:00"),
    ],
)
def test_the_next_time(rhythm: Rhythm, after: str, due: str) -> None:
    assert rhythm.following(_at(after)) == _at(due)


_rhythms = st.builds(
    Rhythm,
    st.sampled_from(["day", "week", "month"]),
    st.integers(0, 23),
    st.sampled_from(
        [
            "UTC",
            "America/New_York",
            "Pacific/Auckland",
            "Asia/Kathmandu",
            "Africa/Cairo",
        ]
    ),
    st.integers(0, 6),
    st.integers(1, 31),
)
_times = st.integers(1_704_067_200, 1_956_528_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


@given(_rhythms, _times)
def test_it_is_always_later_on_its_hour_and_none_is_left_out(
    rhythm: Rhythm, after: datetime
) -> None:
    due = rhythm.following(after)
    assert due > after
    local = due.astimezone(ZoneInfo(rhythm.zone))
    assert (local.hour - rhythm.hour) % 24 in (0, 1)
    longest = {"day": 2, "week": 8, "month": 32}[rhythm.every]
    assert due - after <= timedelta(days=longest)
    # From any moment before it, that same time is next.
    assert rhythm.following(due - timedelta(seconds=1)) == due


def test_a_year_of_days_has_a_mail_each() -> None:
    rhythm = Rhythm("day", 2, "America/New_York")
    at = _at("2026-01-01 12:00")
    days = set()
    for _ in range(365):
        at = rhythm.following(at)
        days.add(at.astimezone(ZoneInfo("America/New_York")).date())
    assert len(days) == 365


def test_words() -> None:
    assert Rhythm("week", 7, "UTC").words == "every Monday at 07:00 UTC"
    assert Rhythm("day", 0, "UTC").words == "every day at 00:00 UTC"
    assert Rhythm("month", 7, "UTC", day=3).words == (
        "on day 3 of each month at 07:00 UTC"
    )
