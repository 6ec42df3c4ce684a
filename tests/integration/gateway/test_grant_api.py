"""Grants over REST: listed by team, changed by people alone."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from guardian.models import GroupObjectPermission

from audit.models import Event
from gateway.models import Tag
from policy.models import User
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import Cast, make_account, make_cast, make_key

GRANTS = "/api/v1/grants/"


@pytest.fixture
def cast(db: None) -> Cast:
    make_tool(make_server(), tags=["billing"])
    return make_cast()


def ask(user: User, path: str = GRANTS, data: Any = None) -> Any:
    client = Client()
    client.force_login(user)
    if data is None:
        return client.get(path)
    return client.post(path, data, content_type="application/json")


def change(**values: Any) -> dict[str, Any]:
    wanted = {"holders": ["team:sales"], "subjects": ["server:crm"], "reason": "why"}
    return wanted | values


def test_what_is_given_is_listed_and_taken_by_the_same_texts(cast: Cast) -> None:
    make_key(make_account(cast.team), environment="prod")
    subjects = ["server:crm", "tool:crm.list_orders", "tag:billing"]
    wanted = change(holders=["team:sales", "role:admin"], subjects=subjects)
    given = ask(cast.admin, f"{GRANTS}give/", wanted | {"environment": "prod"})
    assert (given.status_code, given.json()) == (200, {"changed": 6})
    rows = ask(cast.admin).json()["results"]
    assert {(row["holder"], row["environment"], row["subject"]) for row in rows} == {
        (holder, "prod", subject)
        for holder in ("team:sales", "role:admin")
        for subject in subjects
    }
    first = rows[0]
    back = {
        "holders": [first["holder"]],
        "subjects": [first["subject"]],
        "environment": first["environment"],
        "reason": "no longer",
    }
    assert ask(cast.admin, f"{GRANTS}take/", back).json() == {"changed": 1}
    assert first not in ask(cast.admin).json()["results"]
    event = Event.objects.get(name="grant.taken")
    assert json.loads(event.body)["payload"]["reason"] == "no longer"


def test_each_sees_their_teams_and_the_roles(cast: Cast) -> None:
    server = Tag(name="billing")
    make_grant(cast.team, server)
    make_grant(cast.other_team, server)
    ask(cast.admin, f"{GRANTS}give/", change(holders=["role:member"]))

    def holders(response: Any) -> list[str]:
        assert response.status_code == 200, response.content
        return [row["holder"] for row in response.json()["results"]]

    assert holders(ask(cast.member)) == ["role:member", "team:sales"]
    assert holders(ask(cast.auditor)) == ["role:member", "team:support", "team:sales"]
    assert holders(ask(cast.auditor, f"{GRANTS}?holder=team:sales")) == ["team:sales"]
    assert holders(ask(cast.auditor, f"{GRANTS}?environment=prod")) == []
    key = make_key(make_account(cast.other_team), scopes=["policy:read"])
    bearer = {"Authorization": f"Bearer {key.text}"}
    found = Client().get(GRANTS, headers=bearer)
    assert holders(found) == ["role:member", "team:support"]


def test_a_key_changes_no_grant_whatever_its_scopes(cast: Cast) -> None:
    key = make_key(make_account(cast.team), scopes=["policy:*", "admin:*", "tools:*"])
    bearer = {"Authorization": f"Bearer {key.text}"}
    response = Client().post(
        f"{GRANTS}give/", change(), content_type="application/json", headers=bearer
    )
    assert response.status_code == 403
    assert GroupObjectPermission.objects.count() == 0
    assert Event.objects.filter(name="access.denied").count() == 1


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"holders": []}, 422),
        ({"holders": ["sales"]}, 422),
        ({"holders": ["team:sales@prod"]}, 422),
        ({"holders": ["team:ghost"]}, 422),
        ({"subjects": ["crm"]}, 404),
        ({"subjects": ["server:ghost"]}, 404),
        ({"subjects": ["tag:a\x00b"]}, 422),
        ({"environment": "mars"}, 422),
        ({"reason": ""}, 422),
        ({"reason": "x" * 400}, 422),
    ],
)
def test_what_cannot_be_granted_is_refused_whole(
    cast: Cast, values: dict[str, Any], status: int
) -> None:
    response = ask(cast.admin, f"{GRANTS}give/", change(**values))
    assert response.status_code == status, response.content
    assert GroupObjectPermission.objects.count() == 0


def test_thirty_grants_cost_as_many_queries_as_three(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.admin)
    counts = []
    for number in range(30):
        make_grant(cast.team, make_tool(make_server(name=f"s{number}")))
        if number in (2, 29):
            with CaptureQueriesContext(connection) as captured:
                assert len(client.get(GRANTS).json()["results"]) == number + 1
            counts.append(len(captured))
    assert counts[0] == counts[1]
