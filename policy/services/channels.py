"""Sets up who is told of approvals, and how."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.jobs import enqueue
from core.outgoing import check_url
from core.secrets import seal
from core.webhook import new_secret
from policy import events
from policy.models import ApproverGroup, Notification, NotificationChannel, Team
from policy.routing import Audience
from policy.services.notify import EVENTS, TEST

Kind = NotificationChannel.Kind
_MOST_RECIPIENTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a channel is told to do; see NotificationChannel."""

    name: str
    kind: str
    audience: Audience | None = None
    team: str = ""
    events: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    url: str = ""
    with_arguments: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel just made; ``secret`` of a webhook is shown once."""

    channel: NotificationChannel
    secret: str


@transaction.atomic
def create_channel(*, wanted: Settings, actor: Actor, at: datetime) -> NewChannel:
    """A new channel; a webhook gets its signing secret. Raises Invalid."""
    values = _checked(wanted)
    try:
        with transaction.atomic():
            channel = NotificationChannel.objects.create(created_at=at, **values)
    except IntegrityError as error:
        raise Invalid(f"There is a channel {wanted.name} already.") from error
    secret = _give_secret(channel) if channel.kind == Kind.WEBHOOK else ""
    record(
        events.CHANNEL_CREATED,
        actor=actor,
        at=at,
        target=channel_target(channel),
        after=_shown(wanted),
    )
    return NewChannel(channel, secret)


@transaction.atomic
def change_channel(
    *, channel_id: int, wanted: Settings, actor: Actor, at: datetime
) -> NotificationChannel:
    """Change a channel; its kind stays. Raises NotFound, Invalid."""
    channel = _locked(channel_id)
    if wanted.kind != channel.kind:
        raise Invalid("A channel keeps its kind: make a new one, and remove this.")
    before, values = _shown(settings_of(channel)), _checked(wanted)
    if NotificationChannel.objects.filter(name=wanted.name).exclude(pk=channel.pk):
        raise Invalid(f"There is a channel {wanted.name} already.")
    if before != _shown(wanted):
        for name, value in values.items():
            setattr(channel, name, value)
        channel.busy_until, channel.failures = None, 0
        channel.save()
        record(
            events.CHANNEL_CHANGED,
            actor=actor,
            at=at,
            target=channel_target(channel),
            before=before,
            after=_shown(wanted),
        )
    return channel


@transaction.atomic
def rotate_secret(*, channel_id: int, actor: Actor, at: datetime) -> NewChannel:
    """Give a webhook another signing secret; the old one is gone. Raises Invalid."""
    channel = _locked(channel_id)
    if channel.kind != Kind.WEBHOOK:
        raise Invalid("Only a webhook has a secret.")
    secret = _give_secret(channel)
    record(events.CHANNEL_ROTATED, actor=actor, at=at, target=channel_target(channel))
    return NewChannel(channel, secret)


@transaction.atomic
def remove_channel(*, channel_id: int, actor: Actor, at: datetime) -> None:
    """Remove a channel with its messages. Raises NotFound."""
    channel = _locked(channel_id)
    before, target = _shown(settings_of(channel)), channel_target(channel)
    channel.delete()
    record(events.CHANNEL_REMOVED, actor=actor, at=at, target=target, before=before)


@transaction.atomic
def send_test(*, channel_id: int, actor: Actor, at: datetime) -> int:
    """Send a message that asks nothing; to how many receivers. Raises Invalid."""
    channel = _locked(channel_id)
    if not channel.enabled:
        raise Invalid("The channel is off: switch it on first.")
    mails = channel.kind == Kind.EMAIL
    receivers = channel.recipients if mails else [""]
    if not receivers:
        raise Invalid(
            "It writes to the people of its audience: a test needs a fixed address."
        )
    payload = {"type": TEST, "timestamp": at.isoformat(), "data": {}}
    Notification.objects.bulk_create(
        Notification(
            uid=new_id("msg", characters=18),
            channel=channel,
            event=TEST,
            recipient=receiver,
            payload=payload,
            next_at=at,
            created_at=at,
        )
        for receiver in receivers
    )
    NotificationChannel.objects.filter(pk=channel.pk).update(busy_until=None)
    record(events.CHANNEL_TESTED, actor=actor, at=at, target=channel_target(channel))
    enqueue("policy.deliver_notifications", swept=True, channel=channel.pk)
    return len(receivers)


def settings_of(channel: NotificationChannel) -> Settings:
    """The settings of a channel as they can be given again."""
    return Settings(
        name=channel.name,
        kind=channel.kind,
        audience=channel.audience,
        team=channel.team.slug if channel.team else "",
        events=tuple(channel.events),
        recipients=tuple(channel.recipients),
        url=channel.url,
        with_arguments=channel.with_arguments,
        enabled=channel.enabled,
    )


def channel_target(channel: NotificationChannel) -> Target:
    """The channel as the trail names it."""
    return Target("notification_channel", str(channel.pk), channel.name)


def _locked(channel_id: int) -> NotificationChannel:
    found = NotificationChannel.objects.select_for_update().filter(pk=channel_id)
    channel = found.first()
    if channel is None:
        raise NotFound("There is no such channel.")
    return channel


def _give_secret(channel: NotificationChannel) -> str:
    secret = new_secret()
    channel.secret = seal(secret, owner=channel.owner)
    channel.save(update_fields=["secret"])
    return secret


def _shown(wanted: Settings) -> dict[str, Any]:
    audience = str(wanted.audience) if wanted.audience else "everybody"
    lists = {"events": list(wanted.events), "recipients": list(wanted.recipients)}
    return asdict(wanted) | {"audience": audience} | lists


def _checked(wanted: Settings) -> dict[str, Any]:
    if not wanted.name.strip():
        raise Invalid("Give the channel a name.")
    if wanted.kind not in Kind.values:
        raise Invalid(f"There is no kind {wanted.kind!r}: use email or webhook.")
    if not wanted.events or set(wanted.events) - set(EVENTS):
        raise Invalid(f"Choose what it tells of: {', '.join(EVENTS)}.")
    audience, team = wanted.audience, _team(wanted)
    if wanted.kind == Kind.WEBHOOK:
        check_url(wanted.url, private=settings.WEBHOOK_PRIVATE_HOSTS)
    return {
        "name": wanted.name.strip(),
        "kind": wanted.kind,
        "audience_kind": audience.kind if audience else "",
        "audience_name": audience.name if audience else "",
        "team": team,
        "events": list(wanted.events),
        "recipients": _emails(wanted) if wanted.kind == Kind.EMAIL else [],
        "url": wanted.url if wanted.kind == Kind.WEBHOOK else "",
        "with_arguments": wanted.with_arguments,
        "enabled": wanted.enabled,
    }


def _team(wanted: Settings) -> Team | None:
    """The team it is for, if it is for one; its group has to exist as well."""
    slug = wanted.audience.name if wanted.audience else ""
    is_group = wanted.audience is not None and wanted.audience.kind == "group"
    if is_group and not ApproverGroup.objects.filter(slug=slug).exists():
        raise Invalid(f"There is no approver group {slug}.")
    if not wanted.team:
        return None
    team = Team.objects.filter(slug=wanted.team).first()
    if team is None:
        raise Invalid(f"There is no team {wanted.team}.")
    return team


def _emails(wanted: Settings) -> list[str]:
    if len(wanted.recipients) > _MOST_RECIPIENTS:
        raise Invalid(f"At most {_MOST_RECIPIENTS} addresses: use a mailing list.")
    for address in wanted.recipients:
        try:
            validate_email(address)
        except ValidationError as error:
            raise Invalid(f"{address!r} is no e-mail address.") from error
    return list(dict.fromkeys(wanted.recipients))
