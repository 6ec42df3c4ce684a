"""Windows of a report, on the local clock."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.period import custom, preset

NEW_YORK = "America/New_York"
AUCKLAND = "Pacific/Auckland"
AT = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
ZONES = ["UTC", NEW_YORK, AUCKLAND, "Asia/Kathmandu", "Africa/Cairo", "Asia/Beirut"]


def test_days_begin_at_the_local_midnight_and_end_now() -> None:
    week = preset("7d", zone=AUCKLAND, at=AT)
    # 10:05 UTC is 23:05 in Auckland on the same day.
    assert week.start == datetime(2026, 11, 14, tzinfo=ZoneInfo(AUCKLAND))
    assert week.end == AT
    assert len(list(week.buckets())) == 7
    assert week.previous.start == datetime(2026, 11, 7, tzinfo=ZoneInfo(AUCKLAND))
    assert week.previous.end == AT - timedelta(days=7)


def test_the_last_day_rolls_with_the_clock() -> None:
    day = preset("24h", zone="UTC", at=AT)
    assert (day.start, day.end) == (AT - timedelta(days=1), AT)
    assert day.previous.end == day.start
    assert day.previous.start == AT - timedelta(days=2)
    assert day.unit == "hour"
    assert len(list(day.buckets())) == 25  # the first and the last hour are parts


def test_a_spring_day_has_23_hours_and_its_previous_day_is_whole() -> None:
    day = custom(date(2026, 3, 8), date(2026, 3, 8), zone=NEW_YORK)
    assert day.days * 24 == 23
    assert len(list(day.buckets())) == 23
    assert day.previous.start == datetime(2026, 3, 7, tzinfo=ZoneInfo(NEW_YORK))
    assert day.previous.end == day.start
    assert day.previous.days == 1


def test_an_autumn_day_has_25_hours_with_names_in_order() -> None:
    day = custom(date(2026, 11, 1), date(2026, 11, 1), zone=NEW_YORK)
    names = [day.local(bucket) for bucket in day.buckets()]
    assert len(names) == 25
    assert names[:4] == [
        "2026-11-01T00:00",
        "2026-11-01T01:00",
        "2026-11-01T01:00",
        "2026-11-01T02:00",
    ]


def test_months_are_compared_with_months() -> None:
    month = preset("month", zone="UTC", at=AT)
    assert month.start == datetime(2026, 11, 1, tzinfo=UTC)
    assert month.previous.start == datetime(2026, 10, 1, tzinfo=UTC)
    assert month.previous.end == datetime(2026, 10, 20, 10, 5, tzinfo=UTC)
    last = preset("last-month", zone="UTC", at=AT)
    assert (last.start, last.end) == (
        datetime(2026, 10, 1, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
    )
    assert (last.previous.start, last.previous.end) == (
        datetime(2026, 9, 1, tzinfo=UTC),
        datetime(2026, 10, 1, tzinfo=UTC),
    )


def test_the_31st_is_compared_with_a_shorter_month_up_to_its_end() -> None:
    at = datetime(2026, 3, 31, 12, tzinfo=UTC)
    assert preset("month", zone="UTC", at=at).previous.end == datetime(
        2026, 3, 1, tzinfo=UTC
    )


@given(
    first=st.dates(date(2024, 1, 1), date(2027, 12, 31)),
    days=st.integers(0, 60),
    zone=st.sampled_from(ZONES),
)
def test_whole_days_meet_the_days_before_without_gap(
    first: date, days: int, zone: str
) -> None:
    period = custom(first, first + timedelta(days=days), zone=zone)
    assert period.previous.end == period.start
    before = custom(
        first - timedelta(days=days + 1), first - timedelta(days=1), zone=zone
    )
    assert period.previous.start == before.start


@given(
    first=st.dates(date(2024, 1, 1), date(2027, 12, 31)),
    days=st.integers(0, 20),
    zone=st.sampled_from(ZONES),
    share=st.floats(0, 0.999999),
)
def test_every_moment_lies_in_one_of_the_buckets(
    first: date, days: int, zone: str, share: float
) -> None:
    period = custom(first, first + timedelta(days=days), zone=zone)
    buckets = list(period.buckets())
    start = period.start.astimezone(UTC)
    moment = start + (period.end.astimezone(UTC) - start) * share
    assert period.bucket_of(moment) in buckets
    assert all(one < two for one, two in pairwise(buckets))


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (date(2026, 2, 1), date(2026, 1, 1), "swap the two dates"),
        (date(2020, 1, 1), date(2026, 1, 1), "at most 400 days"),
        (date(1, 1, 1), date(1, 1, 2), "between 1970"),
    ],
)
def test_impossible_ranges_say_what_to_do(
    first: date, last: date, message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        custom(first, last, zone="UTC")


def test_an_unknown_preset_names_the_known() -> None:
    with pytest.raises(Invalid, match="24h, 7d, 30d, 90d, month, last-month"):
        preset("fortnight", zone="UTC", at=AT)


def test_labels_name_the_zone() -> None:
    assert custom(date(2026, 11, 1), date(2026, 11, 2), zone="UTC").label == (
        "2026-11-01 to 2026-11-02 UTC"
    )
    assert preset("24h", zone="UTC", at=AT).label == (
        "2026-11-19 10:05 to 2026-11-20 10:05 UTC"
    )
