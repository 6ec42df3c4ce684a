"""Pages of rules: the list, versions, drafts, and the editor of one rule."""

from typing import Any

import pytest
from django.urls import reverse

from core.clock import now
from policy.models import PolicyDraft, PolicyVersion
from policy.services import drafts
from policy.services import rules as versions
from tests.builders.catalog import make_server, make_tool, make_version
from tests.builders.identity import ACTOR, Cast, actor_of
from tests.builders.policy import make_version as publish_rules
from tests.builders.runs import make_call, make_run
from tests.integration.gateway.pages.conftest import Browse, queries_of

BIG: dict[str, Any] = {
    "id": "big-refunds",
    "title": "Refunds above 500 need finance",
    "mode": "enforce",
    "effect": "require_approval",
    "select": {"tools": ["shop.refund"]},
    "when": "args.amount > 500",
    "approve": {"role": "finance", "quorum": 1, "expires_seconds": 86_400},
}
WATCH: dict[str, Any] = {
    "id": "no-nights",
    "mode": "monitor",
    "effect": "deny",
    "check": {"kind": "working_hours", "from": "09:00", "to": "17:00"},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "customer": {"type": "object", "properties": {"id": {"type": "string"}}},
    },
}
EVERY_KIND: list[dict[str, Any]] = [
    BIG,
    {
        "id": "cards",
        "effect": "redact",
        "mode": "monitor",
        "enabled": False,
        "select": {"servers": ["crm"], "keys": ["sa:sales/agent"]},
        "message": "m",
        "redact": {"arguments": ["card"], "results": ["rows[].card", "iban"]},
    },
    {
        "id": "few",
        "effect": "limit",
        "mode": "enforce",
        "limit": {"result_bytes": 0, "items": {"args.ids": 100}},
    },
    {**WATCH, "check": {**WATCH["check"], "zone": "UTC", "days": ["mon"]}},
    {
        "id": "ours",
        "effect": "deny",
        "mode": "enforce",
        "check": {"kind": "email_domains", "allow": ["acme.com"], "paths": ["to"]},
    },
    {
        "id": "second",
        "effect": "require_approval",
        "mode": "enforce",
        "approve": {
            "role": "approver",
            "quorum": 2,
            "escalate_after_seconds": 90,
            "escalate_to": {"role": "admin"},
        },
    },
]
# What the editor sends for BIG.
TYPED: dict[str, Any] = {
    "id": "big-refunds",
    "title": "Refunds above 500 need finance",
    "effect": "require_approval",
    "mode": "enforce",
    "enabled": "on",
    "tools": "shop.refund",
    "when": "args.amount > 500",
    "approve_by": "role:finance",
    "approve_quorum": "1",
    "approve_expires": "24 h",
    "act": "save",
}


@pytest.fixture
def draft(cast: Cast) -> PolicyDraft:
    return drafts.begin(name="Refunds", actor=actor_of(cast.admin), at=now())


@pytest.fixture
def refund(db: None) -> None:
    tool = make_tool(make_server(name="shop"), name="refund", effect="write")
    make_version(tool, input_schema=SCHEMA)


def at(name: str, **arguments: Any) -> str:
    return reverse(name, kwargs=arguments)


def test_without_rules_the_page_says_what_holds(cast: Cast, browse: Browse) -> None:
    page = browse(cast.member).get("/policy/rules/").content.decode()
    assert "No rules yet" in page
    assert "Begin a draft" not in page
    assert "Begin a draft" in browse(cast.admin).get("/policy/rules/").content.decode()


def test_rules_are_listed_in_words_and_filtered(cast: Cast, browse: Browse) -> None:
    publish_rules(BIG, WATCH)
    client = browse(cast.auditor)
    page = client.get("/policy/rules/").content.decode()
    assert "Ask finance, within 1 d" in page
    assert "tool shop.refund" in page
    assert "args.amount &gt; 500" in page
    assert "outside 09:00–17:00 UTC, mon, tue, wed, thu, fri" in page
    for query, kept in (
        ("q=refunds+finance", ["big-refunds"]),
        ("effect=deny", ["no-nights"]),
        ("state=monitor", ["no-nights"]),
        ("tool=shop.refund", ["big-refunds", "no-nights"]),
        ("tool=crm.list", ["no-nights"]),
        ("q=nothing", []),
    ):
        found = client.get(f"/policy/rules/?{query}").context["page"].object_list
        assert [one.id for one in found] == kept, query


def test_rules_are_exported_and_downloaded(cast: Cast, browse: Browse) -> None:
    publish_rules(BIG, WATCH)
    client = browse(cast.auditor)
    csv = client.get("/policy/rules/?export=csv&effect=deny")
    text = b"".join(csv.streaming_content).decode()  # type: ignore[attr-defined]
    assert "no-nights" in text
    assert "big-refunds" not in text
    yaml = client.get("/policy/rules/yaml/")
    assert yaml["Content-Disposition"].endswith('"tollgate-rules-1.yaml"')
    assert "id: big-refunds" in yaml.content.decode()
    assert "rules: []" in client.get("/policy/rules/yaml/?version=0").content.decode()


def test_a_draft_is_begun_written_and_published(cast: Cast, browse: Browse) -> None:
    client = browse(cast.admin)
    begun = client.post("/policy/rules/drafts/", {"name": "Refunds"})
    draft = PolicyDraft.objects.get()
    assert begun["Location"] == at("draft", uid=draft.uid)
    saved = client.post(at("draft_rule_add", uid=draft.uid), TYPED)
    assert saved["Location"] == at("draft", uid=draft.uid)
    draft.refresh_from_db()
    assert draft.rules == [BIG]
    page = client.get(at("draft", uid=draft.uid)).content.decode()
    assert "added" in page
    form = {"reason": "Finance asked", "act": "publish", "revision": draft.revision}
    done = client.post(at("draft_publish", uid=draft.uid), form)
    assert done["Location"] == "/policy/rules/"
    assert versions.live().rules == [BIG]


def test_what_the_editor_shows_is_what_it_saves(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    draft = drafts.replace_rules(uid=draft.uid, rules=EVERY_KIND, actor=ACTOR, at=now())
    client = browse(cast.admin)
    before = {one["id"]: one for one in draft.rules}
    for name in before:
        path = at("draft_rule", uid=draft.uid, rule=name)
        form = client.get(path).context["form"]
        typed = {
            field.name: field.value()
            for field in form
            if field.value() not in (None, "") and field.value() is not False
        }
        sent = client.post(path, typed | {"act": "save"})
        assert sent.status_code == 302, sent.context["form"].errors
    draft.refresh_from_db()
    assert {one["id"]: one for one in draft.rules} == before


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("id", "Big Refunds", "use small letters"),
        ("when", "args.amount >", "Line 1, column"),
        ("effects", "fast", "is none of read"),
        ("approve_expires", "soon", "Write such as 90 min"),
        ("approve_escalate_after", "2 h", "go together"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_typed_is_lost(
    cast: Cast, browse: Browse, draft: PolicyDraft, field: str, typed: str, said: str
) -> None:
    path = at("draft_rule_add", uid=draft.uid)
    response = browse(cast.admin).post(path, TYPED | {field: typed})
    assert response.status_code == 422
    form = response.context["form"]
    told = form.errors.get(field) or form.errors["approve_by"]
    assert said in str(told)
    assert form[field].value() == typed
    assert "Refunds above 500 need finance" in response.content.decode()
    draft.refresh_from_db()
    assert draft.rules == []


def test_the_condition_is_checked_while_it_is_typed(cast: Cast, browse: Browse) -> None:
    client = browse(cast.admin)

    def said(when: str) -> str:
        return client.post("/policy/rules/condition/", {"when": when}).content.decode()

    assert "can be used" in said("args.amount > 500")
    assert "Line 1, column" in said("args.amount >")
    assert "There is no amount" in said("amount > 500")
    assert "every call" in said("")


@pytest.mark.usefixtures("refund")
def test_names_and_arguments_are_suggested(cast: Cast, browse: Browse) -> None:
    client = browse(cast.admin)

    def offers(query: str) -> list[str]:
        found = client.get(f"/policy/rules/suggest/?{query}").json()["offers"]
        return [one["text"] for one in found]

    assert offers("field=tools&word=ref") == ["shop.refund"]
    assert offers("field=effects&word=") == ["idempotent_write", "read", "write"]
    assert "sales" in offers("field=teams&word=sa")
    words = offers("field=when&tools=shop.*")
    assert words[:3] == ["args.amount", "args.customer", "args.customer.id"]
    assert {"principal.team", "tool.effect", "run.mode", "now"} <= set(words)
    assert "args.amount" not in offers("field=when&tools=crm.*")


@pytest.mark.usefixtures("refund")
def test_a_rule_is_tried_with_a_sample_and_with_a_past_call(
    cast: Cast, browse: Browse, draft: PolicyDraft
) -> None:
    client = browse(cast.admin)
    path = at("draft_rule_add", uid=draft.uid)
    sample = {
        "sample-tool": "shop.refund",
        "sample-team": "sales",
        "sample-environment": "dev",
        "sample-mode": "script",
        "sample-arguments": '{"amount": 700}',
    }
    said = client.post(path, TYPED | sample | {"act": "try"})
    assert "It asks for an approval of this call" in said.content.decode()
    sample["sample-arguments"] = '{"amount": 7}'
    said = client.post(path, TYPED | sample | {"act": "try"})
    assert "its condition is false" in said.content.decode()
    said = client.post(path, TYPED | sample | {"act": "try", "tools": "crm.*"})
    assert "shop.refund is not among crm.*" in said.content.decode()
    sample["sample-arguments"] = "{"
    said = client.post(path, TYPED | sample | {"act": "try"})
    assert said.status_code == 422
    assert "This is no JSON" in said.content.decode()
    run = make_run(team="sales")
    call = make_call(run, tool="shop.refund", arguments={"amount": 901})
    said = client.post(path, TYPED | sample | {"act": "load", "past": str(call.pk)})
    assert '"amount": 901' in said.context["sample"]["arguments"].value()
    said = client.post(path, TYPED | sample | {"act": "load", "past": ""})
    assert '"amount": 1' in said.context["sample"]["arguments"].value()
    draft.refresh_from_db()
    assert draft.rules == []


def test_two_persons_publish(cast: Cast, browse: Browse, draft: PolicyDraft) -> None:
    client = browse(cast.admin)
    client.post("/policy/rules/settings/", {"two_persons": "yes"})
    client.post(at("draft_rule_add", uid=draft.uid), TYPED)
    page = client.get(at("draft", uid=draft.uid)).content.decode()
    assert "Another administrator has to publish it" in page
    form = {"reason": "r", "act": "publish"}
    refused = client.post(at("draft_publish", uid=draft.uid), form)
    assert refused.status_code == 422
    assert "another administrator publishes" in refused.content.decode()
    assert versions.live().version == 0
    client.post(at("draft_publish", uid=draft.uid), {"reason": "r", "act": "propose"})
    draft.refresh_from_db()
    assert draft.state == "proposed"


def test_a_stale_draft_is_rebased_with_a_choice(cast: Cast, browse: Browse) -> None:
    publish_rules(WATCH)
    client = browse(cast.admin)
    mine = [{**WATCH, "title": "Mine"}]
    draft = drafts.begin(name="Mine", rules=mine, actor=ACTOR, at=now())
    publish_rules({**WATCH, "title": "Theirs"})
    path = at("draft", uid=draft.uid)
    assert "Version 2 was published" in client.get(path).content.decode()
    stale = client.post(at("draft_publish", uid=draft.uid), {"reason": "r"})
    assert stale.status_code == 422
    asked = client.post(at("draft_rebase", uid=draft.uid))
    assert asked.status_code == 422
    assert asked.context["conflicts"] == ("no-nights",)
    client.post(at("draft_rebase", uid=draft.uid), {"take:no-nights": "mine"})
    draft.refresh_from_db()
    assert (draft.base, draft.rules[0]["title"]) == (2, "Mine")


def test_a_version_is_compared_and_gone_back_to(cast: Cast, browse: Browse) -> None:
    publish_rules(WATCH)
    publish_rules({**WATCH, "mode": "enforce"})
    client = browse(cast.admin)
    page = client.get("/policy/rules/versions/2/").content.decode()
    assert "1 rule differs from version 1 to 2" in page
    assert "monitor" in page
    against = client.get("/policy/rules/versions/1/?against=2").content.decode()
    assert "from version 2 to 1" in against
    path = at("version_revert", number=1)
    assert client.post(path, {"reason": ""}).status_code == 422
    assert client.post(path, {"reason": "too strict"}).status_code == 302
    assert versions.live().version == 3
    assert versions.live().rules[0]["mode"] == "monitor"


def test_rules_are_uploaded_into_a_draft(cast: Cast, browse: Browse) -> None:
    client = browse(cast.admin)
    path = "/policy/rules/upload/"
    assert client.get(path).status_code == 200
    wrong = client.post(path, {"name": "n", "yaml": "rules: [{id: a, effect: no}]"})
    assert wrong.status_code == 422
    assert "none of deny" in wrong.content.decode()
    assert client.post(path, {"name": "n"}).status_code == 422
    good = client.post(path, {"name": "n", "yaml": "rules: [{id: a, effect: deny}]"})
    draft = PolicyDraft.objects.get()
    assert good["Location"] == at("draft", uid=draft.uid)
    assert draft.rules[0]["id"] == "a"


def test_a_rule_page_shows_history_and_where_it_matched(
    cast: Cast, browse: Browse
) -> None:
    publish_rules(BIG)
    run = make_run(team="sales", at=now())
    make_call(run, rules={"applied": ["big-refunds"], "would": []})
    make_call(run, rules={"applied": ["big"], "would": []})
    make_call(run)
    page = browse(cast.admin).get("/policy/rules/rule/big-refunds/")
    assert [one.call.step for one in page.context["calls"]] == [1]
    assert [one.name for one in page.context["events"]] == ["policy.published"]
    other = browse(cast.member).get("/policy/rules/rule/big-refunds/")
    assert other.context["events"] == []
    assert browse(cast.member).get("/policy/rules/rule/none/").status_code == 404


def test_pages_of_versions_and_drafts_cost_the_same_for_many(
    cast: Cast, browse: Browse, refund: None
) -> None:
    client = browse(cast.admin)
    publish_rules(BIG)
    publish_rules({**BIG, "title": "Big ones"}, WATCH)
    draft = drafts.begin(name="d", rules=[BIG], actor=ACTOR, at=now())
    pages = (
        at("rule_versions"),
        at("rule_version", number=2),
        at("draft", uid=draft.uid),
        at("draft_rule_add", uid=draft.uid),
        at("draft_rule", uid=draft.uid, rule=BIG["id"]),
        at("rule", rule=BIG["id"]),
    )
    few = [queries_of(client, page) for page in pages]
    many = [{**WATCH, "id": f"rule-{number}"} for number in range(40)]
    drafts.replace_rules(uid=draft.uid, rules=[BIG, *many], actor=ACTOR, at=now())
    for number in range(20):
        publish_rules({**BIG, "title": f"Version {number}"}, *many)
        drafts.begin(name=f"d{number}", actor=ACTOR, at=now())
    found = [queries_of(client, page) for page in pages]
    assert all(many_cost <= cost for many_cost, cost in zip(found, few, strict=True)), (
        few,
        found,
    )


def test_the_list_costs_the_same_for_many_rules(cast: Cast, browse: Browse) -> None:
    client = browse(cast.admin)
    publish_rules(BIG)
    few = queries_of(client, "/policy/rules/")
    for number in range(5):
        drafts.begin(name=f"d{number}", actor=ACTOR, at=now())
    publish_rules(*({**WATCH, "id": f"rule-{number}"} for number in range(80)))
    assert queries_of(client, "/policy/rules/") <= few
    assert PolicyVersion.objects.count() == 2
