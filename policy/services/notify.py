"""Writes who is to be told of something; sending comes after the commit."""

from collections.abc import Iterable, Mapping, Sequence
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
BUDGET = "budget.alert"
UNRATED = "usage.unrated"
TEST = "test"
EVENTS = {
    REQUESTED: "A call asks for an approval",
    ESCALATED: "Nobody decided in time, and further people are asked",
    DECIDED: "It was approved or rejected",
    EXPIRED: "It expired",
    BUDGET: "A budget needs a look: threshold, hard stop, forecast, unusual day",
    UNRATED: "Usage has no price, and so is in no cost",
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


def tell(
    event: str,
    *,
    title: str,
    text: str,
    path: str,
    data: Mapping[str, Any],
    audiences: Sequence[Audience],
    at: datetime,
    team: str = "",
    about: str = "",
    chosen: Iterable[NotificationChannel] = (),
) -> int:
    """Write what is no request: for the channels that want the event, and the chosen.

    Runs in the transaction of what it tells of, which happens once. An e-mail without
    fixed addresses goes to the people of ``audiences``; how many messages.
    """
    meant = Q(audience_kind="")
    for one in audiences:
        meant |= Q(audience_kind=one.kind, audience_name=one.name)
    wanting = NotificationChannel.objects.filter(
        meant,
        Q(team=None) | Q(team__slug=team),
        enabled=True,
        events__contains=[event],
    )
    channels = {one.pk: one for one in [*wanting.order_by("pk"), *chosen]}
    url = settings.PUBLIC_URL.rstrip("/") + path
    payload = {
        "type": event,
        "timestamp": at.isoformat(),
        "data": {**data, "title": title, "text": text, "url": url, "team": team},
    }
    written = []
    for channel in channels.values():
        if not channel.enabled:
            continue
        for recipient in _receivers(channel, audiences, team):
            written.append(
                Notification(
                    uid=new_id("msg", characters=18),
                    channel=channel,
                    event=event,
                    about=about,
                    recipient=recipient,
                    payload=payload,
                    next_at=at,
                    created_at=at,
                )
            )
        enqueue("policy.deliver_notifications", swept=True, channel=channel.pk)
    Notification.objects.bulk_create(written)
    return len(written)


def _receivers(
    channel: NotificationChannel, audiences: Sequence[Audience], team: str
) -> list[str]:
    if channel.kind == NotificationChannel.Kind.WEBHOOK:
        return [""]
    if channel.recipients:
        return list(channel.recipients)
    own = channel.audience
    found: dict[str, None] = {}
    for audience in [own] if own else audiences:
        people = people_in(audience, team=team).exclude(email="").order_by("pk")
        found |= dict.fromkeys(people.values_list("email", flat=True)[:_MOST_PEOPLE])
    return list(found)


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
