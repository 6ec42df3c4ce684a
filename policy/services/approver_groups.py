"""Makes and changes the groups of people that a route may ask."""

from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from policy import events
from policy.models import Approval, ApprovalRoute, ApproverGroup, User
from policy.models import NotificationChannel as Channel
from policy.routing import Audience, Route
from policy.services.rules import rules_that_ask

_MOST_PEOPLE = 500


@transaction.atomic
def create_group(
    *,
    slug: str,
    name: str,
    description: str,
    people: Sequence[str],
    actor: Actor,
    at: datetime,
) -> ApproverGroup:
    """A group of the people with these user names. Raises Invalid."""
    # What a rule may write is what a group may be called.
    Route.parse({"group": slug})
    try:
        with transaction.atomic():
            group = ApproverGroup.objects.create(
                slug=slug, name=name, description=description, created_at=at
            )
    except IntegrityError as error:
        raise Invalid(f"There is an approver group {slug} already.") from error
    group.people.set(_people(people))
    record(
        events.GROUP_CREATED,
        actor=actor,
        at=at,
        target=group_target(group),
        after=_shown(group),
    )
    return group


@transaction.atomic
def change_group(
    *,
    slug: str,
    name: str,
    description: str,
    people: Sequence[str],
    actor: Actor,
    at: datetime,
) -> ApproverGroup:
    """Change a group; who is in it holds at once, also for what waits already.

    Raises NotFound, Invalid.
    """
    group = _locked(slug)
    before = _shown(group)
    group.name, group.description = name, description
    group.save(update_fields=["name", "description"])
    group.people.set(_people(people))
    if (after := _shown(group)) != before:
        record(
            events.GROUP_CHANGED,
            actor=actor,
            at=at,
            target=group_target(group),
            before=before,
            after=after,
        )
    return group


@transaction.atomic
def remove_group(*, slug: str, actor: Actor, at: datetime) -> None:
    """Remove a group that no rule in force names and nothing waits for.

    Raises NotFound, Invalid.
    """
    group = _locked(slug)
    if named := rules_that_ask(slug):
        raise Invalid(
            f"{', '.join(named[:5])}: these rules in force ask this group. Publish "
            "rules without it first.",
            details={"rules": named},
        )
    asked = ApprovalRoute.objects.filter(approval__state=Approval.State.PENDING)
    waiting = asked.filter(kind="group", name=slug) | asked.filter(
        escalate_kind="group", escalate_name=slug
    )
    if count := waiting.count():
        raise Invalid(
            f"{count} open requests ask this group: let them be decided or expire "
            "first."
        )
    audience = Audience("group", slug)
    told = Channel.objects.filter(
        audience_kind=audience.kind, audience_name=audience.name
    )
    if channel := told.first():
        raise Invalid(f"The channel {channel} tells this group: remove that first.")
    before, target = _shown(group), group_target(group)
    group.delete()
    record(events.GROUP_REMOVED, actor=actor, at=at, target=target, before=before)


def group_target(group: ApproverGroup) -> Target:
    """The group as the trail names it."""
    return Target("approver_group", group.slug, group.name)


def _locked(slug: str) -> ApproverGroup:
    group = ApproverGroup.objects.select_for_update().filter(slug=slug).first()
    if group is None:
        raise NotFound("There is no such approver group.")
    return group


def _people(usernames: Sequence[str]) -> list[User]:
    wanted = list(dict.fromkeys(usernames))
    if len(wanted) > _MOST_PEOPLE:
        raise Invalid(f"A group has at most {_MOST_PEOPLE} people.")
    found = {one.username: one for one in User.objects.filter(username__in=wanted)}
    if missing := [name for name in wanted if name not in found]:
        raise Invalid(
            f"There is nobody called {', '.join(missing[:5])}: create people under "
            "Settings, People first."
        )
    return list(found.values())


def _shown(group: ApproverGroup) -> dict[str, object]:
    names = group.people.order_by("username").values_list("username", flat=True)
    return {
        "name": group.name,
        "description": group.description,
        "people": list(names),
    }
