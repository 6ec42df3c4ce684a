"""Signing in and out: on record, throttled, and never to another site."""

from datetime import timedelta

import pytest
from django.http import HttpRequest
from django.test import Client

from audit.models import Event
from core.clock import now
from policy.models import User
from policy.services import sessions
from policy.services.sessions import SignInFailed, TooManyAttempts
from tests.builders.identity import PASSWORD, make_team, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    return make_user("ann", (make_team(), "member"), password=PASSWORD)


def _session_event() -> Event:
    return Event.objects.get(name__startswith="session.")


def _post(client: Client, **values: str) -> int:
    sent = {"username": "ann", "password": PASSWORD} | values
    return client.post("/sign-in/", sent).status_code


def test_the_right_password_opens_a_new_session_on_record(
    client: Client, ann: User
) -> None:
    client.get("/sign-in/")
    client.session["kept"] = "x"
    client.session.save()
    before = client.session.session_key
    response = client.post("/sign-in/", {"username": "ann", "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.session.session_key != before
    event = _session_event()
    assert (event.name, event.actor_id) == ("session.signed_in", "user:ann")


def test_a_wrong_password_is_a_422_that_says_so_and_is_on_record(
    client: Client, ann: User
) -> None:
    response = client.post("/sign-in/", {"username": "ann", "password": "wrong"})
    assert response.status_code == 422
    assert "do not match" in response.content.decode()
    event = _session_event()
    assert (event.name, event.decision) == ("session.sign_in_failed", "deny")
    assert event.summary == "Sign-in as ann failed"
    assert "_auth_user_id" not in client.session


def test_a_disabled_person_cannot_sign_in(client: Client, ann: User) -> None:
    ann.is_active = False
    ann.save()
    assert _post(client) == 422


def test_a_password_typed_as_the_name_does_not_reach_the_trail(
    client: Client, ann: User
) -> None:
    _post(client, username=PASSWORD)
    event = _session_event()
    assert PASSWORD not in event.body
    assert event.target_id.startswith("unknown:")


@pytest.mark.parametrize("username", ["", "a\x00b", "a" * 5000])
def test_odd_names_are_refused_and_harm_nothing(client: Client, username: str) -> None:
    assert _post(client, username=username) == 422


def test_guessing_stops_after_ten_failures_even_with_the_right_password(
    client: Client, ann: User
) -> None:
    for _ in range(10):
        _fail()
    assert _post(client) == 429
    assert Event.objects.filter(name="session.sign_in_throttled").count() == 1


def test_the_lock_is_over_after_a_quarter_of_an_hour(ann: User) -> None:
    for _ in range(10):
        _fail()
    with pytest.raises(TooManyAttempts):
        _attempt(at_minutes=14)
    assert _attempt(at_minutes=16) == ann


def test_a_stranger_elsewhere_does_not_lock_a_person_out(ann: User) -> None:
    for _ in range(15):
        _fail(address="203.0.113.9")
    assert _attempt() == ann


def test_one_address_cannot_try_many_names(ann: User) -> None:
    for number in range(60):
        _fail(username=f"name{number}")
    with pytest.raises(TooManyAttempts):
        _attempt()


def _attempt(
    *,
    username: str = "ann",
    password: str = PASSWORD,
    address: str = "127.0.0.1",
    at_minutes: int = 0,
) -> User:
    return sessions.sign_in(
        request=HttpRequest(),
        username=username,
        password=password,
        address=address,
        request_id="r",
        at=now() + timedelta(minutes=at_minutes),
    )


def _fail(*, username: str = "ann", address: str = "127.0.0.1") -> None:
    """A failure. Django's real hash takes a third of a second: a dummy one is set."""
    with pytest.raises((SignInFailed, TooManyAttempts)):
        _attempt(username=username, password="wrong", address=address)


@pytest.fixture(autouse=True)
def _fast_hashes(settings: object) -> None:
    settings.PASSWORD_HASHERS = [  # type: ignore[attr-defined]
        "django.contrib.auth.hashers.MD5PasswordHasher"
    ]


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/settings/keys/", "/settings/keys/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\\evil.example", "/"),
    ],
)
def test_sign_in_leads_to_pages_of_this_site_only(
    client: Client, ann: User, wanted: str, leads_to: str
) -> None:
    sent = {"username": "ann", "password": PASSWORD, "next": wanted}
    assert client.post("/sign-in/", sent)["Location"] == leads_to


def test_sign_out_needs_a_post_and_is_on_record(client: Client, ann: User) -> None:
    client.force_login(ann)
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert _session_event().name == "session.signed_out"
    assert client.get("/settings/teams/").status_code == 302


def test_a_form_without_a_token_changes_nothing() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/sign-in/", {"username": "x", "password": "y"})
    assert response.status_code == 403
    assert "load the page again" in response.content.decode()
    assert not Event.objects.exists()
