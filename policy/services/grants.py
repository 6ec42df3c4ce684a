"""Grants: a team or a role may call what a server, a tool or a tag stands for."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from guardian.models import GroupObjectPermission

from audit.actor import Actor, Target
from audit.models import Event
from audit.services.record import build
from core.errors import Invalid
from core.models import Revision, raise_revision
from policy import events
from policy.holders import ROLE, TEAM, Holder, parse
from policy.models import Environment, GrantRecord, Membership, Team

MOST_AT_ONCE = 2_000
LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Subject:
    """What is granted: ``permission`` (a codename) on ``obj``, as the trail says it."""

    permission: str
    obj: models.Model
    target: Target


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A grant that somebody looked at, as the trail says it."""

    holder: Holder
    target: Target


@transaction.atomic
def change(
    *,
    give: bool,
    holders: Sequence[Holder],
    subjects: Sequence[Subject],
    reason: str,
    actor: Actor,
    at: datetime,
) -> int:
    """Give every subject to every holder, or take it back; how many grants changed.

    What is so already is left alone. Calls are decided by it from now on. Raises
    Invalid for a missing reason, an unknown holder, and too much at once.
    """
    wanted = sorted(set(holders))
    reason = reason.strip()
    _check(wanted, len(subjects), reason)
    # Whoever changes grants waits here, so that each change is on record once.
    Revision.objects.get_or_create(pk=Revision.POLICY)
    Revision.objects.select_for_update().get(pk=Revision.POLICY)
    groups = _groups(wanted, make=give)
    rows = []
    for subject in subjects:
        permission = _permission(subject)
        held = _held(permission, subject.obj, groups)
        changed = [one for one in groups if (one in held) != give]
        if not changed:
            continue
        chosen = [groups[one] for one in changed]
        if give:
            given = GroupObjectPermission.objects.assign_perm_to_many(
                permission, chosen, subject.obj
            )
            _note(given, reason, actor, at)
        else:
            GroupObjectPermission.objects.remove_perm_from_many(
                permission, chosen, subject.obj
            )
        rows += [_event(give, one, subject, reason, actor, at) for one in changed]
    if rows:
        raise_revision(Revision.POLICY)
        Event.objects.bulk_create(rows)
    return len(rows)


def _note(
    given: Iterable[GroupObjectPermission], reason: str, actor: Actor, at: datetime
) -> None:
    """Keep beside each grant what guardian does not."""
    GrantRecord.objects.bulk_create(
        GrantRecord(
            grant=grant,
            given_at=at,
            given_by=actor.id,
            given_label=actor.label[:200],
            reason=reason,
        )
        for grant in given
    )


@transaction.atomic
def review(
    *, reviewed: Mapping[int, Reviewed], reason: str, actor: Actor, at: datetime
) -> int:
    """Note that grants, by their keys, are still wanted; how many. Raises Invalid."""
    reason = reason.strip()
    _check_reason(reason)
    if not 0 < len(reviewed) <= MOST_AT_ONCE:
        raise Invalid(f"Tick from 1 to {MOST_AT_ONCE:,} grants.")
    note = {
        "reviewed_at": at,
        "reviewed_by": actor.id,
        "reviewed_label": actor.label[:200],
        "review_reason": reason,
    }
    GrantRecord.objects.bulk_create(
        [GrantRecord(grant_id=grant, **note) for grant in reviewed],
        update_conflicts=True,
        unique_fields=["grant"],
        update_fields=list(note),
    )
    Event.objects.bulk_create(
        build(
            events.GRANT_REVIEWED,
            actor=actor,
            at=at,
            target=one.target,
            payload={"holder": one.holder.label, "reason": reason},
        )
        for one in reviewed.values()
    )
    return len(reviewed)


def granted_to(holders: Iterable[Holder]) -> Mapping[str, Mapping[str, list[Holder]]]:
    """By permission and object key: which of these holders have it. One query."""
    rows = (
        GroupObjectPermission.objects.filter(
            group__name__in=[holder.group for holder in holders]
        )
        .order_by("group__name")
        .values_list("permission__codename", "object_pk", "group__name")
    )
    found: dict[str, dict[str, list[Holder]]] = defaultdict(dict)
    for permission, key, group in rows:
        if holder := parse(group):
            found[permission].setdefault(key, []).append(holder)
    return found


def _check(holders: Sequence[Holder], subjects: int, reason: str) -> None:
    _check_reason(reason)
    if not holders or not subjects:
        raise Invalid("Choose at least one team or role, and one server, tool or tag.")
    if len(holders) * subjects > MOST_AT_ONCE:
        raise Invalid(
            f"At most {MOST_AT_ONCE:,} grants change at once: choose fewer rows or "
            "columns."
        )
    named = {holder.name for holder in holders if holder.kind == TEAM}
    known = set(Team.objects.filter(slug__in=named).values_list("slug", flat=True))
    known |= {f"{ROLE}:{role}" for role in Membership.Role.values}
    places = set(Environment.objects.values_list("slug", flat=True))
    for holder in holders:
        name = f"{ROLE}:{holder.name}" if holder.kind == ROLE else holder.name
        if name not in known:
            raise Invalid(f"There is no {holder.kind} {holder.name}.")
        if holder.environment and holder.environment not in places:
            raise Invalid(f"There is no environment {holder.environment}.")


def _check_reason(reason: str) -> None:
    if not reason:
        raise Invalid("Say why: the reason goes on record with the change.")
    if len(reason) > LONGEST_REASON or "\x00" in reason:
        raise Invalid(f"A reason has at most {LONGEST_REASON} printable characters.")


def _groups(holders: Sequence[Holder], *, make: bool) -> dict[Holder, Group]:
    names = {holder.group: holder for holder in holders}
    if make:
        Group.objects.bulk_create(
            [Group(name=name) for name in names], ignore_conflicts=True
        )
    found = Group.objects.filter(name__in=names).order_by("name")
    return {names[group.name]: group for group in found}


def _permission(subject: Subject) -> Permission:
    return Permission.objects.get(
        content_type=ContentType.objects.get_for_model(subject.obj),
        codename=subject.permission,
    )


def _held(
    permission: Permission, obj: models.Model, groups: Mapping[Holder, Group]
) -> set[Holder]:
    rows = GroupObjectPermission.objects.filter(
        permission=permission,
        object_pk=str(obj.pk),
        group__in=[group.pk for group in groups.values()],
    ).values_list("group_id", flat=True)
    held = set(rows)
    return {holder for holder, group in groups.items() if group.pk in held}


def _event(
    give: bool,
    holder: Holder,
    subject: Subject,
    reason: str,
    actor: Actor,
    at: datetime,
) -> Event:
    return build(
        events.GRANT_GIVEN if give else events.GRANT_TAKEN,
        actor=actor,
        at=at,
        target=subject.target,
        before={"granted": not give},
        after={"granted": give},
        payload={
            "holder": holder.label,
            holder.kind: holder.name,
            "in_environment": holder.environment or "all",
            "reason": reason,
        },
    )
