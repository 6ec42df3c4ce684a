"""Holders of grants and the names of their permission groups."""

import pytest

from policy.holders import Holder, holders_of, parse


@pytest.mark.parametrize(
    ("holder", "group"),
    [
        (Holder("team", "sales"), "team:sales"),
        (Holder("team", "sales", "prod"), "team:sales@prod"),
        (Holder("role", "approver"), "role:approver"),
        (Holder("role", "approver", "dev-1"), "role:approver@dev-1"),
    ],
)
def test_a_holder_is_its_group_and_back(holder: Holder, group: str) -> None:
    assert holder.group == group
    assert parse(group) == holder


@pytest.mark.parametrize(
    "group", ["", "sales", "team:", "key:x", "team:a@", "team:a@b@c", "team:a b", "é"]
)
def test_other_groups_are_nobody(group: str) -> None:
    assert parse(group) is None


def test_one_who_acts_has_the_grants_of_team_and_roles_here_and_everywhere() -> None:
    found = {
        holder.group
        for holder in holders_of(
            team="sales", roles=["member", "admin"], environment="prod"
        )
    }
    assert found == {
        "team:sales",
        "team:sales@prod",
        "role:member",
        "role:member@prod",
        "role:admin",
        "role:admin@prod",
    }
