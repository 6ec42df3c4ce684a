"""What environment, team and key ask for, joined: the lowest limit wins."""

import pytest

from core.errors import Invalid
from gateway.sandbox.api import Limits
from policy.sandbox import LIMITS, Rule, checked, explain, merge


def test_every_limit_of_a_run_can_be_set_and_has_the_same_default() -> None:
    defaults = {name: getattr(Limits(), name) for name in Limits.__slots__}
    assert {name: bound.default for name, bound in LIMITS.items()} == defaults
    for bound in LIMITS.values():
        assert bound.least <= bound.default <= bound.most


def test_the_lowest_limit_wins_and_what_nobody_sets_is_left_out() -> None:
    merged = merge(
        [
            Rule(limits={"wall_seconds": 300, "calls": 50}),
            Rule(limits={"wall_seconds": 30}),
            Rule(limits={"calls": 80, "memory_mb": 512}),
        ]
    )
    assert merged.limits == {"wall_seconds": 30, "calls": 50, "memory_mb": 512}
    assert merge([]).limits == {}


@pytest.mark.parametrize(
    ("asked", "level"),
    [
        ([], "run"),
        (["", ""], "run"),
        (["team"], "team"),
        (["team", "", "team"], "team"),
        (["team", "run"], "run"),
        (["run", "team"], "run"),
    ],
)
def test_a_single_wish_for_a_sandbox_of_its_own_is_enough(
    asked: list[str], level: str
) -> None:
    assert merge([Rule(level=wish) for wish in asked]).level == level


def test_gvisor_is_required_if_anybody_requires_it() -> None:
    assert merge([Rule(), Rule(require_gvisor=True)]).require_gvisor
    assert not merge([Rule(), Rule()]).require_gvisor


def test_tools_that_need_gvisor_are_named_by_pattern() -> None:
    merged = merge([], ["crm.delete_*", "mail.*"])
    assert merged.needs_gvisor("crm.delete_customer")
    assert merged.needs_gvisor("mail.send")
    assert not merged.needs_gvisor("crm.list_orders")
    assert not merged.needs_gvisor("mailer.send")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"wall_second": 1}, "There is no limit 'wall_second'"),
        ({"wall_seconds": "60"}, "send a number"),
        ({"calls": True}, "send a number"),
        ({"wall_seconds": 0}, "from 0.1 to 900 s"),
        ({"memory_mb": 1_000_000}, "from 32 to 2,048 MiB"),
        ({"calls": 1.5}, "whole number"),
        ({"cpu_seconds": float("nan")}, "choose a number"),
        ({"cpu_seconds": float("inf")}, "choose a number"),
    ],
)
def test_a_wrong_limit_is_refused_with_what_to_do(
    limits: dict[str, object], words: str
) -> None:
    with pytest.raises(Invalid) as caught:
        checked(limits)
    assert words in str(caught.value)


def test_whole_limits_are_stored_as_integers() -> None:
    values = checked({"calls": 5.0, "wall_seconds": 5})
    assert Limits(**values) == Limits(calls=5, wall_seconds=5.0)  # type: ignore[arg-type]
    assert type(values["calls"]) is int


def test_a_rule_in_one_line() -> None:
    rule = Rule("team", True, {"calls": 5, "wall_seconds": 0.5})
    assert explain(rule) == "level team, gVisor required, calls 5, wall_seconds 0.5"
    assert explain(Rule()) == "the defaults"
