"""Roles and what they reach."""

import pytest

from policy import access as can
from policy.models import User
from policy.routing import Audience


def _access(*rows: tuple[str, str]) -> can.Access:
    return can.collect(User(pk=1, username="u"), rows)


def test_a_member_sees_their_own_team_only() -> None:
    access = _access(("sales", "member"))
    assert access.teams_for(can.RUNS_READ) == frozenset({"sales"})
    assert not access.may(can.AUDIT_READ)
    assert not access.may(can.IDENTITY_ADMIN)


@pytest.mark.parametrize(
    ("role", "capability"),
    [
        ("auditor", can.AUDIT_READ),
        ("finance", can.COSTS_READ),
        ("admin", can.IDENTITY_ADMIN),
    ],
)
def test_some_roles_reach_every_team(role: str, capability: str) -> None:
    assert _access(("sales", role)).teams_for(capability) is None


def test_finance_cannot_run_or_audit() -> None:
    access = _access(("sales", "finance"))
    assert not access.may(can.RUNS_EXECUTE)
    assert not access.may(can.AUDIT_READ)
    assert not access.may(can.IDENTITY_READ)


def test_an_auditor_changes_nothing() -> None:
    access = _access(("sales", "auditor"))
    assert not access.may(can.RUNS_EXECUTE)
    assert not access.may(can.CATALOG_ADMIN)
    assert not access.may(can.IDENTITY_ADMIN)


def test_roles_of_different_teams_do_not_mix() -> None:
    access = _access(("sales", "member"), ("support", "approver"))
    assert access.teams_for(can.RUNS_READ) == frozenset({"sales", "support"})


def test_nobody_may_nothing() -> None:
    assert not can.NOBODY.may(can.CATALOG_READ)
    assert can.NOBODY.teams_for(can.RUNS_READ) == frozenset()


def test_a_named_approver_group_opens_the_inbox_and_nothing_else() -> None:
    access = can.collect(User(pk=1, username="u"), [], ["board"])
    assert access.may(can.APPROVALS_DECIDE)
    assert not access.may(can.OUTCOMES_RESOLVE)
    assert not access.may(can.RUNS_READ)
    assert access.teams_for(can.APPROVALS_DECIDE) == frozenset()


@pytest.mark.parametrize(
    ("audience", "found"),
    [
        (("role", "approver"), {"approver", "admin"}),
        (("role", "finance"), {"finance"}),
        (("role", "admin"), {"admin"}),
        (("group", "board"), {"named"}),
        (("group", "finance"), set()),
        (("role", "board"), set()),
    ],
)
def test_an_audience_has_whom_it_says(
    audience: tuple[str, str], found: set[str]
) -> None:
    people = {
        role: _access(("sales", role))
        for role in ("member", "approver", "auditor", "finance", "admin")
    }
    people["named"] = can.collect(User(pk=1, username="u"), [], ["board"])
    people["elsewhere"] = _access(("support", "approver"))
    asked = Audience(*audience)
    belong = {
        name for name, who in people.items() if who.belongs_to(asked, team="sales")
    }
    assert belong == found
