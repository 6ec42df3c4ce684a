"""Sums of days are those of raw facts, whatever came when, and in which zone."""

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as few
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from core.clock import now
from core.period import Period, custom
from finops.models import (
    DayFigures,
    DaySketch,
    DirtyDay,
    RollupState,
    RunFact,
    TaskFact,
)
from finops.selectors.headline import DIMENSIONS, headline_report
from finops.selectors.reports import Figures, series
from finops.selectors.scope import Scope
from finops.services import dirty, rollups, task_facts
from finops.sketch import merge, quantile, sketch
from tests.builders.finops import make_fact, make_metered_run, make_usage

# Days that are over, whatever the day the tests are run on.
FIRST, LAST = date(2024, 2, 26), date(2024, 3, 5)
AFTER = datetime(2024, 3, 9, tzinfo=UTC)
ALL = Scope(teams=None)
TOOLS = ("a.x", "a.y", "b.z")
APPROXIMATE = ("p50", "p95", "near_p95")


def days(zone: str = "UTC") -> Period:
    return custom(FIRST, LAST, zone=zone)


@contextmanager
def raw() -> Iterator[None]:
    """Reports as they are read before any day is made."""
    with transaction.atomic():
        RollupState.objects.all().delete()
        yield
        transaction.set_rollback(True)


def exact_and_rolled(
    settings: Any, scope: Scope, period: Period, by: str
) -> tuple[Any, Any]:
    """The report read from single rows, and from sums and sketches."""
    with raw():
        exact = headline_report(scope, period, by)
    settings.EXACT_RUNS = 10**9
    summed = headline_report(scope, period, by)
    assert (exact.precision, summed.precision) == ("exact", "exact")
    assert summed == exact
    settings.EXACT_RUNS = 0
    return exact, headline_report(scope, period, by)


def same(left: Figures, right: Figures) -> None:
    """Sums are exact, and percentiles within 1 %."""
    for name in Figures.__slots__:
        if name not in APPROXIMATE:
            assert getattr(left, name) == getattr(right, name), name
    if right.p50 is None:
        assert (left.p50, left.p95, left.near_p95) == (None, None, None)
        return
    assert left.p50 == pytest.approx(right.p50, rel=0.01)
    assert left.p95 == pytest.approx(right.p95, rel=0.01)
    assert left.near_p95 is not None


def some_facts(source: random.Random, count: int = 60, start: date = FIRST) -> None:
    """Tasks over these days and their edges, with usage of all kinds."""
    begin = datetime.combine(start - timedelta(days=1), time(), UTC)
    for _ in range(count):
        task, tool = f"t{source.randint(0, count)}", source.choice(TOOLS)
        at = begin + timedelta(seconds=source.randint(0, 11 * 86_400))
        number = TaskFact.objects.filter(task=task).values_list("runs", flat=True)
        fact = make_metered_run(
            task=task,
            attempt=(number.first() or 0) + 1,
            tool=tool,
            calls=source.randint(0, 3),
            tokens=source.randint(1, 9_999),
            at=at,
            team=source.choice(("support", "sales")),
            project=source.choice(("p", "q")),
            model=source.choice(("", "small")),
            mode=source.choice(("script", "direct")),
            status=source.choice(("succeeded", "failed", "cancelled")),
            run_seconds=source.lognormvariate(0, 2),
        )
        if source.random() < 0.3:
            make_usage("tokens/definitions", "70", cost="0.01", at=at)
            dirty.note([("support", at)])
        if source.random() < 0.3:
            make_usage(
                "model/x/y/output",
                "50",
                cost="0.02",
                run=fact.run,
                task=task,
                at=at,
                kind="model_tokens",
                token_kind="output",
            )
            task_facts.usage_reported(runs=[fact.run], tasks=[task])


def kept() -> tuple[list[Any], list[Any]]:
    """All rows of sums and sketches, but for their ids."""
    return tuple(  # type: ignore[return-value]
        sorted(
            json.dumps({**row, "id": 0}, default=str, sort_keys=True)
            for row in model.objects.values()
        )
        for model in (DayFigures, DaySketch)
    )


@pytest.mark.django_db
def test_a_report_from_sums_is_that_of_raw_facts(settings: Any) -> None:
    some_facts(random.Random(7))
    rollups.keep_up(at=AFTER)
    for by in ("", *DIMENSIONS):
        exact, rolled = exact_and_rolled(settings, ALL, days(), by)
        assert rolled.precision == "±1 %"
        same(rolled.total, exact.total)
        found = {group.key: group.figures for group in rolled.groups}
        assert found.keys() == {group.key for group in exact.groups}
        assert not by or found
        for group in exact.groups:
            same(found[group.key], group.figures)


@few(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), spread=st.floats(0.1, 4), zeros=st.booleans())
@pytest.mark.django_db
def test_days_merge_in_sql_as_sketches_do(
    seed: int, spread: float, zeros: bool, settings: Any
) -> None:
    source = random.Random(seed)
    RunFact.objects.all().delete()
    taken = []
    for number in range(source.randint(1, 40)):
        seconds = 0.0 if zeros and number % 3 else source.lognormvariate(0, spread)
        day = FIRST + timedelta(days=source.randint(0, 6))
        fact = make_fact(
            queue_seconds=0.0,
            run_seconds=seconds,
            team=source.choice(("support", "sales")),
            ended_at=datetime.combine(day, time(source.randint(0, 23)), UTC),
        )
        taken.append(fact.total_seconds)
    rollups.rebuild(at=AFTER)
    exact, rolled = exact_and_rolled(settings, ALL, days(), "")
    assert rolled.precision == "±1 %"
    same(rolled.total, exact.total)
    twin = merge(sketch([one]) for one in taken)
    assert rolled.total.p50 == pytest.approx(quantile(twin, 0.5), rel=1e-12)
    assert rolled.total.p95 == pytest.approx(quantile(twin, 0.95), rel=1e-12)


@pytest.mark.django_db
def test_filters_leave_the_same_rows_in_sums(settings: Any) -> None:
    some_facts(random.Random(11))
    rollups.keep_up(at=AFTER)
    for scope in (
        Scope(teams=frozenset({"sales"})),
        Scope(teams=None, team="support", mode="script"),
        Scope(teams=None, project="sales/q"),
        Scope(teams=None, project="q"),
        Scope(teams=None, model="small", mode="direct"),
        Scope(teams=None, tool="a.x"),
        Scope(teams=None, server="a", tool="a.x"),
        Scope(teams=None, server="a", language="python"),
        Scope(teams=frozenset()),
    ):
        for by in ("", "team", "tool", "server", "mode"):
            exact, rolled = exact_and_rolled(settings, scope, days(), by)
            same(rolled.total, exact.total)
            assert [g.key for g in rolled.groups] == [g.key for g in exact.groups]
            for left, right in zip(rolled.groups, exact.groups, strict=True):
                same(left.figures, right.figures)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "zone", ["Pacific/Auckland", "America/New_York", "Asia/Kathmandu", "UTC"]
)
def test_days_are_those_of_the_zone_also_where_clocks_change(
    zone: str, settings: Any
) -> None:
    settings.REPORT_TIME_ZONE = zone
    local = ZoneInfo(zone)
    # Leap day, the edges of a month, and both changes of the clock in 2024.
    days = [date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 10), date(2024, 4, 7)]
    days += [date(2024, 9, 29), date(2024, 11, 3), date(2024, 12, 31)]
    for number, day in enumerate(days, 1):
        midnight = datetime.combine(day, time(), local).astimezone(UTC)
        for _ in range(number):
            make_fact(ended_at=midnight)
        make_fact(ended_at=midnight - timedelta(microseconds=1))
    rollups.keep_up(at=datetime(2025, 1, 9, tzinfo=UTC))
    for number, day in enumerate(days, 1):
        made = DayFigures.objects.filter(day=day, server="")
        assert sum(made.values_list("runs", flat=True)) >= number
    for first, last in ((days[0], days[0]), (days[0], days[3]), (days[4], days[6])):
        period = custom(first, last, zone=zone)
        exact, rolled = exact_and_rolled(settings, ALL, period, "team")
        same(rolled.total, exact.total)
        with raw():
            expected = [bucket.runs for bucket in series(ALL, period)]
        assert [bucket.runs for bucket in series(ALL, period)] == expected
    assert exact.total.runs > 0


@pytest.mark.django_db
def test_parts_of_days_and_today_are_read_raw(settings: Any) -> None:
    at = now()
    midnight = datetime.combine(at.date(), time(), UTC)
    for hours in (-60, -30, -13, -1):
        make_fact(ended_at=midnight + timedelta(hours=hours))
    make_fact(ended_at=midnight)
    rollups.keep_up(at=at + timedelta(hours=1))
    state = RollupState.objects.get()
    assert state.upto is not None
    assert state.upto <= (at + timedelta(hours=1)).date()
    period = Period(
        midnight - timedelta(hours=36), midnight + timedelta(hours=1), "UTC"
    )
    exact, rolled = exact_and_rolled(settings, ALL, period, "")
    assert exact.total.runs == 4
    same(rolled.total, exact.total)


@pytest.mark.django_db
def test_what_comes_late_is_in_a_report_at_once_and_in_the_sums_soon(
    settings: Any,
) -> None:
    some_facts(random.Random(3), 20)
    rollups.keep_up(at=AFTER)
    assert not DirtyDay.objects.exists()
    make_metered_run(task="late", at=datetime(2024, 3, 3, 12, tzinfo=UTC))
    assert DirtyDay.objects.exists()
    for _ in range(2):
        exact, rolled = exact_and_rolled(settings, ALL, days(), "team")
        same(rolled.total, exact.total)
        assert rollups.keep_up(at=AFTER) <= 1
    assert not DirtyDay.objects.exists()
    before = kept()
    task_facts.settle_abandoned(at=AFTER)
    exact, rolled = exact_and_rolled(settings, ALL, days(), "")
    same(rolled.total, exact.total)
    rollups.keep_up(at=AFTER)
    assert kept() != before


@few(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
@pytest.mark.django_db
def test_kept_up_bit_by_bit_they_are_those_of_a_rebuild(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(3):
        some_facts(source, 12)
        rollups.keep_up(at=AFTER, most=source.choice((1, 5, 400)))
    rollups.keep_up(at=AFTER)
    bit_by_bit = kept()
    assert rollups.rebuild(at=AFTER) > 0
    assert kept() == bit_by_bit
    rollups.rebuild(at=AFTER, start=FIRST, end=LAST)
    assert kept() == bit_by_bit


@pytest.mark.django_db
def test_another_zone_makes_all_days_anew(settings: Any) -> None:
    some_facts(random.Random(5), 20)
    rollups.keep_up(at=AFTER)
    settings.REPORT_TIME_ZONE = "Asia/Kathmandu"
    exact, rolled = exact_and_rolled(settings, ALL, days("Asia/Kathmandu"), "")
    assert rolled.precision == "exact"
    rollups.keep_up(at=AFTER)
    exact, rolled = exact_and_rolled(settings, ALL, days("Asia/Kathmandu"), "")
    assert rolled.precision == "±1 %"
    same(rolled.total, exact.total)


@pytest.mark.django_db
def test_the_command_says_how_far_it_is() -> None:
    first = now().date() - timedelta(days=20)
    some_facts(random.Random(9), 10, first)
    out = StringIO()
    call_command("rollups", "backfill", stdout=out, stderr=StringIO())
    status = json.loads(out.getvalue())
    assert status["first"] <= str(first + timedelta(days=10)) < status["upto"]
    assert (status["zone"], status["changed_days"]) == ("UTC", 0)
    before = kept()
    call_command("rollups", "rebuild", stdout=StringIO(), stderr=StringIO())
    days = {"from": first + timedelta(days=3), "to": first + timedelta(days=9)}
    call_command("rollups", "rebuild", stdout=StringIO(), stderr=StringIO(), **days)
    assert kept() == before
    out = StringIO()
    call_command("rollups", "status", stdout=out)
    assert json.loads(out.getvalue()) == status


@pytest.fixture
def committed(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Facts in a database without the usual transaction, cleaned by hand."""
    with django_db_blocker.unblock():
        try:
            for day in range(6):
                make_fact(ended_at=datetime(2024, 3, 1 + day, 12, tzinfo=UTC))
            yield
        finally:
            models = (RunFact, TaskFact, DayFigures, DaySketch, DirtyDay, RollupState)
            for model in models:
                model.objects.all().delete()
            connection.close()


@pytest.mark.usefixtures("committed")
def test_two_workers_at_once_and_one_that_is_stopped_leave_whole_days() -> None:
    def work(most: int) -> None:
        rollups.keep_up(at=AFTER, most=most)
        connection.close()

    class Stopped(Exception):
        pass

    # Killed within a day: nothing of it stays.
    with pytest.raises(Stopped), connection.execute_wrapper(_stop_at_sketches(Stopped)):
        rollups.keep_up(at=AFTER)
    assert not DayFigures.objects.exists()
    threads = [threading.Thread(target=work, args=(2,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rollups.keep_up(at=AFTER, most=10_000)
    made = DayFigures.objects.filter(thin=False).order_by("day")
    assert list(made.values_list("day__day", "runs")) == [
        (day, 1) for day in range(1, 7)
    ]


@pytest.mark.usefixtures("committed")
def test_a_rebuild_waits_for_who_makes_days_just_now() -> None:
    made: dict[str, int] = {}

    def work(name: str, call: Callable[..., int]) -> None:
        made[name] = call(at=AFTER)
        connection.close()

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [rollups.LOCK])
        waits = threading.Thread(target=work, args=("rebuild", rollups.rebuild))
        leaves = threading.Thread(target=work, args=("beat", rollups.keep_up))
        waits.start()
        leaves.start()
        leaves.join()
        assert made == {"beat": 0}
    waits.join()
    assert made["rebuild"] == 7


def _stop_at_sketches(error: type[Exception]) -> Any:
    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "INSERT INTO finops_daysketch" in sql:
            raise error
        return execute(sql, params, many, context)

    return wrapper
