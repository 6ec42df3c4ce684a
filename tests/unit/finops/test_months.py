"""Billing months of named zones: leap days, clock changes, odd offsets."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from finops.chargeback.months import (
    bounds,
    month_at,
    month_before,
    named,
    next_month,
)

ZONES = ["Pacific/Auckland", "America/New_York", "Asia/Kathmandu", "UTC"]


@given(
    st.dates(date(2000, 1, 1), date(2100, 1, 1)).map(lambda day: day.replace(day=1)),
    st.sampled_from(ZONES),
)
def test_months_meet_without_a_gap(month: date, zone: str) -> None:
    start, end = bounds(month, zone)

    assert bounds(next_month(month), zone)[0] == end
    assert month_before(next_month(month)) == month
    assert month_at(start, zone) == month
    assert month_at(end.astimezone(UTC) - timedelta(microseconds=1), zone) == month
    assert month_at(end, zone) == next_month(month)


@pytest.mark.parametrize(
    ("month", "zone", "hours"),
    [
        (date(2028, 2, 1), "UTC", 29 * 24),
        (date(2026, 2, 1), "Asia/Kathmandu", 28 * 24),
        (date(2026, 9, 1), "Pacific/Auckland", 30 * 24 - 1),
        (date(2026, 4, 1), "Pacific/Auckland", 30 * 24 + 1),
        (date(2026, 3, 1), "America/New_York", 31 * 24 - 1),
        (date(2026, 11, 1), "America/New_York", 30 * 24 + 1),
    ],
)
def test_how_long_a_month_is(month: date, zone: str, hours: int) -> None:
    start, end = (one.astimezone(UTC) for one in bounds(month, zone))

    assert end - start == timedelta(hours=hours)


def test_a_moment_is_in_another_month_elsewhere() -> None:
    at = datetime(2026, 10, 31, 18, 20, tzinfo=UTC)

    assert month_at(at, "UTC") == date(2026, 10, 1)
    assert month_at(at, "Asia/Kathmandu") == date(2026, 11, 1)
    assert month_at(at, "Pacific/Auckland") == date(2026, 11, 1)


def test_names() -> None:
    assert named("2026-02") == date(2026, 2, 1)
    for wrong in ("2026-13", "2026-00", "2026-1", "26-01", "2026-01-01", "٢٠٢٦-01"):
        with pytest.raises(Invalid, match="write it like"):
            named(wrong)
