"""Drafts and versions: written, proposed, published, reverted, and all on record."""

import json
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from audit.actor import Actor
from audit.models import Event
from core.clock import now
from core.errors import Denied, Invalid, NotFound
from core.models import Revision, revisions
from policy.models import ApproverGroup, PolicyDraft, PolicyVersion
from policy.rules import InvalidRules
from policy.services import drafts
from policy.services import rules as versions
from policy.services.drafts import RebaseConflict
from policy.services.rules import DraftClosed, StaleDraft

pytestmark = pytest.mark.django_db

ALICE = Actor("user", "user:alice", "Alice")
BOB = Actor("user", "user:bob", "Bob")
AGENT = Actor("service_account", "sa:platform/ci", "ci")
DENY: dict[str, Any] = {"id": "no-deletes", "mode": "enforce", "effect": "deny"}
OTHER: dict[str, Any] = {"id": "other", "mode": "monitor", "effect": "deny"}


def begin(*rules: dict[str, Any], actor: Actor = ALICE) -> PolicyDraft:
    return drafts.begin(name="A draft", rules=list(rules), actor=actor, at=now())


def publish(draft: PolicyDraft, actor: Actor = ALICE) -> PolicyVersion:
    return versions.publish(uid=draft.uid, reason="because", actor=actor, at=now())


def set_rule(draft: PolicyDraft, rule: dict[str, Any], **more: Any) -> PolicyDraft:
    values = {"actor": ALICE, "at": now(), **more}
    return drafts.set_rule(uid=draft.uid, rule=rule, **values)


def last_event(name: str) -> dict[str, Any]:
    event = Event.objects.filter(name=name).latest("pk")
    body: dict[str, Any] = json.loads(event.body)
    return body


def test_without_a_version_nothing_is_ruled() -> None:
    assert versions.live().version == 0
    assert versions.live_rules().rules == ()


def test_a_draft_is_published_with_a_reason_and_is_live() -> None:
    before = revisions().get(Revision.POLICY, 0)
    draft = set_rule(begin(), DENY)
    version = publish(draft)
    assert (version.number, version.base, version.author) == (1, 0, "user:alice")
    assert version.second_by == ""
    assert [rule.id for rule in versions.live_rules().rules] == ["no-deletes"]
    assert versions.live_rules().version == 1
    assert revisions()[Revision.POLICY] > before
    draft.refresh_from_db()
    assert (draft.state, draft.version) == ("published", 1)
    event = last_event("policy.published")
    assert event["before"]["version"] == 0
    assert event["after"] == {"version": 1, "digest": version.digest}
    assert event["payload"]["reason"] == "because"
    assert event["payload"]["changes"][0]["kind"] == "added"


def test_each_change_of_a_draft_is_on_record_with_before_and_after() -> None:
    draft = set_rule(begin(), DENY)
    changed = {**DENY, "title": "None at all"}
    set_rule(draft, changed)
    event = last_event("policy.draft_changed")
    assert (event["before"], event["after"]) == (DENY, {
        "id": "no-deletes", "title": "None at all", "mode": "enforce", "effect": "deny",
    })  # fmt: skip
    drafts.remove_rule(uid=draft.uid, rule="no-deletes", actor=ALICE, at=now())
    event = last_event("policy.draft_changed")
    assert (event["before"]["title"], event["after"]) == ("None at all", None)
    count = Event.objects.filter(name="policy.draft_changed").count()
    drafts.replace_rules(uid=draft.uid, rules=[], actor=ALICE, at=now())
    assert Event.objects.filter(name="policy.draft_changed").count() == count
    drafts.replace_rules(uid=draft.uid, rules=[OTHER], actor=ALICE, at=now())
    assert last_event("policy.draft_changed")["payload"]["changes"] == [
        {"rule": "other", "kind": "added"}
    ]


def test_a_rule_is_renamed_but_never_onto_another() -> None:
    draft = begin(DENY, OTHER)
    set_rule(draft, {**DENY, "id": "renamed"}, old_id="no-deletes")
    draft.refresh_from_db()
    assert [rule["id"] for rule in draft.rules] == ["other", "renamed"]
    with pytest.raises(Invalid, match="a rule other already"):
        set_rule(draft, {**DENY, "id": "other"}, old_id="renamed")
    with pytest.raises(NotFound):
        set_rule(draft, DENY, old_id="nowhere")


def test_two_people_do_not_overwrite_one_another_unseen() -> None:
    draft = begin(DENY)
    set_rule(draft, OTHER, revision=1)
    with pytest.raises(DraftClosed, match="changed this draft meanwhile"):
        set_rule(draft, {**OTHER, "title": "x"}, revision=1)
    with pytest.raises(DraftClosed):
        versions.publish(uid=draft.uid, reason="r", actor=ALICE, at=now(), revision=1)


def test_what_is_wrong_never_gets_into_a_draft() -> None:
    draft = begin()
    for bad in ({**DENY, "when": "1 +"}, {**DENY, "title": "\x00"}, {"id": "\ud800"}):
        with pytest.raises(InvalidRules):
            set_rule(draft, bad)
    with pytest.raises(InvalidRules):
        begin({**DENY, "select": {"teams": ["\ud800"]}})
    assert versions.checked([DENY]) == [DENY]


def test_publishing_needs_a_reason_a_change_and_an_open_draft() -> None:
    draft = begin(DENY)
    with pytest.raises(Invalid, match="Give a reason"):
        versions.publish(uid=draft.uid, reason=" ", actor=ALICE, at=now())
    publish(draft)
    with pytest.raises(DraftClosed, match="is published"):
        publish(draft)
    with pytest.raises(Invalid, match="nothing to publish"):
        publish(begin(DENY))
    gone = begin()
    drafts.discard(uid=gone.uid, actor=ALICE, at=now())
    with pytest.raises(DraftClosed, match="is discarded"):
        publish(gone)
    with pytest.raises(NotFound):
        versions.publish(uid="drf_x", reason="r", actor=ALICE, at=now())


def test_a_group_that_is_asked_has_to_exist() -> None:
    rule = {"id": "r", "effect": "require_approval", "approve": {"group": "board"}}
    draft = begin(rule)
    with pytest.raises(Invalid, match="no approver group board"):
        publish(draft)
    ApproverGroup.objects.create(slug="board", created_at=now())
    assert publish(draft).number == 1


def test_a_stale_draft_is_refused_on_record_and_can_be_rebased() -> None:
    mine, theirs = begin(DENY), begin(OTHER)
    publish(theirs, BOB)
    with pytest.raises(StaleDraft, match="based on version 0, and version 1 is live"):
        publish(mine)
    refused = Event.objects.get(name="policy.publish_refused")
    assert refused.decision == "deny"
    drafts.rebase(uid=mine.uid, actor=ALICE, at=now())
    assert publish(mine).number == 2
    assert [rule.id for rule in versions.live_rules().rules] == ["no-deletes", "other"]


def test_a_rebase_names_what_both_changed_and_takes_what_is_said() -> None:
    publish(begin(DENY))
    mine, theirs = begin({**DENY, "title": "mine"}), begin({**DENY, "title": "live"})
    publish(theirs)
    with pytest.raises(RebaseConflict) as raised:
        drafts.rebase(uid=mine.uid, actor=BOB, at=now())
    assert raised.value.details == {"conflicts": ["no-deletes"], "live": 2}
    mine.refresh_from_db()
    assert mine.base == 1
    drafts.rebase(uid=mine.uid, actor=BOB, at=now(), take={"no-deletes": "mine"})
    mine.refresh_from_db()
    assert (mine.base, mine.rules[0]["title"]) == (2, "mine")
    assert "user:bob" in mine.authors


def test_two_persons_the_author_proposes_and_another_publishes() -> None:
    versions.set_two_persons(needed=True, actor=ALICE, at=now())
    assert last_event("policy.two_persons_set")["after"] == {"two_person_publish": True}
    draft = begin(DENY)
    set_rule(draft, OTHER, actor=Actor("user", "user:carol", "Carol"))
    with pytest.raises(Denied, match="You wrote in this draft"):
        publish(draft)
    with pytest.raises(Denied, match="not proposed yet"):
        publish(draft, BOB)
    versions.propose(uid=draft.uid, reason="ticket 7", actor=ALICE, at=now())
    with pytest.raises(Denied):
        publish(draft)
    with pytest.raises(Denied):
        publish(draft, Actor("user", "user:carol", "Carol"))
    with pytest.raises(Denied, match="Keys do not publish"):
        publish(draft, AGENT)
    assert Event.objects.filter(name="policy.publish_refused").count() == 5
    assert PolicyVersion.objects.count() == 0
    version = versions.publish(uid=draft.uid, reason="", actor=BOB, at=now())
    assert (version.second_by, version.reason) == ("user:bob", "ticket 7")


def test_a_change_takes_a_proposal_back() -> None:
    versions.set_two_persons(needed=True, actor=ALICE, at=now())
    draft = begin(DENY)
    versions.propose(uid=draft.uid, reason="r", actor=ALICE, at=now())
    set_rule(draft, OTHER)
    with pytest.raises(Denied, match="not proposed yet"):
        publish(draft, BOB)


def test_reverting_is_a_new_version() -> None:
    publish(begin(DENY))
    publish(begin(DENY, OTHER))
    drafts.revert(number=1, reason="too much", actor=BOB, at=now())
    live = versions.live()
    assert (live.version, live.rules) == (3, [DENY])
    drafts.revert(number=0, reason="nothing at all", actor=BOB, at=now())
    assert versions.live_rules().rules == ()
    with pytest.raises(NotFound):
        drafts.revert(number=9, reason="r", actor=BOB, at=now())
    with pytest.raises(Invalid, match="nothing to publish"):
        drafts.revert(number=4, reason="r", actor=BOB, at=now())


def test_reverting_with_two_persons_is_a_proposal() -> None:
    publish(begin(DENY))
    publish(begin(OTHER))
    versions.set_two_persons(needed=True, actor=ALICE, at=now())
    draft = drafts.revert(number=1, reason="back", actor=ALICE, at=now())
    assert (draft.state, versions.live().version) == ("proposed", 2)
    publish(draft, BOB)
    assert versions.live().rules == [DENY]


def test_a_version_never_changes() -> None:
    publish(begin(DENY))
    for change in (
        lambda: PolicyVersion.objects.update(reason="x"),
        lambda: PolicyVersion.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
