"""Costs by a dimension add up to the total, to the last digit."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.money import total
from core.period import custom
from finops.models import UsageEvent
from finops.selectors.breakdown import (
    DIMENSIONS,
    breakdown,
    by_time,
    totals_by_time,
)
from finops.selectors.scope import Scope
from tests.builders.finops import AT, make_fact, make_metered_run, make_usage

pytestmark = pytest.mark.django_db

ALL = Scope(teams=None)
WEEK = custom(date(2026, 11, 14), date(2026, 11, 20), zone="UTC")


def test_groups_by_tool_with_hand_counted_figures() -> None:
    make_metered_run(tool="crm.list", calls=2, tokens=1000)
    make_metered_run(tool="crm.list", calls=3, tokens=500, status="failed")
    make_metered_run(tool="mail.send", calls=1, tokens=0, team="sales")
    found = breakdown(ALL, WEEK, "tool")
    rows = {
        row.key: (row.cost, row.calls, row.tokens, row.runs, row.success)
        for row in found.groups
    }
    assert rows == {
        "crm.list": (Decimal("0.005"), 5, 0, 2, 0.5),
        "": (Decimal("0.0045"), 0, 1500, 3, pytest.approx(2 / 3)),
        "mail.send": (Decimal("0.001"), 1, 0, 1, 1.0),
    }
    assert [row.key for row in found.groups] == ["crm.list", "", "mail.send"]
    assert found.total.cost == Decimal("0.0105")
    # A run with two keys is one run.
    assert (found.total.runs, found.total.ended, found.total.succeeded) == (3, 3, 2)
    assert found.total.estimated_tokens == 1500
    assert found.total.newest == AT
    assert found.others is None


@pytest.mark.parametrize(
    ("dimension", "keys"),
    [
        ("team", ["support", "sales"]),
        ("cost_centre", ["CC-support", "CC-sales"]),
        ("project", ["support/returns", "sales/returns"]),
        ("environment", ["prod", "dev"]),
        ("model", ["gpt-x", ""]),
        ("principal", ["sa:support/agent", "sa:sales/agent"]),
        ("sku", ["tool/crm.list"]),
        ("day", ["2026-11-19", "2026-11-20"]),
    ],
)
def test_each_dimension_names_its_groups(dimension: str, keys: list[str]) -> None:
    make_usage(
        "tool/crm.list", "1", cost="2", project="returns", environment="prod",
        model="gpt-x",
    )  # fmt: skip
    make_usage(
        "tool/crm.list", "1", cost="1", project="returns", team="sales",
        at=AT - timedelta(days=1),
    )  # fmt: skip
    found = breakdown(ALL, WEEK, dimension)
    assert [row.key for row in found.groups] == keys
    assert found.total.cost == total(row.cost for row in found.groups) == 3


def test_the_previous_period_stands_beside_each_group_and_the_total() -> None:
    make_usage(cost="3")
    make_usage(cost="2", at=AT - timedelta(days=7))
    make_usage(cost="5", at=AT - timedelta(days=7), team="gone")
    make_usage(cost="1", team="new")
    found = breakdown(ALL, WEEK, "team")
    assert {row.key: row.before for row in found.groups} == {"support": 2, "new": 0}
    assert found.total.before == 7


def test_unrated_usage_is_counted_and_adds_nothing() -> None:
    make_usage(cost=None)
    make_usage(cost="1")
    row = breakdown(ALL, WEEK, "team").groups[0]
    assert (int(row.cost), row.unrated) == (1, 1)


def test_beyond_the_limit_the_rest_is_one_row_and_the_total_stays() -> None:
    for number in range(5):
        make_usage("tool/crm.x", "2", cost=str(number + 1), team=f"t{number}")
    found = breakdown(ALL, WEEK, "team", limit=2)
    assert [row.key for row in found.groups] == ["t4", "t3"]
    assert found.others is not None
    assert (int(found.others.cost), found.others.calls) == (6, 6)
    assert found.total.cost == 15


def test_members_see_their_teams_only() -> None:
    make_usage(cost="1")
    make_usage(cost="9", team="sales")
    scope = Scope(teams=frozenset({"support"}))
    assert breakdown(scope, WEEK, "team").total.cost == 1
    assert sum(totals_by_time(scope, WEEK)) == 1
    nobody = breakdown(Scope(teams=frozenset()), WEEK, "team")
    assert nobody.groups == ()
    assert nobody.total.cost == nobody.total.before == 0


def test_a_mode_reaches_the_ledger_through_the_run() -> None:
    make_metered_run(calls=1, tokens=0)
    make_metered_run(calls=2, tokens=0, mode="direct")
    found = breakdown(Scope(teams=None, mode="direct"), WEEK, "team")
    assert (found.total.calls, found.total.runs) == (2, 1)


def test_days_split_at_midnight_of_the_zone() -> None:
    auckland = custom(date(2026, 11, 18), date(2026, 11, 20), zone="Pacific/Auckland")
    make_usage(cost="1", at=AT.replace(day=19, hour=10, minute=59))
    make_usage(cost="2", at=AT.replace(day=19, hour=11, minute=0))
    found = breakdown(ALL, auckland, "day")
    assert [(row.key, int(row.cost)) for row in found.groups] == [
        ("2026-11-19", 1),
        ("2026-11-20", 2),
    ]
    assert totals_by_time(ALL, auckland) == [0, 1, 2]


def test_by_time_keeps_the_rest_under_none() -> None:
    make_usage(cost="1", team="a")
    make_usage(cost="2", team="b", at=AT - timedelta(days=6))
    make_usage(cost="4", team="c")
    found = by_time(ALL, WEEK, "team", ["a"])
    assert found["a"] == [0, 0, 0, 0, 0, 0, 1]
    assert found[None] == [2, 0, 0, 0, 0, 0, 4]


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("rows", [3, 30])
def test_any_number_of_rows_costs_two_queries(dimension: str, rows: int) -> None:
    for number in range(rows):
        make_fact(run=f"run_{number}")
        make_usage(team=f"t{number}", run=f"run_{number}")
    with CaptureQueriesContext(connection) as queries:
        assert breakdown(ALL, WEEK, dimension).total.runs == rows
    assert len(queries) == 2


costs = st.decimals(0, 10**9, places=12, allow_nan=False, allow_infinity=False)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    parts=st.lists(
        st.tuples(costs, st.sampled_from("abcd"), st.integers(0, 6)), max_size=12
    )
)
def test_groups_and_buckets_add_up_to_the_last_digit(
    parts: list[tuple[Decimal, str, int]],
) -> None:
    team = f"p{UsageEvent.objects.count()}"
    for cost, model, day in parts:
        make_usage(cost=str(cost), model=model, team=team, at=AT - timedelta(days=day))
    scope = Scope(teams=None, team=team)
    whole = total(cost for cost, _, _ in parts)
    found = breakdown(scope, WEEK, "model")
    assert found.total.cost == whole
    assert total(row.cost for row in found.groups) == whole
    assert total(totals_by_time(scope, WEEK)) == whole
    stacked = by_time(scope, WEEK, "model", ["a", "b"])
    assert total(cost for line in stacked.values() for cost in line) == whole
