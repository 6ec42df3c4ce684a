"""A person's own keys: made by themselves, shown once, ended with their account."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from audit.models import Event
from core.clock import now
from core.errors import Invalid, NotFound
from policy.models import PersonalKey
from policy.principal import PERSON, Principal
from policy.services import keys, people, personal_keys
from policy.services.keys import KeyRefused
from tests.builders.identity import (
    ACTOR,
    Cast,
    make_key,
    make_personal_key,
    make_user,
)

pytestmark = pytest.mark.django_db


def let_in(text: str) -> Principal:
    return personal_keys.authenticate(
        text=text, at=now(), address="192.0.2.7", request_id="req_1"
    )


def test_a_key_stands_for_its_person(cast: Cast) -> None:
    made = make_personal_key(cast.approver)

    principal = let_in(made.text)

    assert (principal.kind, principal.id) == (PERSON, "user:bob")
    assert principal.scopes == ("runs:read", "approvals:decide")
    assert (principal.team, principal.key) == ("", made.key.prefix)
    assert made.text not in str(list(Event.objects.values()))
    made.key.refresh_from_db()
    assert made.key.last_used_at is not None
    assert personal_keys.access_of_key(principal).username == "bob"


def test_nobody_makes_a_key_for_somebody_else(cast: Cast) -> None:
    with pytest.raises(Invalid, match="its own person"):
        personal_keys.create(
            user=cast.approver, name="x", days=5, actor=ACTOR, at=now()
        )
    assert not PersonalKey.objects.exists()


@pytest.mark.parametrize("days", [0, 91])
def test_a_key_lasts_ninety_days_at_most(cast: Cast, days: int) -> None:
    with pytest.raises(Invalid, match="from 1 to 90 days"):
        make_personal_key(cast.approver, days=days)


@pytest.mark.parametrize("how", ["expired", "revoked", "secret", "kind"])
def test_a_key_that_is_not_good_is_refused_on_record(cast: Cast, how: str) -> None:
    long_ago = now() - timedelta(days=3)
    made = make_personal_key(cast.approver, days=2, at=long_ago)
    text = made.text
    if how == "revoked":
        made = make_personal_key(cast.approver)
        text = made.text
        personal_keys.revoke(
            key_id=made.key.pk, user=cast.approver, actor=ACTOR, at=now()
        )
    elif how == "secret":
        text = f"{make_personal_key(cast.approver).key.prefix}_{'x' * 43}"
    elif how == "kind":
        text = make_key().text

    with pytest.raises(KeyRefused):
        let_in(text)

    refusal = Event.objects.get(name="key.refused")
    assert (refusal.decision, refusal.actor_id) == ("deny", "anonymous")


def test_a_personal_key_is_no_key_of_an_account(cast: Cast, client: Client) -> None:
    text = make_personal_key(cast.approver).text

    with pytest.raises(KeyRefused):
        keys.authenticate(text=text, at=now(), address="", request_id="")
    answer = client.get(
        reverse("api_keys"), headers={"authorization": f"Bearer {text}"}
    )

    assert answer.status_code == 401


def test_no_account_is_given_the_scope_of_people() -> None:
    with pytest.raises(Invalid, match="is no scope"):
        make_key(scopes=["approvals:decide"])


@pytest.mark.parametrize("act", [people.deactivate, people.reset_password])
def test_keys_end_with_the_account(cast: Cast, act: object) -> None:
    text = make_personal_key(cast.approver).text
    other = make_personal_key(cast.admin).text

    assert callable(act)
    act(user_id=cast.approver.pk, actor=ACTOR, at=now())

    with pytest.raises(KeyRefused):
        let_in(text)
    assert let_in(other).id == f"user:{cast.admin.username}"


def test_the_page_shows_a_new_key_once(cast: Cast, client: Client) -> None:
    client.force_login(cast.approver)

    made = client.post(reverse("personal_keys"), {"name": "my laptop", "days": "30"})
    shown = client.get(made["Location"])
    again = client.get(made["Location"])

    key = PersonalKey.objects.get()
    assert f"{key.prefix}_" in shown.content.decode()
    assert again.status_code == 302
    assert "my laptop" in client.get(reverse("personal_keys")).content.decode()
    event = Event.objects.get(name="personal_key.created")
    assert event.actor_id == "user:bob"


def test_one_revokes_ones_own_key_alone(cast: Cast, client: Client) -> None:
    mine, other = make_personal_key(cast.approver), make_personal_key(cast.admin)
    client.force_login(cast.approver)

    done = client.post(reverse("personal_key_revoke", args=[mine.key.pk]))
    refused = client.post(reverse("personal_key_revoke", args=[other.key.pk]))

    assert (done.status_code, refused.status_code) == (302, 404)
    with pytest.raises(KeyRefused):
        let_in(mine.text)
    assert let_in(other.text)
    assert Event.objects.filter(name="personal_key.revoked").count() == 1
    with pytest.raises(NotFound):
        personal_keys.revoke(
            key_id=other.key.pk, user=cast.approver, actor=ACTOR, at=now()
        )


@pytest.mark.parametrize("days", ["0", "91", "x", ""])
def test_a_form_that_is_wrong_makes_nothing(
    cast: Cast, client: Client, days: str
) -> None:
    client.force_login(cast.approver)

    answer = client.post(reverse("personal_keys"), {"name": "n", "days": days})

    assert answer.status_code == 422
    assert not PersonalKey.objects.exists()


def test_the_page_costs_the_same_whatever_its_length(
    cast: Cast, client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user = make_user("eve", (cast.team, "approver"))
    client.force_login(user)

    def look(count: int) -> None:
        with django_assert_num_queries(count):
            client.get(reverse("personal_keys"))

    for _ in range(3):
        make_personal_key(user)
    look(6)
    for _ in range(27):
        make_personal_key(user)
    look(6)
