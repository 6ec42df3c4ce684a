"""Forecasts and anomalies on series whose answers are known."""

import random
from datetime import date, timedelta
from decimal import Decimal

import pytest

from finops.budgeting.anomaly import anomaly
from finops.budgeting.forecast import LEAST_DAYS, forecast

TODAY = date(2026, 11, 16)  # a Monday
DAY = timedelta(days=1)
HUNDRED, TEN = Decimal(100), Decimal(10)


def _weekly(days: int, *, before: date = TODAY) -> dict[date, Decimal]:
    """100 on workdays, 10 at weekends."""
    found = {}
    for back in range(1, days + 1):
        day = before - back * DAY
        found[day] = HUNDRED if day.weekday() < 5 else TEN
    return found


def _left(number: int) -> list[date]:
    return [TODAY + ahead * DAY for ahead in range(1, number + 1)]


def test_a_steady_week_is_forecast_to_the_day_without_doubt() -> None:
    # The rest of Monday (half), four workdays and a weekend.
    found = forecast(
        _weekly(56), spent=Decimal(1000), today=TODAY, elapsed=0.5, left=_left(6)
    )
    assert found.expected == Decimal(1000 + 50 + 400 + 20)
    assert found.low == found.high == found.expected
    assert found.passes(Decimal(1469))
    assert not found.passes(Decimal(1470))


def test_at_the_windows_end_it_is_what_was_spent() -> None:
    found = forecast(_weekly(56), spent=TEN, today=TODAY, elapsed=1.0, left=[])
    assert (found.expected, found.low, found.high) == (TEN, TEN, TEN)


@pytest.mark.parametrize("days", [0, 1, LEAST_DAYS - 1])
def test_too_little_history_says_so(days: int) -> None:
    found = forecast(_weekly(days), spent=TEN, today=TODAY, elapsed=0.5, left=_left(6))
    assert (found.expected, found.low, found.high) == (None, None, None)
    assert found.note == f"Too little to go by: {days} of 14 whole days."
    assert not found.passes(Decimal(0))


def test_days_before_the_first_cost_are_no_history() -> None:
    history = dict.fromkeys(_weekly(56), Decimal(0)) | _weekly(13)
    found = forecast(history, spent=TEN, today=TODAY, elapsed=0, left=[])
    assert found.expected is None
    # A day without cost after that is one: it cost nothing.
    history[TODAY - 20 * DAY] = HUNDRED
    found = forecast(history, spent=TEN, today=TODAY, elapsed=0, left=_left(6))
    assert found.expected is not None


def test_only_eight_weeks_count() -> None:
    history = {day: cost * 50 for day, cost in _weekly(200).items()} | _weekly(56)
    found = forecast(history, spent=TEN, today=TODAY, elapsed=1, left=_left(1))
    assert found.expected == HUNDRED + TEN


def test_the_interval_holds_about_80_of_100_ends() -> None:
    chance = random.Random(7)
    held = 0
    for _ in range(400):
        history = {
            TODAY - back * DAY: Decimal(round(chance.gauss(100, 20), 6))
            for back in range(1, 57)
        }
        found = forecast(
            history, spent=Decimal(0), today=TODAY, elapsed=1.0, left=_left(14)
        )
        end = sum(chance.gauss(100, 20) for _ in range(14))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= end <= found.high
    assert 0.74 <= held / 400 <= 0.86


def test_a_monday_is_held_against_mondays() -> None:
    history = _weekly(60)
    saturday = TODAY - 2 * DAY
    assert anomaly(history | {saturday: HUNDRED}, saturday) is not None
    assert anomaly(history | {TODAY: HUNDRED}, TODAY) is None


def test_one_earlier_outlier_neither_hides_nor_makes_one() -> None:
    chance = random.Random(3)
    history = {
        TODAY - week * 7 * DAY: Decimal(chance.randint(90, 110)) for week in range(1, 9)
    }
    history[TODAY - 7 * DAY] = Decimal(5000)
    found = anomaly(history | {TODAY: Decimal(300)}, TODAY)
    assert found is not None
    assert 90 <= found.usual <= 110
    assert found.score > 3.5
    assert anomaly(history | {TODAY: Decimal(105)}, TODAY) is None


def test_cheap_days_small_rises_and_few_weeks_are_no_anomaly() -> None:
    history = _weekly(60)
    assert anomaly(history | {TODAY: Decimal(0)}, TODAY) is None
    assert anomaly(history | {TODAY: Decimal(115)}, TODAY) is None
    assert anomaly(history | {TODAY: Decimal(130)}, TODAY) is not None
    assert anomaly(history | {TODAY: Decimal(130)}, TODAY, least=Decimal(30)) is None
    assert anomaly(_weekly(27) | {TODAY: Decimal(900)}, TODAY) is None
    assert anomaly(history, TODAY) is None
