"""The REST API of rules: the same services, by people's roles and keys' scopes."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.actor import Actor
from audit.models import Event
from core.clock import now
from core.errors import Denied
from policy.models import PolicyDraft
from policy.services import drafts
from policy.services import rules as versions
from tests.builders.identity import ACTOR, Cast, make_account, make_key

pytestmark = pytest.mark.django_db

BASE = "/api/v1/policy/"
RULE = {"effect": "deny", "select": {"tools": ["crm.delete_*"]}}


@pytest.fixture
def admin(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.admin)
    return client


def send(client: Client, method: str, path: str, body: Any = None, **more: Any) -> Any:
    return client.generic(
        method, BASE + path, json.dumps(body), "application/json", **more
    )


def test_an_administrator_drafts_looks_publishes_and_reverts(admin: Client) -> None:
    draft = send(admin, "POST", "drafts/", {"name": "No deletes"}).json()
    uid = draft["uid"]
    rule = send(admin, "PUT", f"drafts/{uid}/rules/no-deletes/", {"rule": RULE})
    assert rule.json()["rules"][0]["id"] == "no-deletes"
    changes = send(admin, "GET", f"drafts/{uid}/diff/").json()["changes"]
    assert [(one["rule"], one["kind"]) for one in changes] == [("no-deletes", "added")]
    published = send(admin, "POST", f"drafts/{uid}/publish/", {"reason": "r"})
    assert (published.status_code, published.json()["number"]) == (201, 1)
    assert send(admin, "GET", "rules/").json()["rules"][0]["id"] == "no-deletes"
    assert b"id: no-deletes" in send(admin, "GET", "export/").content
    back = send(admin, "POST", "versions/0/revert/", {"reason": "oops"})
    assert (back.status_code, back.json()["version"]) == (201, 2)
    numbers = [
        one["number"] for one in send(admin, "GET", "versions/").json()["results"]
    ]
    assert numbers == [2, 1]
    diff = send(admin, "GET", "versions/2/diff/").json()["changes"]
    assert [one["kind"] for one in diff] == ["removed"]
    assert send(admin, "GET", "versions/2/diff/?against=0").json()["changes"] == []
    assert send(admin, "GET", "versions/1/").json()["rules"][0]["id"] == "no-deletes"


def test_a_rule_is_renamed_and_removed_by_its_address(admin: Client) -> None:
    uid = send(admin, "POST", "drafts/", {"name": "n", "rules": []}).json()["uid"]
    send(admin, "PUT", f"drafts/{uid}/rules/a/", {"rule": RULE})
    renamed = send(
        admin, "PUT", f"drafts/{uid}/rules/a/", {"rule": {**RULE, "id": "b"}}
    )
    assert [one["id"] for one in renamed.json()["rules"]] == ["b"]
    assert send(admin, "DELETE", f"drafts/{uid}/rules/b/").json()["rules"] == []
    assert send(admin, "DELETE", f"drafts/{uid}/rules/b/").status_code == 404
    assert send(admin, "DELETE", f"drafts/{uid}/").json()["state"] == "discarded"


def test_a_whole_document_is_taken_as_json_or_yaml(admin: Client) -> None:
    uid = send(admin, "POST", "drafts/", {"name": "n"}).json()["uid"]
    yaml = "rules:\n- {id: a, effect: deny}\n"
    by_yaml = send(admin, "PUT", f"drafts/{uid}/rules/", {"yaml": yaml})
    by_json = send(
        admin, "PUT", f"drafts/{uid}/rules/", {"rules": [{"id": "a", "effect": "deny"}]}
    )
    assert by_yaml.json()["rules"] == by_json.json()["rules"]
    bad: dict[str, Any]
    for bad in ({}, {"yaml": yaml, "rules": []}, {"yaml": "["}, {"rules": [{}]}):
        assert send(admin, "PUT", f"drafts/{uid}/rules/", bad).status_code == 422


def test_what_is_wrong_comes_with_rule_and_field(admin: Client) -> None:
    bad = {"rules": [{"id": "a", "effect": "deny", "when": "args."}]}
    problems = send(admin, "POST", "check/", bad).json()["problems"]
    assert [(one["rule"], one["field"]) for one in problems] == [("a", "when")]
    good = {"rules": [{"id": "a", "effect": "deny"}]}
    assert send(admin, "POST", "check/", good).json() == {"problems": []}
    refused = send(admin, "POST", "drafts/", {"name": "n", **bad})
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "invalid_rules"
    assert PolicyDraft.objects.count() == 0


def test_a_stale_draft_is_a_409_and_a_rebase_names_conflicts(admin: Client) -> None:
    first = send(admin, "POST", "drafts/", {"name": "a"}).json()["uid"]
    second = send(admin, "POST", "drafts/", {"name": "b"}).json()["uid"]
    for uid, title in ((first, "1"), (second, "2")):
        send(admin, "PUT", f"drafts/{uid}/rules/a/", {"rule": {**RULE, "title": title}})
    send(admin, "POST", f"drafts/{first}/publish/", {"reason": "r"})
    stale = send(admin, "POST", f"drafts/{second}/publish/", {"reason": "r"})
    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "stale_draft")
    conflict = send(admin, "POST", f"drafts/{second}/rebase/", {})
    assert conflict.status_code == 409
    assert conflict.json()["error"]["details"]["conflicts"] == ["a"]
    taken = send(admin, "POST", f"drafts/{second}/rebase/", {"take": {"a": "mine"}})
    assert taken.json()["rules"][0]["title"] == "2"


def test_two_persons_over_the_api(admin: Client, cast: Cast) -> None:
    assert send(admin, "GET", "settings/").json() == {"two_person_publish": False}
    send(admin, "PUT", "settings/", {"two_person_publish": True})
    body = {"name": "n", "rules": [{"id": "a", "effect": "deny"}]}
    uid = send(admin, "POST", "drafts/", body).json()["uid"]
    refused = send(admin, "POST", f"drafts/{uid}/publish/", {"reason": "r"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "denied")
    proposed = send(admin, "POST", f"drafts/{uid}/propose/", {"reason": "r"})
    assert proposed.json()["state"] == "proposed"
    assert versions.live().version == 0


@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        (("policy:read",), 200, 403),
        (("policy:write",), 403, 201),
        (("policy:*",), 200, 201),
        (("tools:*", "admin:*"), 403, 403),
    ],
)
def test_a_key_needs_the_scope(
    client: Client, cast: Cast, scopes: tuple[str, ...], reads: int, writes: int
) -> None:
    text = make_key(make_account(cast.team), scopes=scopes).text
    bearer = {"headers": {"Authorization": f"Bearer {text}"}}
    denied = Event.objects.filter(name="access.denied").count()
    assert send(client, "GET", "rules/", **bearer).status_code == reads
    posted = send(client, "POST", "drafts/", {"name": "n"}, **bearer)
    assert posted.status_code == writes
    refusals = [reads, writes].count(403)
    assert Event.objects.filter(name="access.denied").count() == denied + refusals


def test_a_key_proposes_its_own_drafts_and_publishes_nothing(
    client: Client, admin: Client, cast: Cast
) -> None:
    text = make_key(make_account(cast.team), scopes=["policy:*"]).text
    bearer = {"headers": {"Authorization": f"Bearer {text}"}}
    why = {"reason": "r"}
    body = {"name": "n", "rules": [{"id": "a", "effect": "deny"}]}
    others = send(admin, "POST", "drafts/", body).json()["uid"]
    own = send(client, "POST", "drafts/", body, **bearer).json()["uid"]

    def refused(method: str, path: str, sent: object) -> Any:
        denied = Event.objects.filter(name="access.denied").count()
        answer = send(client, method, path, sent, **bearer)
        assert Event.objects.filter(name="access.denied").count() == denied + 1
        return answer.status_code == 403

    assert refused("PUT", f"drafts/{others}/rules/", {"rules": []})
    assert refused("PUT", f"drafts/{others}/rules/b/", {"rule": {"effect": "deny"}})
    assert refused("DELETE", f"drafts/{others}/rules/a/", {})
    assert refused("DELETE", f"drafts/{others}/", {})
    assert refused("POST", f"drafts/{others}/rebase/", {})
    assert refused("POST", f"drafts/{others}/propose/", why)
    assert refused("POST", f"drafts/{own}/publish/", why)
    assert refused("POST", "versions/0/revert/", why)
    assert refused("PUT", "settings/", {"two_person_publish": True})
    assert send(client, "GET", f"drafts/{others}/", **bearer).json()["rules"]
    rules = {"rules": [{"id": "a", "effect": "deny", "title": "t"}]}
    changed = send(client, "PUT", f"drafts/{own}/rules/", rules, **bearer)
    assert changed.status_code == 200
    proposed = send(client, "POST", f"drafts/{own}/propose/", why, **bearer)
    assert proposed.json()["state"] == "proposed"
    assert versions.live().version == 0
    published = send(admin, "POST", f"drafts/{own}/publish/", why)
    assert published.status_code == 201
    assert versions.live().version == 1


def test_no_service_publishes_for_a_key(cast: Cast) -> None:
    key = Actor("service_account", "sa:sales/agent", "agent", team="sales")
    draft = drafts.begin(
        name="n", rules=[{"id": "a", "effect": "deny"}], actor=key, at=now()
    )
    with pytest.raises(Denied, match="Keys do not publish"):
        versions.publish(uid=draft.uid, reason="r", actor=key, at=now())
    assert Event.objects.filter(name="policy.publish_refused").count() == 1
    assert versions.live().version == 0


@pytest.mark.parametrize("number", ["0", "7", "99999999999999999999"])
def test_a_version_that_is_not_there_is_a_404(admin: Client, number: str) -> None:
    assert send(admin, "GET", f"versions/{number}/").status_code == 404


@pytest.mark.parametrize(
    "odd",
    [
        '"\\ud800"',
        "1e999",
        '"\\u0000"',
        "[]",
        "{}",
        "null",
        "true",
        "1" + "0" * 400,
        '"' + "x" * 5000 + '"',
        '{"a":{"b":["\\ud800"]}}',
        "[" * 200 + "]" * 200,
        "[" * 100_000,
    ],
)
def test_odd_values_are_refused_or_taken_and_never_break_it(
    admin: Client, odd: str
) -> None:
    uid = send(admin, "POST", "drafts/", {"name": "n"}).json()["uid"]
    rule = '{"rules": [{"id": "a", "effect": "deny", %s}]}'
    bodies = [
        ("POST", "check/", rule % f'"{name}": {odd}')
        for name in ("title", "select", "when", "check", "redact", "limit", "mode")
    ]
    bodies += [
        ("POST", "check/", rule % f'"check": {{"kind": {odd}}}'),
        ("POST", "check/", rule % f'"select": {{"teams": [{odd}]}}'),
        ("POST", "drafts/", f'{{"name": {odd}}}'),
        ("PUT", f"drafts/{uid}/rules/", f'{{"yaml": {odd}}}'),
        ("PUT", f"drafts/{uid}/rules/", f'{{"rules": [], "revision": {odd}}}'),
        ("POST", f"drafts/{uid}/rebase/", f'{{"take": {{"a": {odd}}}}}'),
        ("POST", f"drafts/{uid}/propose/", f'{{"reason": {odd}}}'),
        ("POST", f"drafts/{uid}/replay/", f'{{"days": {odd}}}'),
        ("POST", "explain/", f'{{"tool": "a.b", "mode": {odd}}}'),
        ("POST", "explain/", f'{{"run": {odd}, "arguments": {{"x": {odd}}}}}'),
        ("POST", "explain/", odd),
    ]
    for method, path, body in bodies:
        answer = admin.generic(method, BASE + path, body, "application/json")
        assert answer.status_code < 500, (method, path, body[:80])


def test_lists_cost_the_same_for_any_number_of_rows(admin: Client) -> None:
    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as counted:
            assert send(admin, "GET", path).status_code == 200
        return len(counted)

    for number in range(2):
        rules = [{"id": f"r{number}", "effect": "deny"}]
        draft = drafts.begin(name="n", rules=rules, actor=ACTOR, at=now())
        versions.publish(uid=draft.uid, reason="r", actor=ACTOR, at=now())
    few = [queries(path) for path in ("drafts/", "versions/", "rules/")]
    for number in range(20):
        rules = [{"id": f"s{number}", "effect": "deny"}]
        draft = drafts.begin(name="n", rules=rules, actor=ACTOR, at=now())
        versions.publish(uid=draft.uid, reason="r", actor=ACTOR, at=now())
    assert [queries(path) for path in ("drafts/", "versions/", "rules/")] == few
