"""Keeping people out, letting them in again, and giving them a new password."""

import json
import re

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from audit.models import Event
from core.errors import Invalid, NotFound
from policy.models import Membership, User
from policy.services import people, teams
from tests.builders.identity import ACTOR, AT, Cast, make_team, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client, cast: Cast) -> Client:
    client.force_login(cast.admin)
    return client


def _signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _is_in(client: Client) -> bool:
    return client.get("/settings/teams/").status_code == 200


def _act(admin: Client, user: User, active: str) -> int:
    path = f"/settings/people/{user.pk}/active/"
    return admin.post(path, {"active": active}).status_code


def test_a_deactivated_person_is_out_at_once_and_for_good(
    admin: Client, cast: Cast
) -> None:
    alice, bob = _signed_in(cast.member), _signed_in(cast.approver)
    assert _act(admin, cast.member, "no") == 302
    assert not _is_in(alice)
    assert _is_in(bob)
    event = Event.objects.get(name="user.deactivated")
    assert event.summary == "Erin Example deactivated alice"
    assert json.loads(event.body)["payload"] == {
        "sessions_ended": 1,
        "personal_keys_revoked": 0,
    }
    # The old session does not come back to life with the person.
    assert _act(admin, cast.member, "yes") == 302
    assert not _is_in(alice)
    assert _is_in(_signed_in(User.objects.get(username="alice")))
    assert Event.objects.filter(name="user.reactivated").count() == 1
    assert Membership.objects.filter(user=cast.member).count() == 1


def test_doing_it_twice_is_on_record_once(admin: Client, cast: Cast) -> None:
    _act(admin, cast.member, "no")
    _act(admin, cast.member, "no")
    assert Event.objects.filter(name="user.deactivated").count() == 1


def test_the_page_shows_who_is_out_and_offers_the_way_back(
    admin: Client, cast: Cast
) -> None:
    _act(admin, cast.member, "no")
    html = admin.get("/settings/people/").content.decode()
    assert 'aria-label="Reactivate alice"' in html
    assert 'aria-label="Reset password of alice"' not in html
    assert 'aria-label="Deactivate bob"' in html


def test_the_last_administrator_cannot_be_kept_out(admin: Client, cast: Cast) -> None:
    assert _act(admin, cast.admin, "no") == 422
    cast.admin.refresh_from_db()
    assert cast.admin.is_active
    assert not Event.objects.filter(name="user.deactivated").exists()
    make_user("zoe", (cast.other_team, "admin"))
    assert _act(admin, cast.admin, "no") == 302


def test_an_administrator_who_is_out_does_not_count(cast: Cast) -> None:
    zoe = make_user("zoe", (cast.other_team, "admin"))
    people.deactivate(user_id=zoe.pk, actor=ACTOR, at=AT)
    with pytest.raises(Invalid, match="last administrator"):
        people.deactivate(user_id=cast.admin.pk, actor=ACTOR, at=AT)
    held = Membership.objects.get(user=cast.admin).pk
    with pytest.raises(Invalid, match="last administrator"):
        teams.remove_member(membership_id=held, actor=ACTOR, at=AT)


def test_a_role_is_taken_from_somebody_who_administers_elsewhere_too() -> None:
    first, second = make_team("sales"), make_team("support")
    erin = make_user("erin", (first, "admin"), (second, "admin"))
    held = erin.memberships.get(team=first)
    teams.remove_member(membership_id=held.pk, actor=ACTOR, at=AT)
    assert erin.memberships.get().team == second


def test_a_new_password_is_random_shown_once_and_ends_sessions(
    admin: Client, cast: Cast
) -> None:
    alice = _signed_in(cast.member)
    response = admin.post(f"/settings/people/{cast.member.pk}/reset/")
    assert response["Location"] == "/settings/people/password/"
    page = admin.get("/settings/people/password/")
    assert "no-store" in page["Cache-Control"]
    found = re.search(r'id="password-text">([^<]+)<', page.content.decode())
    assert found
    password = found[1]
    assert len(password) >= 16
    assert not _is_in(alice)
    assert Client().login(username="alice", password=password)
    assert admin.get("/settings/people/password/")["Location"] == "/settings/people/"
    event = Event.objects.get(name="user.password_reset")
    assert password not in event.body
    assert event.target_label == "alice"


def test_ones_own_reset_keeps_the_session_it_was_made_in(
    admin: Client, cast: Cast
) -> None:
    elsewhere = _signed_in(cast.admin)
    admin.post(f"/settings/people/{cast.admin.pk}/reset/")
    assert "password-text" in admin.get("/settings/people/password/").content.decode()
    assert not _is_in(elsewhere)


def test_nobody_resets_who_is_out_or_unknown(cast: Cast) -> None:
    people.deactivate(user_id=cast.member.pk, actor=ACTOR, at=AT)
    with pytest.raises(Invalid, match="reactivate them first"):
        people.reset_password(user_id=cast.member.pk, actor=ACTOR, at=AT)
    for act in (people.deactivate, people.reactivate, people.reset_password):
        with pytest.raises(NotFound):
            act(user_id=0, actor=ACTOR, at=AT)


def test_a_session_that_cannot_be_read_is_left_alone(cast: Cast) -> None:
    broken = Session.objects.create(
        session_key="x" * 32, session_data="no", expire_date=AT.replace(year=2099)
    )
    people.deactivate(user_id=cast.member.pk, actor=ACTOR, at=AT)
    assert Session.objects.get() == broken


def test_a_team_is_renamed_with_before_and_after_on_record(
    admin: Client, cast: Cast
) -> None:
    path = "/settings/teams/sales/change/"
    sent = {"name": "Sales EU", "cost_centre": "CC-900"}
    assert admin.post(path, sent)["Location"] == "/settings/teams/sales/"
    cast.team.refresh_from_db()
    assert (cast.team.name, cast.team.cost_centre) == ("Sales EU", "CC-900")
    body = json.loads(Event.objects.get(name="team.changed").body)
    assert body["before"] == {"name": "Sales", "cost_centre": "CC-100"}
    assert body["after"] == sent
    html = admin.get("/settings/teams/sales/").content.decode()
    assert 'value="CC-900"' in html


def test_saving_an_unchanged_team_records_nothing(admin: Client, cast: Cast) -> None:
    same = {"name": cast.team.name, "cost_centre": cast.team.cost_centre}
    admin.post("/settings/teams/sales/change/", same)
    assert not Event.objects.filter(name="team.changed").exists()


def test_a_team_needs_a_name(admin: Client, cast: Cast) -> None:
    path = "/settings/teams/sales/change/"
    response = admin.post(path, {"name": "", "cost_centre": "C"})
    assert response.status_code == 422
    cast.team.refresh_from_db()
    assert cast.team.name == "Sales"


def test_what_belongs_to_administrators_is_not_on_the_members_page(
    client: Client, cast: Cast
) -> None:
    client.force_login(cast.member)
    html = client.get("/settings/teams/sales/").content.decode()
    assert "Name and cost centre" not in html
