"""Isolation and limits: set, recorded, read for a run, and shown on their pages."""

import json
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from audit.models import Event
from core.errors import Invalid
from core.models import Revision, revisions
from policy.models import SandboxPolicy
from policy.sandbox import LIMITS
from policy.selectors import sandboxing_of
from policy.services.sandbox import Scope, set_sandbox_policy
from tests.builders.identity import (
    ACTOR,
    AT,
    Cast,
    make_account,
    make_environment,
    make_key,
    make_team,
)
from tests.integration.gateway.pages.conftest import queries_of

pytestmark = pytest.mark.django_db
WHY = {"reason": "ticket 7"}


@pytest.fixture
def admin(client: Client, cast: Cast) -> Client:
    client.force_login(cast.admin)
    return client


def put(
    scope: Scope, level: str = "", *, gvisor: bool = False, **limits: object
) -> None:
    set_sandbox_policy(
        scope=scope,
        level=level,
        require_gvisor=gvisor,
        limits=limits,
        reason="r",
        actor=ACTOR,
        at=AT,
    )


def test_the_lowest_of_environment_team_and_key_wins() -> None:
    team, key = make_team("sales"), make_key(make_account(make_team("sales"))).key
    other = make_key(make_account(make_team("support"))).key
    put(Scope(environment=make_environment("dev")), "team", wall_seconds=120, calls=9)
    put(Scope(team=team), wall_seconds=30)
    put(Scope(key=key), memory_mb=64, calls=50)
    put(Scope(environment=make_environment("prod")), "run", calls=1)
    held = sandboxing_of(environment="dev", team_id=team.pk, key_id=key.pk)
    assert held.level == "team"
    assert held.limits == {"wall_seconds": 30, "calls": 9, "memory_mb": 64}
    without = sandboxing_of(
        environment="dev", team_id=other.service_account.team_id, key_id=other.pk
    )
    assert without.limits == {"wall_seconds": 120, "calls": 9}
    nobody = sandboxing_of(environment="test", team_id=0, key_id=None)
    assert (nobody.level, nobody.limits) == ("run", {})


def test_tools_that_need_gvisor_hold_everywhere() -> None:
    put(Scope(tool="crm.delete_*"), gvisor=True)
    put(Scope(team=make_team("sales")), gvisor=True)
    held = sandboxing_of(environment="dev", team_id=make_team("sales").pk, key_id=None)
    assert held.gvisor_tools == ("crm.delete_*",)
    assert held.require_gvisor
    other = sandboxing_of(environment="dev", team_id=0, key_id=None)
    assert other.needs_gvisor("crm.delete_customer")
    assert not other.require_gvisor


def test_a_change_is_on_record_and_raises_the_revision() -> None:
    before = revisions().get(Revision.POLICY, 0)
    scope = Scope(environment=make_environment("dev"))
    put(scope, "team", calls=5)
    put(scope, "team", calls=5)  # nothing new: nothing on record
    put(scope, "run", calls=7, wall_seconds=0.5)
    put(scope)  # asks for nothing: removed
    assert not SandboxPolicy.objects.exists()
    assert revisions()[Revision.POLICY] == before + 3
    events = Event.objects.filter(name__startswith="sandbox_policy.").order_by("pk")
    assert [event.name for event in events] == [
        "sandbox_policy.set",
        "sandbox_policy.set",
        "sandbox_policy.removed",
    ]
    changed = json.loads(events[1].body)
    assert changed["before"]["limits"] == {"calls": "5"}
    assert changed["after"]["limits"] == {"calls": "7", "wall_seconds": "0.5"}
    assert "level run, calls 7" in events[1].summary


@pytest.mark.parametrize(
    ("scope", "level", "limits", "words"),
    [
        (Scope(), "team", {}, "Choose one"),
        (Scope(tool="crm.x"), "team", {}, "only require gVisor"),
        (Scope(tool="crm"), "", {}, "names no tools"),
        (Scope(tool="crm.*"), "", {"calls": 1}, "only require gVisor"),
        (Scope(tool="crm.x"), "vm", {}, "no level 'vm'"),
        (Scope(tool="crm.x"), "", {"cals": 1}, "no limit 'cals'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    scope: Scope, level: str, limits: dict[str, object], words: str
) -> None:
    with pytest.raises(Invalid) as caught:
        set_sandbox_policy(
            scope=scope,
            level=level,
            require_gvisor=True,
            limits=limits,
            reason="r",
            actor=ACTOR,
            at=AT,
        )
    assert words in str(caught.value)
    assert not SandboxPolicy.objects.exists()


def test_the_database_holds_one_scope_a_row() -> None:
    for fields in ({}, {"tool": "a.b", "team": make_team("sales")}):
        with pytest.raises(IntegrityError), transaction.atomic():
            SandboxPolicy.objects.create(changed_at=AT, **fields)


def test_an_administrator_sets_an_environment_on_its_page(
    admin: Client, cast: Cast
) -> None:
    make_environment("dev")
    path = "/settings/environments/dev/sandbox/"
    sent = {"level": "team", "calls": "50", "wall_seconds": "12.5", **WHY}
    assert admin.post(path, sent)["Location"] == "/settings/environments/"
    row = SandboxPolicy.objects.get()
    assert (row.level, row.limits) == ("team", {"calls": 50, "wall_seconds": 12.5})
    listed = admin.get("/settings/environments/").content.decode()
    assert "level team, calls 50, wall_seconds 12.5" in listed
    form = admin.get(path).content.decode()
    assert 'value="12.5"' in form
    assert "256 MiB unless set" in form
    for senseless in ({"calls": "-1", **WHY}, {"calls": "1"}, {"reason": " "}):
        assert admin.post(path, senseless).status_code == 422
    assert SandboxPolicy.objects.get().limits == {"calls": 50, "wall_seconds": 12.5}
    assert admin.post(path, WHY).status_code == 302
    assert not SandboxPolicy.objects.exists()


def test_a_team_and_a_key_have_the_same_page(admin: Client, cast: Cast) -> None:
    key = make_key(make_account(cast.team)).key
    for path in (
        f"/settings/teams/{cast.team.slug}/sandbox/",
        f"/settings/keys/{key.pk}/sandbox/",
    ):
        assert admin.get(path).status_code == 200
        assert admin.post(path, {"require_gvisor": "on", **WHY}).status_code == 302
    assert SandboxPolicy.objects.filter(require_gvisor=True).count() == 2
    assert admin.get("/settings/environments/none/sandbox/").status_code == 404


def test_a_tool_is_named_and_let_go_on_the_environments_page(admin: Client) -> None:
    add = "/settings/gvisor-tools/add/"
    admin.post(add, {"tool": "crm.delete_customer"})
    assert not SandboxPolicy.objects.exists()
    admin.post(add, {"tool": "crm.delete_customer", **WHY})
    row = SandboxPolicy.objects.get()
    assert (row.tool, row.require_gvisor) == ("crm.delete_customer", True)
    assert (
        "crm.delete_customer" in admin.get("/settings/environments/").content.decode()
    )
    bad = admin.post(add, {"tool": "crm", **WHY}, follow=True)
    assert "names no tools" in bad.content.decode()
    remove = f"/settings/gvisor-tools/{row.pk}/remove/"
    assert admin.post(remove).status_code == 422
    assert SandboxPolicy.objects.exists()
    admin.post(remove, WHY)
    assert not SandboxPolicy.objects.exists()
    event = Event.objects.get(name="sandbox_policy.removed")
    assert json.loads(event.body)["payload"]["reason"] == "ticket 7"


def put_json(client: Client, path: str, body: dict[str, Any]) -> Any:
    sent = json.dumps({**WHY, **body})
    return client.put(path, sent, content_type="application/json")


def test_rest_reads_and_replaces_each_scope(admin: Client, cast: Cast) -> None:
    make_environment("dev")
    key = make_key(make_account(cast.team)).key
    for scope in ("environments/dev", "teams/sales", f"keys/{key.pk}"):
        path = f"/api/v1/{scope}/sandbox/"
        nothing = {"level": "", "require_gvisor": False, "limits": {}}
        assert nothing.items() <= admin.get(path).json().items()
        asked = {"level": "run", "require_gvisor": True, "limits": {"tmp_mb": 4}}
        answer = put_json(admin, path, asked)
        assert answer.status_code == 200
        assert asked.items() <= answer.json().items()
        assert admin.get(path).json() == answer.json()
        less = put_json(admin, path, {"limits": {"calls": 5}}).json()
        assert (nothing | {"limits": {"calls": 5}}).items() <= less.items()
        assert nothing.items() <= put_json(admin, path, {}).json().items()
    names = Event.objects.filter(name__startswith="sandbox_policy.")
    assert names.count() == 9
    assert set(names.values_list("actor_id", flat=True)) == {
        f"user:{cast.admin.username}"
    }
    assert not SandboxPolicy.objects.exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"level": "vm"}, "level"),
        ({"limits": {"cals": 1}}, "no limit 'cals'"),
        ({"limits": {"calls": "many"}}, "limits"),
        ({"limits": {"memory_mb": 1}}, "from 32 to 2,048"),
        ({"limits": 5}, "limits"),
        ({"reason": ""}, "reason"),
        ({"reason": None}, "reason"),
    ],
)
def test_rest_says_what_makes_no_sense(
    admin: Client, cast: Cast, body: dict[str, Any], words: str
) -> None:
    answer = put_json(admin, "/api/v1/teams/sales/sandbox/", body)
    assert answer.status_code == 422 or answer.status_code == 400
    assert words in answer.content.decode()
    assert not SandboxPolicy.objects.exists()


def test_rest_names_tools_and_lets_them_go(admin: Client) -> None:
    path = "/api/v1/gvisor-tools/"
    sent = {"tool": "crm.delete_*"}
    unreasoned = admin.post(path, json.dumps(sent), content_type="application/json")
    assert unreasoned.status_code == 422
    sent |= WHY
    made = admin.post(path, json.dumps(sent), content_type="application/json")
    assert made.status_code == 201
    (row,) = admin.get(path).json()
    assert (row["tool"], row["id"]) == ("crm.delete_*", made.json()["id"])
    senseless = json.dumps({"tool": "crm", **WHY})
    refused = admin.post(path, senseless, content_type="application/json")
    assert "names no tools" in refused.content.decode()
    remove = f"{path}{row['id']}/remove/"
    for body, status in (({}, 422), (WHY, 204), (WHY, 404)):
        answer = admin.post(remove, json.dumps(body), content_type="application/json")
        assert answer.status_code == status
    assert admin.get(path).json() == []


def test_thirty_environments_and_tools_cost_as_many_queries_as_three(
    admin: Client,
) -> None:
    paths, counts = ("/settings/environments/", "/api/v1/gvisor-tools/"), []
    for number in range(30):
        put(Scope(environment=make_environment(f"place{number}")), "team")
        put(Scope(tool=f"crm.tool{number}"), gvisor=True)
        if number in (2, 29):
            counts.append([queries_of(admin, path) for path in paths])
    assert counts[0] == counts[1]


def test_no_key_changes_its_own_limits(client: Client, cast: Cast) -> None:
    new = make_key(make_account(cast.team), scopes=["admin:teams", "admin:keys"])
    answer = client.put(
        f"/api/v1/keys/{new.key.pk}/sandbox/",
        "{}",
        content_type="application/json",
        headers={"Authorization": f"Bearer {new.text}"},
    )
    assert answer.status_code == 403
    assert "Only people" in answer.content.decode()
    assert Event.objects.filter(name="access.denied").count() == 1


def test_the_openapi_document_names_every_limit(admin: Client) -> None:
    document = admin.get("/api/v1/schema/?format=json").json()
    put_it = document["paths"]["/api/v1/teams/{slug}/sandbox/"]["put"]
    assert put_it["requestBody"]
    shown = document["components"]["schemas"]["Sandbox"]["properties"]["limits"]
    assert all(name in shown["description"] for name in LIMITS)


def test_team_and_keys_pages_lead_to_their_settings(admin: Client, cast: Cast) -> None:
    key = make_key(make_account(cast.team)).key
    put(Scope(team=cast.team), calls=7)
    page = admin.get("/settings/teams/sales/").content.decode()
    assert 'href="/settings/teams/sales/sandbox/"' in page
    assert "calls 7" in page
    listed = admin.get("/settings/keys/").content.decode()
    assert f'href="/settings/keys/{key.pk}/sandbox/"' in listed


FORBIDDING = {
    "languages": ["python"],
    "modes": ["script"],
    "models": "gpt-5*, qwen3-*",
    "require_model": "on",
    "reason": "Production is reviewed in Python only.",
}


def test_what_may_run_is_set_on_the_page_with_a_reason(admin: Client) -> None:
    make_environment("prod")
    path = "/settings/environments/prod/sandbox/"
    assert admin.post(path, FORBIDDING).status_code == 302
    row = SandboxPolicy.objects.get()
    assert (row.languages, row.modes) == (["python"], ["script"])
    assert (row.allowed_models, row.require_model) == (["gpt-5*", "qwen3-*"], True)
    event = Event.objects.get(name="sandbox_policy.set")
    body = json.loads(event.body)
    assert body["payload"]["reason"] == FORBIDDING["reason"]
    assert body["after"]["models"] == ["gpt-5*", "qwen3-*"]
    assert "Python, scripts, models gpt-5*, qwen3-*" in event.summary
    page = admin.get(path).content.decode()
    assert "gpt-5* qwen3-*" in page
    assert "What holds here and why" in page
    assert "<td>environment prod</td>" in page
    bad = admin.post(path, {"models": "gpt[5]", **WHY})
    assert bad.status_code == 422
    assert "is no model" in bad.content.decode()
    assert SandboxPolicy.objects.get().allowed_models == ["gpt-5*", "qwen3-*"]


def test_a_teams_and_a_keys_page_say_which_layer_set_what(
    admin: Client, cast: Cast
) -> None:
    key = make_key(make_account(cast.team)).key
    put(Scope(environment=key.environment), calls=9)
    put(Scope(team=cast.team), wall_seconds=5)
    team = f"/settings/teams/{cast.team.slug}/sandbox/"
    place = f"environment {key.environment.slug}"
    assert f"<td>{place}</td>" not in admin.get(team).content.decode()
    where = {"environment": key.environment.slug}
    assert f"<td>{place}</td>" in admin.get(team, where).content.decode()
    page = admin.get(f"/settings/keys/{key.pk}/sandbox/").content.decode()
    assert f"<td>{place}</td>" in page
    assert f"<td>team {cast.team.slug}</td>" in page
    assert admin.get(team, {"environment": "x\x00"}).status_code == 200


def test_rest_sets_the_same_and_shows_what_holds(admin: Client, cast: Cast) -> None:
    put(Scope(environment=make_environment("dev")), calls=9)
    path = f"/api/v1/teams/{cast.team.slug}/sandbox/"
    sent = {"languages": ["python"], "models": ["gpt-5*"], "reason": "As agreed."}
    answer = admin.put(path, sent, content_type="application/json")
    assert answer.status_code == 200, answer.content
    shown = admin.get(path, {"environment": "dev"}).json()
    assert (shown["languages"], shown["models"]) == (["python"], ["gpt-5*"])
    assert "reason" not in shown
    lines = {line["what"]: line for line in shown["effective"]}
    assert lines["Languages"] == {
        "what": "Languages",
        "value": "Python",
        "set_by": [f"team {cast.team.slug}"],
    }
    assert lines["Tool calls"]["set_by"] == ["environment dev"]
    for wrong in ({"languages": ["ruby"]}, {"models": ["a b"]}, {"modes": ["x"]}):
        refused = put_json(admin, path, wrong)
        assert refused.status_code == 422
    assert SandboxPolicy.objects.get(team=cast.team).allowed_models == ["gpt-5*"]
