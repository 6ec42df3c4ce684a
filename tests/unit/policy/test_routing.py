"""Routes as rules write them: read strictly, and written back the same."""

from typing import Any

import pytest

from core.errors import Invalid
from policy.routing import DEFAULT, Audience, Route

FULL: dict[str, Any] = {
    "group": "refund-board",
    "quorum": 2,
    "expires_seconds": 3600,
    "escalate_after_seconds": 600,
    "escalate_to": {"role": "admin"},
}


def test_what_was_read_is_written_back_the_same() -> None:
    route = Route.parse(FULL)
    assert route.to == Audience("group", "refund-board")
    assert route.escalate_to == Audience("role", "admin")
    assert route.as_dict() == FULL
    assert Route.parse(route.as_dict()) == route
    assert Route.parse(DEFAULT.as_dict()) == DEFAULT


def test_who_asked_is_no_part_of_the_written_form() -> None:
    route = Route.parse({"role": "finance"})
    asked = route.asked_by("big-refunds", version="7", because="Above 500")
    assert (asked.rule, asked.rule_version, asked.because) == (
        "big-refunds",
        "7",
        "Above 500",
    )
    assert asked.as_dict() == {"role": "finance", "quorum": 1}


def test_it_names_the_groups_it_needs() -> None:
    assert Route.parse(FULL).groups == {"refund-board"}
    route = Route.parse(
        {
            "role": "finance",
            "escalate_after_seconds": 60,
            "escalate_to": {"group": "directors"},
        }
    )
    assert route.groups == {"directors"}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (None, "write {role"),
        ([], "write {role"),
        ({}, "one of role and group"),
        ({"role": "finance", "group": "x"}, "one of role and group"),
        ({"role": "member"}, "'member' decides nothing"),
        ({"role": ["finance"]}, "decides nothing"),
        ({"group": "Refund Board"}, "no name of a group"),
        ({"group": "board\n"}, "no name of a group"),
        ({"group": 7}, "no name of a group"),
        ({"role": "finance", "quorom": 2}, "approve.quorom: there is no such"),
        ({"role": "finance", "quorum": 0}, "approve.quorum: choose"),
        ({"role": "finance", "quorum": True}, "approve.quorum: give a whole"),
        ({"role": "finance", "quorum": "2"}, "approve.quorum: give a whole"),
        ({"role": "finance", "expires_seconds": 1}, "approve.expires_seconds"),
        ({"role": "finance", "escalate_after_seconds": 60}, "go together"),
        ({"role": "finance", "escalate_to": {"role": "admin"}}, "go together"),
        (FULL | {"escalate_after_seconds": 3600}, "less than expires_seconds"),
        (FULL | {"escalate_to": {"group": "refund-board"}}, "asked already"),
        (FULL | {"escalate_to": "admin"}, "approve.escalate_to: write"),
        (FULL | {"escalate_to": {"role": "admin", "quorum": 2}}, "quorum is not known"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(raw: Any, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        Route.parse(raw)
    assert said in refused.value.message
