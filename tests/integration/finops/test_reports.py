"""The headline figures, counted by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.period import Period, custom, preset
from finops.selectors.breakdown import breakdown
from finops.selectors.reports import Figures, Split, figures, series
from finops.selectors.scope import Scope
from tests.builders.finops import AT, make_fact, make_metered_run, make_usage

pytestmark = pytest.mark.django_db

ALL = Scope(teams=None)
DAY = custom(date(2026, 11, 20), date(2026, 11, 20), zone="UTC")


def test_nothing_gives_no_figures_and_not_zeros() -> None:
    found = figures(ALL, DAY)
    assert (found.runs, found.tokens, found.cost) == (0, 0, Decimal(0))
    assert found.first_try_share is None
    assert found.first_try_interval is None
    assert found.tokens_per_task is None
    assert found.cost_per_action is None
    assert (found.p50, found.p95, found.near_p95, found.newest) == (None,) * 4
    buckets = series(ALL, DAY)
    assert len(buckets) == 24
    assert {bucket.p95 for bucket in buckets} == {None}


def test_first_try_counts_tasks_with_two_or_more_calls_by_their_first_run() -> None:
    make_fact(task="good", tool_calls=2)
    make_fact(task="good", attempt=2, status="failed", tool_calls=9)
    # Failed before its first call, then needed four: it counts, as a failure.
    make_fact(task="retried", status="failed", tool_calls=0)
    make_fact(task="retried", attempt=2, tool_calls=4)
    make_fact(task="stopped", status="cancelled", tool_calls=3)
    make_fact(task="single", tool_calls=1)
    make_fact(task="none", status="failed", tool_calls=0)
    # Its first run ended the day before.
    make_fact(task="old", status="failed", ended_at=AT - timedelta(days=1))
    make_fact(task="old", attempt=2)
    found = figures(ALL, DAY)
    assert (found.tried, found.first_try) == (3, 1)
    assert found.first_try_share == pytest.approx(1 / 3)


def test_tokens_of_failed_and_abandoned_tasks_burden_the_completed_ones() -> None:
    make_fact(task="a", status="failed", tokens=100)
    make_fact(task="a", attempt=2, tokens=200)
    make_fact(task="a", attempt=3, tokens=50)  # done again: still one task
    make_fact(task="b", tokens=400)
    make_fact(task="abandoned", status="failed", tokens=50)
    found = figures(ALL, DAY)
    assert (found.tokens, found.completed_tasks) == (800, 2)
    assert found.tokens_per_task == 400


def test_cost_per_action_is_a_ratio_of_sums() -> None:
    make_fact(cost="0.30", successful_calls=3)
    make_fact(cost="0.10", status="failed", successful_calls=1, unrated=2)
    make_fact(cost="0.000000000001", status="failed", successful_calls=0)
    found = figures(ALL, DAY)
    assert found.cost == Decimal("0.400000000001")
    assert found.cost_per_action == Decimal("0.1")
    assert found.unrated == 2


def test_cost_per_action_is_empty_when_nothing_succeeded() -> None:
    make_fact(cost="0.30", status="failed", successful_calls=0)
    assert figures(ALL, DAY).cost_per_action is None


def test_what_was_spent_outside_a_run_is_part_of_all_tokens_and_all_cost() -> None:
    make_fact(tokens=100, cost="0.4", successful_calls=2)
    make_usage("tokens/definitions", "900", cost="0.2")
    make_usage("tokens/definitions", "50", cost=None)
    make_usage("tokens/result", "7000", cost="9", run="run_x")  # in its run's fact
    make_usage("tokens/definitions", "1", cost="5", at=DAY.end)
    found = figures(ALL, DAY)
    assert (found.tokens, found.cost, found.unrated) == (1050, Decimal("0.6"), 1)
    assert found.cost_per_action == Decimal("0.3")
    [bucket] = [bucket for bucket in series(ALL, DAY) if bucket.runs]
    assert (bucket.tokens_per_task, bucket.cost_per_action) == (1050, Decimal("0.3"))
    # It has no mode, and no other team's is seen.
    assert figures(Scope(teams=None, mode="script"), DAY).tokens == 100
    assert figures(Scope(teams=frozenset({"sales"})), DAY).tokens == 0


def test_an_hour_with_definitions_alone_has_no_figure() -> None:
    make_usage("tokens/definitions", "900", cost="0.2")
    assert {bucket.tokens_per_task for bucket in series(ALL, DAY)} == {None}
    assert {bucket.cost_per_action for bucket in series(ALL, DAY)} == {None}


def test_the_figures_agree_with_the_ledger() -> None:
    make_metered_run(calls=3, tokens=500)
    make_metered_run(calls=1, tokens=20, status="failed", team="sales")
    make_usage("tokens/definitions", "900", cost="0.0027")
    whole = breakdown(ALL, DAY, "team").total
    found = figures(ALL, DAY)
    assert found.cost == whole.cost == Decimal("0.00826")
    assert found.tokens == whole.tokens == 1420


def test_costs_in_another_currency_are_not_added() -> None:
    make_fact(cost="1", successful_calls=1)
    make_fact(cost="1000", currency="JPY", successful_calls=1)
    assert figures(ALL, DAY).cost == 1


def test_percentiles_are_interpolated_and_the_split_is_of_the_runs_near() -> None:
    # Totals 1, 2 … 21 s: p50 is 11, p95 is 20; queue makes up a tenth.
    for total in range(1, 22):
        make_fact(queue_seconds=total * 0.1, run_seconds=total * 0.9)
    make_fact(status="cancelled", run_seconds=10_000)
    found = figures(ALL, DAY)
    assert found.p50 == pytest.approx(11)
    assert found.p95 == pytest.approx(20)
    # Ranks 92.5 % to 97.5 % of 21 runs are those of 20 s and 21 s.
    assert found.near_p95 is not None
    assert found.near_p95.runs == 2
    assert found.near_p95.queue == pytest.approx(2.05)
    assert found.near_p95.run == pytest.approx(18.45)
    assert found.near_p95.hold == 0


def test_one_run_is_its_own_percentile() -> None:
    make_fact(queue_seconds=1, hold_seconds=2, run_seconds=3)
    found = figures(ALL, DAY)
    assert (found.p50, found.p95) == (6, 6)
    assert found.near_p95 == Split(queue=1, hold=2, run=3, runs=1)


def test_avoided_tokens_may_be_negative() -> None:
    make_fact(tokens_avoided=-700)
    make_fact(tokens_avoided=200)
    assert figures(ALL, DAY).avoided == -500


def test_runs_are_counted_by_how_they_ended() -> None:
    for status in ("succeeded", "succeeded", "failed", "cancelled"):
        make_fact(status=status)
    found = figures(ALL, DAY)
    assert (found.runs, found.failed, found.cancelled) == (4, 1, 1)
    assert found.newest == AT


@pytest.mark.parametrize(
    ("scope", "runs"),
    [
        (Scope(teams=None), 4),
        (Scope(teams=frozenset({"support"})), 3),
        (Scope(teams=frozenset({"support"}), team="sales"), 0),
        (Scope(teams=frozenset()), 0),
        (Scope(teams=None, team="sales"), 1),
        (Scope(teams=None, project="support/returns"), 1),
        (Scope(teams=None, project="returns"), 2),
        (Scope(teams=None, environment="prod"), 1),
        (Scope(teams=None, mode="direct"), 1),
        (Scope(teams=None, model="o' OR true --"), 0),
    ],
)
def test_a_scope_never_shows_more_than_allowed(scope: Scope, runs: int) -> None:
    make_fact(project="returns")
    make_fact(environment="prod")
    make_fact(mode="direct")
    make_fact(team="sales", project="returns")
    assert figures(scope, DAY).runs == runs


def test_the_window_includes_its_start_and_excludes_its_end() -> None:
    make_fact(ended_at=DAY.start)
    make_fact(ended_at=DAY.end)
    make_fact(ended_at=DAY.start - timedelta(microseconds=1))
    assert figures(ALL, DAY).runs == 1


def test_days_are_those_of_auckland() -> None:
    # 23:30 and 00:30 on the local clock, an hour apart in UTC on one date.
    make_fact(ended_at=datetime(2026, 11, 19, 10, 30, tzinfo=UTC))
    make_fact(ended_at=datetime(2026, 11, 19, 11, 30, tzinfo=UTC))
    period = custom(date(2026, 11, 18), date(2026, 11, 21), zone="Pacific/Auckland")
    assert [bucket.runs for bucket in series(ALL, period)] == [0, 1, 1, 0]


def test_the_autumn_day_of_new_york_keeps_both_its_one_o_clocks() -> None:
    day = custom(date(2026, 11, 1), date(2026, 11, 1), zone="America/New_York")
    make_fact(ended_at=datetime(2026, 11, 1, 5, 30, tzinfo=UTC))  # 01:30 EDT
    make_fact(ended_at=datetime(2026, 11, 1, 6, 30, tzinfo=UTC))  # 01:30 EST
    make_fact(ended_at=datetime(2026, 11, 2, 4, 59, tzinfo=UTC))  # 23:59 EST
    make_fact(ended_at=datetime(2026, 11, 2, 5, 0, tzinfo=UTC))  # the next day
    runs = [bucket.runs for bucket in series(ALL, day)]
    assert len(runs) == 25
    assert runs[:4] == [0, 1, 1, 0]
    assert runs[24] == 1
    assert sum(runs) == figures(ALL, day).runs == 3


def test_series_and_figures_agree_and_cost_three_queries_each() -> None:
    period = preset("7d", zone="UTC", at=AT + timedelta(hours=1))
    for day in range(7):
        make_fact(ended_at=AT - timedelta(days=day), tokens=100, cost="0.06")
    with CaptureQueriesContext(connection) as queries:
        whole, buckets = figures(ALL, period), series(ALL, period)
    assert len(queries) == 6
    assert whole.runs == sum(bucket.runs for bucket in buckets) == 7
    assert {bucket.tokens_per_task for bucket in buckets} == {100}
    assert {bucket.cost_per_action for bucket in buckets} == {Decimal("0.02")}
    assert {bucket.first_try_share for bucket in buckets} == {1}
    assert {bucket.p95 for bucket in buckets} == {2}


def test_the_previous_window_is_compared_like_with_like() -> None:
    period = preset("7d", zone="UTC", at=AT + timedelta(hours=1))
    make_fact(ended_at=AT)
    make_fact(ended_at=AT - timedelta(days=7))
    make_fact(ended_at=AT - timedelta(days=7) + timedelta(hours=2))
    now: Figures = figures(ALL, period)
    before: Figures = figures(ALL, period.previous)
    assert (now.runs, before.runs) == (1, 1)
    assert isinstance(period.previous, Period)
