"""Quotas as values: scopes, windows at their edges, forecasts, what is told."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.quota import (
    WINDOWS,
    Ask,
    Limit,
    Want,
    covering,
    forecast,
    plain,
    window_of,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
ZONES = ("Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu")
moments = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2099, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, *map(ZoneInfo, ZONES)]),
)


@given(at=moments, window=st.sampled_from(WINDOWS))
def test_every_moment_lies_in_one_window_that_ends_where_the_next_begins(
    at: datetime, window: str
) -> None:
    start, end = window_of(window, at)
    assert end is not None
    assert start <= at < end
    assert (start.tzinfo, end.tzinfo) == (UTC, UTC)
    assert window_of(window, end)[0] == end
    assert window_of(window, end - timedelta(microseconds=1)) == (start, end)


def test_a_day_has_24_hours_where_clocks_are_changed() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    after = before.replace(fold=1)
    assert window_of("hour", before)[0] == datetime(2026, 10, 25, 0, tzinfo=UTC)
    assert window_of("hour", after)[0] == datetime(2026, 10, 25, 1, tzinfo=UTC)
    start, end = window_of("day", before)
    assert end == start + timedelta(hours=24)


def test_months_are_as_long_as_they_are() -> None:
    leap = datetime(2028, 2, 29, 23, 59, 59, tzinfo=timezone(timedelta(hours=-5)))
    assert window_of("month", leap)[0] == datetime(2028, 3, 1, tzinfo=UTC)
    at = datetime(2027, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)
    assert window_of("month", at)[1] == datetime(2027, 3, 1, tzinfo=UTC)


def test_what_covers_an_act_is_in_one_order() -> None:
    limits = [
        Limit(9, "calls", "hour", 1),
        Limit(2, "calls", "hour", 1, key_id=7, key="tg_a"),
        Limit(5, "calls", "hour", 1, tool="crm.*"),
        Limit(3, "runs", "hour", 1),
    ]
    found = covering(limits, {"calls"}, key_id=7, tool="crm.list")
    assert [limit.id for limit in found] == [2, 5, 9]
    found = covering(limits, {"calls"}, key_id=8, tool="erp.list")
    assert [limit.id for limit in found] == [9]


@given(
    used=st.integers(0, 2_000),
    limit=st.integers(0, 1_000),
    amount=st.integers(1, 500),
    least=st.integers(1, 500),
)
def test_what_is_granted_fits_and_is_enough(
    used: int, limit: int, amount: int, least: int
) -> None:
    least = min(least, amount)
    want = Want("tokens", Decimal(amount), least=Decimal(least))
    ask = Ask(Limit(1, "tokens", "day", limit), START, None, want)
    granted = ask.granted(used=Decimal(used), limit=limit)
    if granted is None:
        assert used + least > limit
    else:
        assert least <= granted <= amount
        assert used + granted <= limit


@pytest.mark.parametrize(
    ("used", "hours", "full_after", "words"),
    [
        (60, 12, 20, "60 used in the first 12 h, 40 left."),
        (49, 12, None, "some is left at the reset"),
        (50, 12, None, "some is left at the reset"),
        (0, 12, None, "Nothing used"),
        (100, 3, 3, "Nothing is left"),
        (90, 0.2, None, "too early to tell"),
    ],
)
def test_the_forecast_is_a_straight_line_and_says_so(
    used: int, hours: float, full_after: float | None, words: str
) -> None:
    found = forecast(
        used=Decimal(used),
        limit=100,
        start=START,
        end=START + timedelta(days=1),
        at=START + timedelta(hours=hours),
    )
    expected = None if full_after is None else START + timedelta(hours=full_after)
    assert found.full_at == expected
    assert words in found.because


def test_amounts_are_exact_in_json() -> None:
    assert plain(Decimal("3.000")) == 3
    assert plain(Decimal("0.250")) == "0.25"
    assert plain(Decimal("1E+3")) == 1000
