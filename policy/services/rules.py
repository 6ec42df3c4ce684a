"""The live rule set, and how drafts become it: propose, publish, revert."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import DENY, record
from core.canonical import canonical
from core.errors import Denied, Invalid, NotFound
from core.models import Revision, raise_revision
from core.reasons import reason_given
from policy import events
from policy.compiled import NO_RULES, RuleSet
from policy.models import ApproverGroup, Organisation, PolicyDraft, PolicyVersion
from policy.rule import Rule
from policy.rule_diff import Change, Document, diff
from policy.rules import parse_all

State = PolicyDraft.State
_SHOWN_CHANGES = 50
USER = "user"
ACCOUNT = "service_account"


class StaleDraft(Invalid):
    """Something was published since the draft was begun: it has to be rebased."""

    code = "stale_draft"
    status = 409


class DraftClosed(Invalid):
    """The draft was published or discarded, or was changed by somebody meanwhile."""

    code = "draft_closed"
    status = 409


@dataclass(frozen=True, slots=True)
class Live:
    """The rules in force as documents; version 0 has none."""

    version: int
    digest: str
    rules: list[Document]


def live() -> Live:
    """The version that is in force."""
    row = PolicyVersion.objects.order_by("-number").first()
    if row is None:
        return Live(0, digest_of([]), [])
    return Live(row.number, row.digest, row.rules)


def rules_of_version(number: int) -> list[Document]:
    """The documents of a version; version 0 has none. Raises NotFound."""
    if number == 0:
        return []
    rules = PolicyVersion.objects.filter(number=number).values_list("rules", flat=True)
    if not rules:
        raise NotFound(f"There is no version {number} of the rules.")
    found: list[Document] = rules[0]
    return found


def live_rules() -> RuleSet:
    """The version in force, compiled once in this process; one small query."""
    row = (
        PolicyVersion.objects.order_by("-number").values_list("number", "digest")[:1]
    ).first()
    return NO_RULES if row is None else _compiled(*row)


@lru_cache(maxsize=4)
def _compiled(number: int, _digest: str) -> RuleSet:
    return RuleSet(parse_all(rules_of_version(number)), version=number)


def digest_of(rules: Sequence[Document]) -> str:
    """SHA-256 of the documents in their canonical form."""
    return sha256(canonical(list(rules))).hexdigest()


def checked(raw: object) -> list[Document]:
    """Documents as they are stored. Raises InvalidRules."""
    return [rule.written for rule in parse_all(raw)]


def two_persons() -> bool:
    """Whether rules are published by somebody who did not write them."""
    return Organisation.objects.filter(two_person_publish=True).exists()


@transaction.atomic
def set_two_persons(*, needed: bool, actor: Actor, at: datetime) -> None:
    """Say whether a second person has to publish."""
    row, _ = Organisation.objects.select_for_update().get_or_create(pk=1)
    before = row.two_person_publish
    if before == needed:
        return
    row.two_person_publish = needed
    row.save(update_fields=["two_person_publish"])
    record(
        events.TWO_PERSONS_SET,
        actor=actor,
        at=at,
        target=Target("organisation", "rules", "the organisation"),
        before={"two_person_publish": before},
        after={"two_person_publish": needed},
        payload={"value": "on" if needed else "off"},
    )


def changes_of(draft: PolicyDraft) -> tuple[Change, ...]:
    """What the draft changes in the version that is live now."""
    return diff(live().rules, draft.rules)


def locked(uid: str, *, revision: int | None = None) -> PolicyDraft:
    """An open draft for a change. Raises NotFound, DraftClosed."""
    draft = PolicyDraft.objects.select_for_update().filter(uid=uid).first()
    if draft is None:
        raise NotFound("There is no such draft.")
    if not draft.is_open:
        raise DraftClosed(f"This draft is {draft.state}: begin another one.")
    if revision is not None and revision != draft.revision:
        raise DraftClosed("Somebody changed this draft meanwhile: look at it again.")
    return draft


@transaction.atomic
def propose(*, uid: str, reason: str, actor: Actor, at: datetime) -> PolicyDraft:
    """Ask another administrator to publish a draft.

    Raises Invalid, StaleDraft, DraftClosed. A change of the draft takes it back.
    """
    draft = locked(uid)
    text = reason_given(reason)
    _check_publishable(draft, live())
    draft.state, draft.reason = State.PROPOSED, text
    draft.proposed_label, draft.proposed_at = actor.label, at
    draft.authors = sorted({*draft.authors, actor.id})
    draft.save()
    record(
        events.DRAFT_PROPOSED,
        actor=actor,
        at=at,
        target=draft_target(draft),
        payload={"reason": text, "base": draft.base, "digest": digest_of(draft.rules)},
    )
    return draft


def publish(
    *, uid: str, reason: str, actor: Actor, at: datetime, revision: int | None = None
) -> PolicyVersion:
    """Make a draft the live rule set, for every call from the next moments on.

    ``revision`` is that of the draft as it was read. Raises NotFound, Invalid,
    StaleDraft, DraftClosed, Denied to keys and where a second person is needed; a
    refusal is on record.
    """
    try:
        return _publish(uid, reason, actor, at, revision)
    except (Denied, StaleDraft) as error:
        draft = PolicyDraft.objects.get(uid=uid)
        record(
            events.PUBLISH_REFUSED,
            actor=actor,
            at=at,
            target=draft_target(draft),
            decision=DENY,
            reasons=[error.message],
        )
        raise


@transaction.atomic
def _publish(
    uid: str, reason: str, actor: Actor, at: datetime, revision: int | None
) -> PolicyVersion:
    # Raising the revision takes the lock under which versions are numbered.
    raise_revision(Revision.POLICY)
    draft = locked(uid, revision=revision)
    before = live()
    _check_publisher(draft, actor)
    _check_publishable(draft, before)
    text = reason_given(reason or draft.reason)
    rules = checked(draft.rules)
    version = PolicyVersion.objects.create(
        number=before.version + 1,
        rules=rules,
        digest=digest_of(rules),
        reason=text,
        base=draft.base,
        draft=draft.uid,
        author=draft.author,
        author_label=draft.author_label,
        published_by=actor.id,
        published_label=actor.label,
        published_at=at,
        second_by="" if actor.id in draft.authors else actor.id,
    )
    draft.state, draft.reason = State.PUBLISHED, text
    draft.version, draft.changed_at = version.number, at
    draft.save()
    _record_publishing(version, before, actor, at)
    return version


def _record_publishing(
    version: PolicyVersion, before: Live, actor: Actor, at: datetime
) -> None:
    changes = diff(before.rules, version.rules)
    record(
        events.RULES_PUBLISHED,
        actor=actor,
        at=at,
        target=Target("policy", str(version.number), f"version {version.number}"),
        before={"version": before.version, "digest": before.digest},
        after={"version": version.number, "digest": version.digest},
        payload={
            "version": version.number,
            "reason": version.reason,
            "draft": version.draft,
            "author": version.author_label,
            "second_by": version.second_by,
            "changes": [one.as_dict() for one in changes[:_SHOWN_CHANGES]],
            "changed_rules": len(changes),
        },
    )


def _check_publisher(draft: PolicyDraft, actor: Actor) -> None:
    if actor.kind == ACCOUNT:
        raise Denied("Keys do not publish: propose the draft to an administrator.")
    if not two_persons():
        return
    if actor.kind != USER:
        raise Denied("A second person has to publish: propose the draft instead.")
    if actor.id in draft.authors:
        raise Denied(
            "You wrote in this draft: propose it, and another administrator publishes."
        )
    if draft.state != State.PROPOSED:
        raise Denied("This draft is not proposed yet: its author proposes it first.")


def _check_publishable(draft: PolicyDraft, before: Live) -> None:
    if draft.base != before.version:
        raise StaleDraft(
            f"The draft is based on version {draft.base}, and version "
            f"{before.version} is live: rebase it, and look at it again.",
            details={"base": draft.base, "live": before.version},
        )
    if digest_of(draft.rules) == before.digest:
        raise Invalid("There is nothing to publish: the draft is what is live.")
    if missing := missing_groups(parse_all(draft.rules)):
        raise Invalid(
            f"There is no approver group {missing[0]}: make it first, or nobody could "
            "approve.",
            details={"groups": missing},
        )


def missing_groups(rules: Iterable[Rule]) -> list[str]:
    """Approver groups that rules in use name and that do not exist.

    Those that do are kept from being removed until the transaction ends.
    """
    needed = {group for rule in rules for group in _groups(rule)}
    rows = ApproverGroup.objects.filter(slug__in=needed).order_by("slug")
    known = rows.select_for_update().values_list("slug", flat=True)
    return sorted(needed - set(known))


def rules_that_ask(group: str) -> list[str]:
    """Ids of the rules in force that need an approver group."""
    return [rule.id for rule in live_rules().rules if group in _groups(rule)]


def _groups(rule: Rule) -> frozenset[str]:
    return rule.approve.groups if rule.approve and rule.enabled else frozenset()


def draft_target(draft: PolicyDraft) -> Target:
    """The draft as the trail names it."""
    return Target("policy_draft", draft.uid, draft.name)


def shown(rule: Document | None) -> dict[str, Any] | None:
    """A rule as the trail keeps it before or after a change."""
    return None if rule is None else dict(rule)
