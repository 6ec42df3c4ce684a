"""Drafts of the rule set: begin, change, rebase, discard."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.actor import Actor
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.ids import new_id
from policy import events
from policy.models import PolicyDraft
from policy.rule_diff import Document, diff, merge
from policy.rules import parse
from policy.services import rules as versions
from policy.services.rules import DraftClosed, draft_target, locked

State = PolicyDraft.State


class RebaseConflict(DraftClosed):
    """Rules were changed both in the draft and live; ``details`` name them."""

    code = "rebase_conflict"


@transaction.atomic
def begin(
    *, name: str, actor: Actor, at: datetime, rules: object = None
) -> PolicyDraft:
    """A draft on the live version, of its rules or of ``rules``. Raises Invalid."""
    live = versions.live()
    documents = list(live.rules) if rules is None else versions.checked(rules)
    draft = PolicyDraft.objects.create(
        uid=new_id("drf"),
        name=_name(name),
        base=live.version,
        rules=documents,
        author=actor.id,
        author_label=actor.label,
        authors=[actor.id],
        created_at=at,
        changed_at=at,
    )
    record(
        events.DRAFT_CREATED,
        actor=actor,
        at=at,
        target=draft_target(draft),
        payload={"base": live.version, "changes": _summary(live.rules, documents)},
    )
    return draft


@transaction.atomic
def set_rule(
    *,
    uid: str,
    rule: object,
    actor: Actor,
    at: datetime,
    old_id: str = "",
    revision: int | None = None,
) -> PolicyDraft:
    """Add a rule to a draft, or change the one with its id, or rename ``old_id``.

    Raises InvalidRules, NotFound, DraftClosed, and Invalid where the new id is taken.
    """
    written = parse(rule).written
    name = str(written["id"])
    draft = locked(uid, revision=revision)
    known = {str(one["id"]): one for one in draft.rules}
    before = known.get(old_id or name)
    if old_id and before is None:
        raise NotFound(f"The draft has no rule {old_id}.")
    if old_id not in ("", name) and name in known:
        raise Invalid(f"The draft has a rule {name} already: choose another id.")
    if before == written:
        return draft
    known.pop(old_id, None)
    known[name] = written
    _save(draft, list(known.values()), actor, at)
    _record(draft, name, before, written, actor, at)
    return draft


@transaction.atomic
def remove_rule(
    *, uid: str, rule: str, actor: Actor, at: datetime, revision: int | None = None
) -> PolicyDraft:
    """Take a rule out of a draft. Raises NotFound, DraftClosed."""
    draft = locked(uid, revision=revision)
    before = next((one for one in draft.rules if one["id"] == rule), None)
    if before is None:
        raise NotFound(f"The draft has no rule {rule}.")
    _save(draft, [one for one in draft.rules if one["id"] != rule], actor, at)
    _record(draft, rule, before, None, actor, at)
    return draft


@transaction.atomic
def replace_rules(
    *, uid: str, rules: object, actor: Actor, at: datetime, revision: int | None = None
) -> PolicyDraft:
    """Put a whole document in the place of a draft's rules. Raises InvalidRules."""
    documents = versions.checked(rules)
    draft = locked(uid, revision=revision)
    before = draft.rules
    changes = _summary(before, documents)
    if changes:
        _save(draft, documents, actor, at)
        record(
            events.DRAFT_CHANGED,
            actor=actor,
            at=at,
            target=draft_target(draft),
            before={"digest": versions.digest_of(before)},
            after={"digest": versions.digest_of(documents)},
            payload={"rule": "the rules", "changes": changes},
        )
    return draft


@transaction.atomic
def rebase(
    *,
    uid: str,
    actor: Actor,
    at: datetime,
    take: Mapping[str, str] | None = None,
) -> PolicyDraft:
    """Base a draft on the live version, rule by rule.

    ``take`` says of a rule that both changed whether ``mine`` or ``live`` holds.
    Raises RebaseConflict, whose details name the rules that need it.
    """
    draft = locked(uid)
    live = versions.live()
    if draft.base == live.version:
        return draft
    merged = merge(
        base=versions.rules_of_version(draft.base),
        live=live.rules,
        mine=draft.rules,
        take=take or {},
    )
    if merged.conflicts:
        raise RebaseConflict(
            f"{', '.join(merged.conflicts[:5])}: changed in the draft and in version "
            f"{live.version}. Say for each whether to take mine or live.",
            details={"conflicts": list(merged.conflicts), "live": live.version},
        )
    before = draft.base
    draft.base = live.version
    _save(draft, merged.rules, actor, at, writes=bool(take))
    record(
        events.DRAFT_REBASED,
        actor=actor,
        at=at,
        target=draft_target(draft),
        before={"base": before},
        after={"base": live.version},
        payload={"version": live.version, "take": dict(take or {})},
    )
    return draft


@transaction.atomic
def discard(*, uid: str, actor: Actor, at: datetime) -> PolicyDraft:
    """Close a draft without publishing it. Raises NotFound, DraftClosed."""
    draft = locked(uid)
    draft.state, draft.changed_at = State.DISCARDED, at
    draft.save(update_fields=["state", "changed_at"])
    record(events.DRAFT_DISCARDED, actor=actor, at=at, target=draft_target(draft))
    return draft


@transaction.atomic
def put_live(
    *, name: str, rules: object, reason: str, actor: Actor, at: datetime
) -> PolicyDraft:
    """Publish whole documents at once, or propose them where two persons are needed.

    Raises Invalid, InvalidRules.
    """
    draft = begin(name=name, rules=rules, actor=actor, at=at)
    if versions.two_persons():
        return versions.propose(uid=draft.uid, reason=reason, actor=actor, at=at)
    versions.publish(uid=draft.uid, reason=reason, actor=actor, at=at)
    draft.refresh_from_db()
    return draft


def revert(*, number: int, reason: str, actor: Actor, at: datetime) -> PolicyDraft:
    """Make an old version's rules live again, as a new version.

    Where two persons are needed it is proposed. Raises NotFound, Invalid.
    """
    rules = versions.rules_of_version(number)
    name = f"Back to version {number}"
    return put_live(name=name, rules=rules, reason=reason, actor=actor, at=at)


def _name(name: str) -> str:
    text = " ".join(name.split())
    if not text or len(text) > 100 or "\x00" in text:
        raise Invalid("Give the draft a name of at most 100 characters.")
    return text


def _save(
    draft: PolicyDraft,
    documents: Sequence[Document],
    actor: Actor,
    at: datetime,
    *,
    writes: bool = True,
) -> None:
    draft.rules = sorted(documents, key=lambda one: str(one["id"]))
    draft.revision += 1
    draft.changed_at = at
    if writes:
        draft.authors = sorted({*draft.authors, actor.id})
    # What was proposed was something else.
    draft.state, draft.proposed_at, draft.proposed_label = State.OPEN, None, ""
    draft.save()


def _summary(
    before: Sequence[Document], after: Sequence[Document]
) -> list[dict[str, Any]]:
    return [{"rule": one.rule, "kind": one.kind} for one in diff(before, after)]


def _record(
    draft: PolicyDraft,
    rule: str,
    before: Document | None,
    after: Document | None,
    actor: Actor,
    at: datetime,
) -> None:
    record(
        events.DRAFT_CHANGED,
        actor=actor,
        at=at,
        target=draft_target(draft),
        before=versions.shown(before),
        after=versions.shown(after),
        payload={"rule": rule},
    )
