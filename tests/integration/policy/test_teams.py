"""Teams, people and roles: each change on record, none half done."""

import pytest

from audit.models import Event
from core.errors import Invalid, NotFound
from policy.models import Membership, Project, Team, User
from policy.services import teams
from tests.builders.identity import ACTOR, AT, make_team, make_user

pytestmark = pytest.mark.django_db


def _names() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("name", flat=True))


def test_a_team_starts_with_a_group_and_a_project() -> None:
    team = teams.create_team(
        slug="sales", name="Sales", cost_centre="CC-1", actor=ACTOR, at=AT
    )
    assert team.group.name == "team:sales"
    assert list(team.projects.values_list("slug", flat=True)) == ["default"]
    assert _names() == ["team.created", "project.created"]


def test_a_short_name_is_given_once_and_nothing_is_left_behind() -> None:
    make_team("sales")
    before = Event.objects.count()
    with pytest.raises(Invalid, match="another short name"):
        teams.create_team(
            slug="sales", name="Again", cost_centre="", actor=ACTOR, at=AT
        )
    assert (Team.objects.count(), Event.objects.count()) == (1, before)


def test_a_project_is_created_once() -> None:
    team = make_team()
    teams.create_project(team=team, slug="x", name="X", actor=ACTOR, at=AT)
    with pytest.raises(Invalid, match="already"):
        teams.create_project(team=team, slug="x", name="Y", actor=ACTOR, at=AT)
    assert Project.objects.get(team=team, slug="x").name == "X"


def test_a_user_name_is_taken_once_and_the_password_is_not_stored() -> None:
    made = {"first_name": "", "last_name": "", "email": "", "actor": ACTOR, "at": AT}
    user = teams.create_user(username="ann", password="long enough 1", **made)  # type: ignore[arg-type]
    assert user.check_password("long enough 1")
    with pytest.raises(Invalid, match="taken"):
        teams.create_user(username="ann", password="other one 22", **made)  # type: ignore[arg-type]
    assert User.objects.get().check_password("long enough 1")
    assert "long enough" not in "".join(Event.objects.values_list("body", flat=True))


def test_a_role_is_given_and_taken_back() -> None:
    team, user = make_team(), make_user("ann")
    member = teams.add_member(team=team, user=user, role="member", actor=ACTOR, at=AT)
    with pytest.raises(Invalid, match="already"):
        teams.add_member(team=team, user=user, role="member", actor=ACTOR, at=AT)
    teams.remove_member(membership_id=member.pk, actor=ACTOR, at=AT)
    assert not Membership.objects.exists()
    assert _names()[-2:] == ["member.added", "member.removed"]
    last = Event.objects.newest_first()[0]
    assert last.summary == "Set-up took member of Sales from ann"


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(Invalid, match="member, approver"):
        teams.add_member(
            team=make_team(), user=make_user("ann"), role="king", actor=ACTOR, at=AT
        )


def test_the_last_administrator_stays() -> None:
    team = make_team()
    first = make_user("ann", (team, "admin")).memberships.get()
    with pytest.raises(Invalid, match="last administrator"):
        teams.remove_member(membership_id=first.pk, actor=ACTOR, at=AT)
    make_user("ben", (team, "admin"))
    teams.remove_member(membership_id=first.pk, actor=ACTOR, at=AT)
    assert Membership.objects.get().user.username == "ben"


def test_a_membership_that_is_gone_is_not_found() -> None:
    with pytest.raises(NotFound):
        teams.remove_member(membership_id=99, actor=ACTOR, at=AT)
