"""The headline report by each dimension, against sums made by hand."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.period import preset
from finops.selectors.headline import DIMENSIONS, headline_report
from finops.selectors.reports import Figures
from finops.selectors.scope import Scope
from tests.builders.finops import AT, make_fact, make_metered_run, make_usage

pytestmark = pytest.mark.django_db

ALL = Scope(teams=None)
WEEK = preset("7d", zone="UTC", at=AT.replace(hour=23))
CRM, MAIL = "crm.list_orders", "mail.send"


def by(dimension: str, scope: Scope = ALL) -> dict[str, Figures]:
    report = headline_report(scope, WEEK, dimension)
    return {group.key: group.figures for group in report.groups}


@pytest.mark.parametrize(
    "dimension", [name for name in DIMENSIONS if name not in {"tool", "server"}]
)
def test_groups_of_whole_runs_add_up_to_the_total(dimension: str) -> None:
    make_metered_run(team="support", mode="direct", language="", model="small")
    make_metered_run(team="sales", project="returns", environment="prod", tokens=7)
    make_metered_run(team="sales", status="failed", principal="sa:sales/other")
    make_usage("tokens/definitions", "900", cost="0.0027")
    report = headline_report(ALL, WEEK, dimension)
    groups = [group.figures for group in report.groups]
    assert len(groups) >= 2
    for name in ("runs", "tokens", "cost", "actions", "tried", "first_try"):
        assert sum(getattr(one, name) for one in groups) == getattr(report.total, name)
    costs = [group.cost for group in groups]
    assert costs == sorted(costs, reverse=True)
    assert report.precision == "exact"


def test_a_project_is_named_with_its_team() -> None:
    make_fact(team="support", project="returns")
    make_fact(team="sales", project="returns")
    assert set(by("project")) == {"support/returns", "sales/returns"}


def test_time_to_finish_is_that_of_the_group() -> None:
    for seconds in (1, 2, 3):
        make_fact(team="support", queue_seconds=0, run_seconds=seconds)
        make_fact(team="sales", queue_seconds=0, run_seconds=seconds * 10)
    make_fact(team="sales", status="cancelled", run_seconds=900)
    groups = by("team")
    assert (groups["support"].p50, groups["sales"].p50) == (2, 20)
    near = groups["sales"].near_p95
    assert near is not None
    assert (near.run, near.runs) == (30, 1)


def run_with_two_tools() -> None:
    fact = make_fact(
        cost="0.5",
        tool_calls=4,
        successful_calls=3,
        tools=[CRM, "crm.get_order", MAIL],
        tool_successes=[2, 0, 1],
    )
    for tool, cost in ((CRM, "0.01"), ("crm.get_order", "0.02"), (MAIL, "0.04")):
        make_usage(f"tool/{tool}", "1", cost=cost, run=fact.run, task=fact.task)


def test_a_run_counts_with_each_tool_and_cost_and_actions_are_the_tools_own() -> None:
    run_with_two_tools()
    make_metered_run(tool=MAIL, calls=1, status="failed")
    make_fact(cost="9")
    groups = by("tool")
    assert {key: one.runs for key, one in groups.items()} == {
        CRM: 1,
        "crm.get_order": 1,
        MAIL: 2,
    }
    assert (groups[MAIL].cost, groups[MAIL].actions) == (Decimal("0.041"), 1)
    assert groups["crm.get_order"].cost_per_action is None
    assert groups[MAIL].failed == 1


def test_a_run_counts_once_with_a_server_however_many_of_its_tools_it_called() -> None:
    run_with_two_tools()
    groups = by("server")
    assert {key: one.runs for key, one in groups.items()} == {"crm": 1, "mail": 1}
    assert (groups["crm"].cost, groups["crm"].actions) == (Decimal("0.03"), 2)


def test_filters_by_tool_and_server_leave_the_runs_that_called_it() -> None:
    run_with_two_tools()
    make_metered_run(tool=MAIL, calls=1, team="sales", mode="direct", language="")
    crm = Scope(teams=None, server="crm")
    assert by("team", crm).keys() == {"support"}
    assert headline_report(crm, WEEK).total.cost == Decimal("0.03")
    mail = Scope(teams=None, tool=MAIL)
    assert headline_report(mail, WEEK).total.runs == 2
    assert headline_report(mail, WEEK).total.cost == Decimal("0.041")
    assert {key: one.cost for key, one in by("mode", mail).items()} == {
        "script": Decimal("0.04"),
        "direct": Decimal("0.001"),
    }
    assert by("tool", crm).keys() == {CRM, "crm.get_order"}
    other = Scope(teams=None, tool=MAIL, language="typescript")
    assert headline_report(other, WEEK).total.runs == 0
    assert headline_report(Scope(teams=None, tool="x' OR true --"), WEEK).groups == ()


def test_a_language_and_a_mode_leave_out_what_belongs_to_no_run() -> None:
    make_metered_run(tokens=10)
    make_usage("tokens/definitions", "900", cost="0.0027")
    python = Scope(teams=None, language="python")
    assert headline_report(python, WEEK).total.tokens == 10
    assert by("language")[""].tokens == 900


def test_a_report_asks_no_more_with_more_groups() -> None:
    counts = []
    for more in range(2):
        for number in range(3 + 27 * more):
            make_metered_run(team=f"team-{more}-{number}")
        with CaptureQueriesContext(connection) as queries:
            report = headline_report(ALL, WEEK, "team")
        counts.append(len(queries))
    assert len(report.groups) == 33
    assert counts[0] == counts[1] <= 6
