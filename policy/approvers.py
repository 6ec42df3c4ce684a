"""The people behind an audience: who may decide, and who has to be told."""

from collections.abc import Collection, Iterable

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet

from core.errors import NotFound
from policy.models import (
    Approval,
    ApproverGroup,
    Membership,
    NotificationChannel,
    User,
)
from policy.routing import APPROVER, Audience, Route

_MOST_NAMED = 5
Role = Membership.Role


def people_in(audience: Audience, *, team: str) -> QuerySet[User]:
    """Everybody active in the audience of a call of ``team``."""
    people = User.objects.filter(is_active=True)
    if audience.kind == "group":
        return people.filter(group_memberships__group__slug=audience.name).distinct()
    if audience.name == APPROVER:
        own = Q(memberships__role=Role.APPROVER, memberships__team__slug=team)
        return people.filter(own | Q(memberships__role=Role.ADMIN)).distinct()
    return people.filter(memberships__role=audience.name).distinct()


def deciders(approval: Approval) -> tuple[str, ...]:
    """Names of people who may still decide on an open request, by its routes.

    Neither who asked nor who has voted is among them.
    """
    without = {*approval.requesters, *approval.votes.values_list("voter", flat=True)}
    names: dict[str, str] = {}
    for route in approval.routes.filter(satisfied_at=None).order_by("position"):
        for audience in route.audiences:
            names |= _names(audience, approval.team, without)
    return tuple(names.values())[:_MOST_NAMED]


def team_deciders(team: str) -> tuple[str, ...]:
    """Names of people who decide for a team."""
    return tuple(_names(Audience("role", APPROVER), team, ()).values())


def _names(audience: Audience, team: str, without: Collection[str]) -> dict[str, str]:
    """Full names by user name; a team's own approvers come first."""
    own = Membership.objects.filter(
        user=OuterRef("pk"), team__slug=team, role=Role.APPROVER
    )
    people = (
        people_in(audience, team=team)
        .exclude(username__in=[one.removeprefix("user:") for one in without])
        .annotate(own=Exists(own))
        .order_by("-own", "username")
    )
    return {
        one.username: one.get_full_name() or one.username
        for one in people[:_MOST_NAMED]
    }


def groups() -> QuerySet[ApproverGroup]:
    """Approver groups with their people, by name."""
    people = Prefetch("people", queryset=User.objects.order_by("username"))
    return ApproverGroup.objects.prefetch_related(people).order_by("name", "pk")


def group(slug: str) -> ApproverGroup:
    """One approver group. Raises NotFound."""
    found = groups().filter(slug=slug).first()
    if found is None:
        raise NotFound(f"There is no approver group {slug[:40]}.")
    return found


def missing_groups(routes: Iterable[Route]) -> tuple[str, ...]:
    """Groups that these routes name and that do not exist."""
    named = {name for route in routes for name in route.groups}
    known = ApproverGroup.objects.filter(slug__in=named)
    return tuple(sorted(named - set(known.values_list("slug", flat=True))))


def channels() -> QuerySet[NotificationChannel]:
    """Notification channels with ``queued`` and ``dead`` messages, by name."""
    return (
        NotificationChannel.objects.select_related("team")
        .annotate(
            queued=Count("messages", filter=Q(messages__state="queued")),
            dead=Count("messages", filter=Q(messages__state="dead")),
        )
        .order_by("name", "pk")
    )


def channel(pk: int) -> NotificationChannel:
    """One notification channel. Raises NotFound."""
    found = channels().filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such notification channel.")
    return found
