"""Writes who is to be told of an approval; sending comes after the commit."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.urls import reverse

from core.ids import new_id
from core.jobs import enqueue
from policy.approvers import people_in
from policy.models import Approval, Notification, NotificationChannel
from policy.routing import Audience

REQUESTED = "approval.requested"
ESCALATED = "approval.escalated"
DECIDED = "approval.decided"
EXPIRED = "approval.expired"
TEST = "test"
EVENTS = {
    REQUESTED: "A call asks for an approval",
    ESCALATED: "Nobody decided in time, and further people are asked",
    DECIDED: "It was approved or rejected",
    EXPIRED: "It expired",
}
# What asks somebody to act; nobody needs it once there is nothing left to do.
ASKING = (REQUESTED, ESCALATED)
_MOST_PEOPLE = 200


def announce(
    approval: Approval,
    event: str,
    *,
    audiences: Sequence[Audience],
    at: datetime,
    about: str = "",
) -> None:
    """Write a message for each channel of these audiences, in the transaction of what
    it tells of; one query where nobody is to be told."""
    channels = list(_channels(approval, event, audiences))
    if not channels:
        return
    payload = payload_of(approval, event, at)
    for channel in channels:
        told = payload
        if channel.with_arguments:
            data = payload["data"] | {"arguments": approval.arguments}
            told = payload | {"data": data}
        Notification.objects.bulk_create(
            [
                Notification(
                    uid=new_id("msg", characters=18),
                    channel=channel,
                    approval=approval,
                    event=event,
                    about=about,
                    recipient=recipient,
                    payload=told,
                    next_at=at,
                    created_at=at,
                )
                for recipient in _recipients(channel, approval, audiences)
            ],
            ignore_conflicts=True,
        )
        enqueue("policy.deliver_notifications", swept=True, channel=channel.pk)


def _channels(
    approval: Approval, event: str, audiences: Iterable[Audience]
) -> Iterable[NotificationChannel]:
    meant = Q(audience_kind="")
    for audience in audiences:
        meant |= Q(audience_kind=audience.kind, audience_name=audience.name)
    return NotificationChannel.objects.filter(
        meant,
        Q(team=None) | Q(team__slug=approval.team),
        enabled=True,
        events__contains=[event],
    ).order_by("pk")


def _recipients(
    channel: NotificationChannel, approval: Approval, audiences: Sequence[Audience]
) -> list[str]:
    """One receiver a message; who asked is not asked to decide."""
    if channel.kind == NotificationChannel.Kind.WEBHOOK:
        return [""]
    if channel.recipients:
        return list(channel.recipients)
    own = channel.audience
    found: dict[str, None] = {}
    for audience in [own] if own else audiences:
        people = people_in(audience, team=approval.team).exclude(email="")
        asked = [one.removeprefix("user:") for one in approval.requesters]
        emails = people.exclude(username__in=asked).order_by("pk")
        found |= dict.fromkeys(emails.values_list("email", flat=True)[:_MOST_PEOPLE])
    return list(found)


def payload_of(approval: Approval, event: str, at: datetime) -> dict[str, Any]:
    """What receivers are told: never more of the arguments than the page shows."""
    return {
        "type": event,
        "timestamp": at.isoformat(),
        "data": {
            "approval": approval.uid,
            "state": approval.state,
            "url": page_of(approval),
            "tool": approval.tool,
            "tool_version": approval.tool_version,
            "run": approval.run,
            "step": approval.step,
            "team": approval.team,
            "environment": approval.environment,
            "requesters": approval.requesters,
            "because": approval.asked_because,
            "requested_at": approval.requested_at.isoformat(),
            "expires_at": approval.expires_at.isoformat(),
            "decided_by": approval.decided_label,
            "reason": approval.reason,
        },
    }


def page_of(approval: Approval) -> str:
    """The address of the approval's page."""
    path = reverse("approval", kwargs={"uid": approval.uid})
    return settings.PUBLIC_URL.rstrip("/") + path
