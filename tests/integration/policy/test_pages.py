"""Settings pages: what they show and to whom, what they change, how they refuse."""

import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audit.models import Event
from core.clock import now
from policy.models import ApiKey, Membership, QuotaUse, Team
from policy.quota import window_of
from policy.services import keys
from tests.builders.identity import (
    AT,
    PASSWORD,
    Cast,
    make_account,
    make_environment,
    make_key,
    make_team,
    make_user,
)
from tests.builders.quotas import make_quota

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client, cast: Cast) -> Client:
    client.force_login(cast.admin)
    return client


def _text(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return response.content.decode()


def test_members_see_their_own_team_and_admins_all(client: Client, cast: Cast) -> None:
    client.force_login(cast.member)
    text = _text(client, "/settings/teams/")
    assert "/settings/teams/sales/" in text
    assert "/settings/teams/support/" not in text
    assert "New team" not in text
    client.force_login(cast.admin)
    text = _text(client, "/settings/teams/")
    assert "/settings/teams/support/" in text
    assert "New team" in text


def test_a_team_of_others_is_not_found(client: Client, cast: Cast) -> None:
    client.force_login(cast.member)
    assert client.get("/settings/teams/support/").status_code == 404


def test_a_team_is_created_with_its_code(admin: Client) -> None:
    sent = {"name": "Legal", "slug": "legal", "cost_centre": "CC-9"}
    response = admin.post("/settings/teams/add/", sent)
    assert response["Location"] == "/settings/teams/legal/"
    assert Team.objects.get(slug="legal").cost_centre == "CC-9"


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({}, "This field is required"),
        ({"name": "S", "slug": "sales", "cost_centre": "C"}, "another short name"),
        ({"name": "S", "slug": "No good", "cost_centre": "C"}, "valid"),
        ({"name": "S", "slug": "add", "cost_centre": "C"}, "taken"),
    ],
)
def test_a_bad_team_is_a_422_that_keeps_what_was_typed(
    admin: Client, sent: dict[str, str], says: str
) -> None:
    response = admin.post("/settings/teams/add/", sent)
    assert response.status_code == 422
    assert says in response.content.decode()
    assert Team.objects.count() == 2


def test_a_role_is_given_and_taken_back_on_the_page(admin: Client, cast: Cast) -> None:
    path = "/settings/teams/support/members/add/"
    admin.post(path, {"username": "alice", "role": "approver"})
    member = Membership.objects.get(team=cast.other_team, user=cast.member)
    assert member.role == "approver"
    assert "Alice Example" in _text(admin, "/settings/teams/support/")
    admin.post(f"/settings/teams/support/members/{member.pk}/remove/")
    assert not Membership.objects.filter(pk=member.pk).exists()


def test_an_unknown_person_cannot_be_added(admin: Client) -> None:
    path = "/settings/teams/sales/members/add/"
    response = admin.post(path, {"username": "nobody", "role": "member"})
    assert response.status_code == 422
    assert "create them under Settings, People" in response.content.decode()


def test_a_membership_of_another_team_cannot_be_removed_through_this_one(
    admin: Client, cast: Cast
) -> None:
    pk = Membership.objects.get(user=cast.outsider).pk
    path = f"/settings/teams/sales/members/{pk}/remove/"
    assert admin.post(path).status_code == 404
    assert Membership.objects.filter(pk=pk).exists()


def test_the_last_administrator_stays_and_the_page_says_why(
    admin: Client, cast: Cast
) -> None:
    pk = Membership.objects.get(user=cast.admin).pk
    response = admin.post(f"/settings/teams/sales/members/{pk}/remove/")
    assert response.status_code == 422
    assert "appoint another one first" in response.content.decode()


def test_the_team_page_shows_its_quotas_and_leads_to_them(
    admin: Client, cast: Cast
) -> None:
    quota = make_quota(4000, team=cast.team, window="month")
    start, _ = window_of("month", now())
    QuotaUse.objects.create(quota=quota, window_start=start, used=4000)
    text = _text(admin, "/settings/teams/sales/")
    assert "4,000" in text
    assert "used up" in text
    assert 'max="4000" value="4000"' in text
    assert f"/policy/quotas/{quota.pk}/" in text
    assert "/policy/quotas/add/?team=sales" in text


def test_projects_and_accounts_are_added(admin: Client, cast: Cast) -> None:
    admin.post("/settings/teams/sales/projects/add/", {"name": "Q4", "slug": "q4"})
    admin.post("/settings/teams/sales/accounts/add/", {"name": "bot"})
    assert cast.team.projects.filter(slug="q4").exists()
    assert cast.team.service_accounts.filter(name="bot").exists()
    again = {"name": "Q4", "slug": "q4"}
    path = "/settings/teams/sales/projects/add/"
    assert admin.post(path, again).status_code == 422


def test_a_person_is_created_and_can_sign_in(admin: Client) -> None:
    sent = {"username": "zoe", "password": PASSWORD}
    assert admin.post("/settings/people/add/", sent)["Location"] == "/settings/people/"
    assert Client().login(username="zoe", password=PASSWORD)
    assert "zoe" in _text(admin, "/settings/people/?q=zo")
    assert "alice" not in _text(admin, "/settings/people/?q=zo")


def test_a_common_password_is_refused(admin: Client) -> None:
    sent = {"username": "zoe", "password": "password1"}
    response = admin.post("/settings/people/add/", sent)
    assert response.status_code == 422
    assert "too common" in response.content.decode()
    assert "password1" not in response.content.decode()


def test_an_environment_is_created_once(admin: Client) -> None:
    sent = {"name": "Prod", "slug": "prod", "position": "2"}
    assert admin.post("/settings/environments/", sent).status_code == 302
    assert admin.post("/settings/environments/", sent).status_code == 422


def _key_form(**changes: object) -> dict[str, object]:
    return {
        "name": "nightly",
        "account": "",
        "new_account": "bot",
        "environment": make_environment("dev").pk,
        "project": make_team("sales").projects.get().pk,
        "scopes": ["runs:execute"],
        "more_scopes": "tools:crm.*",
        "expires_on": "",
        **changes,
    }


def test_a_key_is_shown_once_with_a_client_configuration(admin: Client) -> None:
    made = admin.post("/settings/keys/create/?team=sales", _key_form())
    assert made["Location"] == "/settings/keys/created/"
    response = admin.get(made["Location"])
    text = response.content.decode()
    key = ApiKey.objects.get()
    assert "no-store" in response["Cache-Control"]
    assert key.scopes == ["runs:execute", "tools:crm.*"]
    assert key.service_account.name == "bot"
    shown = text.split('<code id="key-text">')[1].split("</code>")[0]
    assert keys.authenticate(text=shown, at=now(), address="", request_id="").key
    assert "mcpServers" in text
    assert "OPENAI_BASE_URL" not in text
    assert shown not in _text(admin, "/settings/keys/")


def test_a_key_that_asks_models_is_shown_with_their_address(admin: Client) -> None:
    form = _key_form(more_scopes="models:use")
    made = admin.post("/settings/keys/create/?team=sales", form)
    text = _text(admin, made["Location"])
    assert f"OPENAI_BASE_URL={settings.PUBLIC_URL}/v1" in text


def test_a_reload_neither_shows_the_key_again_nor_makes_another(admin: Client) -> None:
    admin.post("/settings/keys/create/?team=sales", _key_form())
    assert "tg_" not in str(dict(admin.session))
    assert "mcpServers" in _text(admin, "/settings/keys/created/")
    again = admin.get("/settings/keys/created/")
    assert again["Location"] == "/settings/keys/"
    assert "is shown once" in _text(admin, "/settings/keys/")
    assert ApiKey.objects.count() == 1


def test_a_key_that_was_not_fetched_in_time_is_not_shown(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.post("/settings/keys/create/?team=sales", _key_form())
    later = now() + timedelta(minutes=6)
    monkeypatch.setattr("policy.views.once.now", lambda: later)
    assert admin.get("/settings/keys/created/")["Location"] == "/settings/keys/"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": ""}, "required"),
        ({"new_account": ""}, "Choose a service account"),
        ({"more_scopes": "nonsense"}, "is no scope"),
        ({"scopes": [], "more_scopes": ""}, "at least one scope"),
        ({"expires_on": "2020-01-01"}, "expired already"),
        ({"scopes": ["root:*"]}, "valid choice"),
    ],
)
def test_a_bad_key_is_a_422_and_makes_nothing(
    admin: Client, changes: dict[str, object], says: str
) -> None:
    path = "/settings/keys/create/?team=sales"
    response = admin.post(path, _key_form(**changes))
    assert response.status_code == 422
    assert says in response.content.decode()
    assert not ApiKey.objects.exists()


def test_a_project_of_another_team_is_no_choice(admin: Client, cast: Cast) -> None:
    other = cast.other_team.projects.get().pk
    path = "/settings/keys/create/?team=sales"
    assert admin.post(path, _key_form(project=other)).status_code == 422


def test_a_key_is_revoked_with_its_reason(admin: Client) -> None:
    new = make_key()
    path = f"/settings/keys/{new.key.pk}/revoke/"
    assert "cannot be undone" in _text(admin, path)
    assert admin.post(path, {"reason": ""}).status_code == 422
    assert admin.post(path, {"reason": "leaked"})["Location"] == "/settings/keys/"
    assert Event.objects.get(name="key.revoked").summary.endswith("leaked")
    assert "revoked" in _text(admin, "/settings/keys/?state=revoked")


def test_keys_are_filtered_by_team_state_and_words(admin: Client, cast: Cast) -> None:
    make_key(make_account(cast.team), name="first")
    make_key(make_account(cast.other_team), name="second")
    make_key(
        make_account(cast.team), name="third", expires_at=AT + timedelta(minutes=1)
    )
    for query, shown, hidden in (
        ("team=support", "second", "first"),
        ("state=expired", "third", "first"),
        ("state=active", "first", "third"),
        ("q=seco", "second", "third"),
    ):
        text = _text(admin, f"/settings/keys/?{query}")
        assert shown in text, query
        assert hidden not in text, query
    assert "No key matches" in _text(admin, "/settings/keys/?q=nothing")


def test_members_see_the_keys_of_their_team_alone(client: Client, cast: Cast) -> None:
    make_key(make_account(cast.team), name="ours")
    make_key(make_account(cast.other_team), name="theirs")
    client.force_login(cast.member)
    text = _text(client, "/settings/keys/")
    assert "ours" in text
    assert "theirs" not in text
    assert "/revoke/" not in text


def test_keys_are_exported_with_the_same_filter_and_on_record(
    admin: Client, cast: Cast
) -> None:
    make_key(make_account(cast.team), name="=HYPERLINK(1)")
    make_key(make_account(cast.other_team), name="other")
    response = admin.get("/settings/keys/?team=sales&export=csv")
    lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 2
    assert lines[1].startswith("'=HYPERLINK(1),")
    event = Event.objects.get(name="list.exported")
    assert json.loads(event.body)["payload"]["filters"] == {"team": ["sales"]}
    assert admin.get("/settings/keys/?export=xml").status_code == 422


@pytest.mark.parametrize(
    "path", ["/settings/teams/", "/settings/keys/", "/settings/people/"]
)
def test_thirty_rows_cost_as_many_queries_as_three(
    admin: Client,
    path: str,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    def fill(first: int, last: int) -> None:
        for number in range(first, last):
            team = make_team(f"team{number}")
            make_user(f"person{number}", (team, "member"), (team, "approver"))
            make_key(make_account(team), name=f"key{number}")

    fill(0, 3)
    with django_assert_max_num_queries(12) as few:
        admin.get(path)
    fill(3, 30)
    with django_assert_num_queries(len(few)):
        admin.get(path)


def test_a_team_page_costs_the_same_for_few_and_many(
    admin: Client,
    cast: Cast,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    def fill(first: int, last: int) -> None:
        for number in range(first, last):
            make_user(f"person{number}", (cast.team, "member"))
            make_key(make_account(cast.team, f"bot{number}"))

    fill(0, 3)
    with django_assert_max_num_queries(14) as few:
        admin.get("/settings/teams/sales/")
    fill(3, 30)
    with django_assert_num_queries(len(few)):
        admin.get("/settings/teams/sales/")
