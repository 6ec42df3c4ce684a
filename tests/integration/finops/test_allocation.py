"""Shared costs, split by rules that change from month to month."""

from datetime import date
from decimal import Decimal

import pytest

from core.errors import Invalid
from finops.models import StatementLine
from finops.selectors.recompute import recompute
from tests.builders.chargeback import (
    AFTER_NOVEMBER,
    IN_NOVEMBER,
    IN_OCTOBER,
    NOVEMBER,
    OCTOBER,
    make_built,
    make_centre,
    make_closed,
    make_rule,
    statement_of,
)
from tests.builders.finops import make_usage

pytestmark = pytest.mark.django_db


def shares(month: date = OCTOBER) -> dict[str, str]:
    """What each cost centre bears of the platform team's usage."""
    found = StatementLine.objects.filter(statement__period__month=month, team="core")
    return {
        line.statement.cost_centre.slug: f"{line.cost.normalize():f}"
        for line in found.select_related("statement__cost_centre")
    }


@pytest.fixture(autouse=True)
def usage() -> None:
    """The platform team costs 10; sales makes 3 calls, support 1 and legal none."""
    for slug in ("CC-sales", "CC-support", "CC-legal"):
        make_centre(slug)
    make_usage(cost="10", at=IN_OCTOBER, team="core")
    make_usage("tool/crm.read", "3", cost="3", at=IN_OCTOBER, team="sales", run="run_1")
    make_usage("tool/crm.read", "1", cost="6", at=IN_OCTOBER, team="support")


@pytest.mark.parametrize(
    ("method", "driver", "receivers", "expected"),
    [
        ("direct", "", [("CC-legal", "0")], {"CC-legal": "10"}),
        (
            "fixed",
            "",
            [("CC-sales", "12.5"), ("CC-legal", "87.5")],
            {"CC-sales": "1.25", "CC-legal": "8.75"},
        ),
        (
            "proportional",
            "tool_calls",
            [],
            {"CC-sales": "7.5", "CC-support": "2.5"},
        ),
        ("proportional", "runs", [], {"CC-sales": "10"}),
        (
            "proportional",
            "cost",
            [],
            {"CC-sales": "3.333333333333", "CC-support": "6.666666666667"},
        ),
        (
            "proportional",
            "weight",
            [("CC-sales", "0"), ("CC-legal", "2"), ("CC-support", "2")],
            {"CC-legal": "5", "CC-support": "5"},
        ),
        ("proportional", "cpu", [], {"CC-core": "10"}),
    ],
)
def test_methods(
    method: str, driver: str, receivers: list[tuple[str, str]], expected: dict[str, str]
) -> None:
    make_rule(team="core", method=method, driver=driver, receivers=receivers)

    make_built()

    assert shares() == expected
    for line in StatementLine.objects.filter(team="core"):
        assert recompute(line).equal


def test_even_is_even_to_the_last_digit() -> None:
    receivers = [("CC-sales", "0"), ("CC-support", "0"), ("CC-legal", "0")]
    make_rule(team="core", receivers=receivers)

    make_built()

    assert shares() == {
        "CC-legal": "3.333333333334",
        "CC-sales": "3.333333333333",
        "CC-support": "3.333333333333",
    }
    line = statement_of("CC-legal").lines.get()
    assert (line.rule, line.rule_version, line.category) == (
        *("platform-team", 1),
        "shared",
    )
    assert line.ratio == Decimal("0.333333333333333334")


def test_a_version_holds_from_its_month_on() -> None:
    make_rule(team="core", method="direct", receivers=[("CC-sales", "0")])
    make_usage(cost="10", at=IN_NOVEMBER, team="core")
    make_rule(
        team="core",
        method="direct",
        receivers=[("CC-legal", "0")],
        valid_from=NOVEMBER,
    )

    make_built()
    make_built(NOVEMBER, at=AFTER_NOVEMBER)

    assert shares() == {"CC-sales": "10"}
    assert shares(NOVEMBER) == {"CC-legal": "10"}


def test_a_correction_is_split_as_its_month_was() -> None:
    make_rule(team="core", method="direct", receivers=[("CC-sales", "0")])
    make_closed()
    make_rule(
        team="core",
        method="direct",
        receivers=[("CC-legal", "0")],
        valid_from=NOVEMBER,
    )
    make_usage(cost="7", at=IN_OCTOBER, team="core")

    make_built(NOVEMBER, at=AFTER_NOVEMBER)

    (line,) = statement_of("CC-sales", NOVEMBER).lines.all()
    assert (line.category, line.rule, line.charge_month) == (
        *("correction", "platform-team"),
        OCTOBER,
    )
    assert recompute(line).equal


def test_a_rule_does_not_reach_into_a_closed_month() -> None:
    make_closed()

    with pytest.raises(Invalid, match="2026-10 is closed"):
        make_rule(team="core", method="direct", receivers=[("CC-sales", "0")])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"method": "fixed", "receivers": [("CC-sales", "99")]}, "add up to 100"),
        ({"method": "direct"}, "exactly one"),
        ({"team": "", "receivers": []}, "which usage"),
        ({"receivers": [("CC-none", "0")]}, "no cost centre CC-none"),
        ({"method": "proportional", "driver": "luck"}, "Choose a driver"),
        (
            {
                "method": "proportional",
                "driver": "weight",
                "receivers": [("CC-sales", "0")],
            },
            "weight above 0",
        ),
    ],
)
def test_rules_that_split_nothing(values: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        make_rule(**{"team": "core", **values})  # type: ignore[arg-type]


def test_what_was_split_says_by_what() -> None:
    make_rule(team="core", method="direct", receivers=[("CC-sales", "0")])
    make_built()
    line = statement_of("CC-sales").lines.get(team="core")
    again = recompute(line)

    assert (again.whole, again.cost, again.equal) == (Decimal(10), Decimal(10), True)
    assert again.found is not None
    assert again.found.rows == 1
    assert again.plan is not None
    assert again.plan.weights == (("CC-sales", Decimal(1)),)
