"""The REST API: keys by scope, people by role, one shape of errors."""

import json
from typing import Any

import pytest
from django.test import Client

from audit.actor import Actor
from audit.models import Event
from core.clock import now
from policy.models import ApiKey
from policy.services import keys
from tests.builders.audit import make_event
from tests.builders.identity import (
    ACTOR,
    Cast,
    make_account,
    make_key,
    make_team,
)

pytestmark = pytest.mark.django_db


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def _error(response: Any) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/teams/",
        "/api/v1/keys/",
        "/api/v1/audit/events/",
        "/api/v1/audit/events/evt_x/",
        "/api/v1/schema/",
    ],
)
def test_without_a_key_it_is_a_401_with_a_challenge(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert _error(response)["code"] == "not_authenticated"


def test_a_revoked_key_is_a_401_that_says_so(client: Client, cast: Cast) -> None:
    new = make_key(make_account(cast.team), scopes=["admin:teams"])
    assert client.get("/api/v1/teams/", headers=_bearer(new.text)).status_code == 200
    keys.revoke_key(key_id=new.key.pk, reason="x", actor=ACTOR, at=now())
    response = client.get("/api/v1/teams/", headers=_bearer(new.text))
    assert response.status_code == 401
    assert "revoked" in _error(response)["message"]


def test_a_key_without_the_scope_is_refused_on_record(
    client: Client, cast: Cast
) -> None:
    new = make_key(make_account(cast.team), scopes=["runs:read"])
    response = client.get("/api/v1/audit/events/", headers=_bearer(new.text))
    assert response.status_code == 403
    assert _error(response)["details"] == {"needs": "audit:read"}
    event = Event.objects.newest_first()[0]
    assert (event.name, event.actor_id) == ("access.denied", "sa:sales/agent")


def test_a_key_sees_its_own_team_alone(client: Client, cast: Cast) -> None:
    new = make_key(
        make_account(cast.team), scopes=["admin:teams", "admin:keys", "audit:read"]
    )
    make_key(make_account(cast.other_team), name="theirs")
    other = make_event(actor=_of("support"))
    own = make_event(actor=_of("sales"))
    header = _bearer(new.text)
    teams = client.get("/api/v1/teams/", headers=header).json()["results"]
    assert [team["slug"] for team in teams] == ["sales"]
    found = client.get("/api/v1/keys/", headers=header).json()["results"]
    assert {key["team"] for key in found} == {"sales"}
    assert "secret_hash" not in found[0]
    events = client.get("/api/v1/audit/events/", headers=header).json()["results"]
    assert own.uid in {event["uid"] for event in events}
    assert {event["team"] for event in events} == {"sales"}
    path = f"/api/v1/audit/events/{other.uid}/"
    assert client.get(path, headers=header).status_code == 404
    path = f"/api/v1/audit/events/{own.uid}/"
    assert client.get(path, headers=header).json()["body"]["uid"] == own.uid


def _of(team: str) -> Actor:
    return keys.principal_of(make_key(make_account(make_team(team))).key).actor


def test_a_person_uses_the_api_by_role(client: Client, cast: Cast) -> None:
    client.force_login(cast.member)
    assert client.get("/api/v1/audit/events/").status_code == 403
    assert Event.objects.newest_first()[0].name == "access.denied"
    client.force_login(cast.auditor)
    assert client.get("/api/v1/audit/events/").status_code == 200


def _wanted(**changes: Any) -> dict[str, Any]:
    return {
        "team": "sales",
        "service_account": "bot",
        "name": "made by key",
        "environment": "dev",
        "scopes": ["tools:crm.*"],
    } | changes


def _post(
    client: Client, path: str, body: Any, headers: dict[str, str] | None = None
) -> Any:
    return client.post(
        path, json.dumps(body), content_type="application/json", headers=headers
    )


def test_a_key_is_made_shown_once_and_works(client: Client, cast: Cast) -> None:
    new = make_key(make_account(cast.team), scopes=["tools:*", "admin:keys"])
    response = _post(client, "/api/v1/keys/", _wanted(), headers=_bearer(new.text))
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    made = response.json()
    principal = keys.authenticate(text=made["key"], at=now(), address="", request_id="")
    assert principal.scopes == ("tools:crm.*",)
    listed = client.get("/api/v1/keys/", headers=_bearer(new.text)).json()["results"]
    assert "key" not in listed[0]
    event = Event.objects.newest_first().filter(name="key.created")[0]
    assert event.actor_id == "sa:sales/agent"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"team": "support"}, 403),
        ({"scopes": ["costs:read"]}, 403),
        ({"scopes": ["nonsense"]}, 422),
        ({"scopes": []}, 422),
        ({"name": ""}, 422),
        ({"project": "nope"}, 422),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422),
    ],
)
def test_a_key_that_may_not_be_made_is_not(
    client: Client, cast: Cast, changes: dict[str, Any], status: int
) -> None:
    new = make_key(make_account(cast.team), scopes=["tools:*", "admin:keys"])
    response = _post(
        client, "/api/v1/keys/", _wanted(**changes), headers=_bearer(new.text)
    )
    assert response.status_code == status
    _error(response)
    assert ApiKey.objects.count() == 1


def test_a_member_cannot_make_or_revoke_a_key(client: Client, cast: Cast) -> None:
    new = make_key(make_account(cast.team))
    client.force_login(cast.member)
    assert _post(client, "/api/v1/keys/", _wanted()).status_code == 403
    path = f"/api/v1/keys/{new.key.pk}/revoke/"
    assert _post(client, path, {"reason": "x"}).status_code == 403
    assert ApiKey.objects.get().revoked_at is None


def test_an_admin_revokes_with_a_reason(client: Client, cast: Cast) -> None:
    new = make_key(make_account(cast.team))
    client.force_login(cast.admin)
    path = f"/api/v1/keys/{new.key.pk}/revoke/"
    assert _post(client, path, {}).status_code == 422
    assert _post(client, path, {"reason": "x"}).json()["state"] == "revoked"
    assert _post(client, "/api/v1/keys/999/revoke/", {"reason": "x"}).status_code == 404


def test_malformed_json_and_unknown_paths_are_errors_in_the_same_shape(
    client: Client, cast: Cast
) -> None:
    client.force_login(cast.admin)
    response = client.post(
        "/api/v1/keys/", "{not json", content_type="application/json"
    )
    assert (response.status_code, _error(response)["code"]) == (400, "parse_error")
    assert _error(client.get("/api/v1/nope/"))["code"] == "not_found"
    assert client.delete("/api/v1/keys/").status_code == 405


def test_a_session_needs_the_csrf_token(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.admin)
    assert _post(client, "/api/v1/keys/", _wanted()).status_code == 403
    assert not ApiKey.objects.exists()


def test_the_openapi_document_names_every_endpoint(client: Client, cast: Cast) -> None:
    client.force_login(cast.member)
    response = client.get("/api/v1/schema/?format=json")
    document = json.loads(response.content)
    assert {"/api/v1/teams/", "/api/v1/keys/", "/api/v1/audit/events/"} <= set(
        document["paths"]
    )
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
