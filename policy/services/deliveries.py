"""Sends what notify wrote: at least once, with pauses that grow, until it is dead."""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q

from audit.actor import SYSTEM, Actor
from audit.services.record import record
from core import webhook
from core.canonical import canonical
from core.clock import now
from core.errors import Invalid, NotFound, TollgateError
from core.jobs import enqueue
from core.mail import post
from core.outgoing import NotDelivered
from core.retries import MOST_ATTEMPTS, pause_after
from policy import events
from policy.models import Approval, Notification, NotificationChannel
from policy.services.channels import channel_target
from policy.services.notify import ASKING

State = Notification.State
_MOST_A_TURN = 20
_LONGEST_PAUSE = 900


def deliver_due(*, at: datetime) -> int:
    """Look for channels whose messages are due: the safety net of lost tasks."""
    due = NotificationChannel.objects.filter(
        Q(busy_until=None) | Q(busy_until__lte=at),
        enabled=True,
        messages__state=State.QUEUED,
        messages__next_at__lte=at,
    )
    channels = list(due.distinct().order_by("pk").values_list("pk", flat=True)[:500])
    for pk in channels:
        enqueue("policy.deliver_notifications", swept=True, channel=pk)
    return len(channels)


def deliver(*, channel_id: int, at: datetime) -> int:
    """Send the due messages of one channel; how many arrived.

    One worker at a time sends for a channel, and stops at the first failure: a
    receiver that hangs holds one thread for one time limit, then is left alone for a
    while. Nothing here is in a transaction while it talks to the network.
    """
    seconds = _MOST_A_TURN * settings.NOTIFY_SECONDS + 30
    claimed = NotificationChannel.objects.filter(
        Q(busy_until=None) | Q(busy_until__lte=at), pk=channel_id, enabled=True
    ).update(busy_until=at + timedelta(seconds=seconds))
    if not claimed:
        return 0
    channel = NotificationChannel.objects.get(pk=channel_id)
    due = channel.messages.filter(state=State.QUEUED, next_at__lte=at)
    sent, failed = 0, False
    for message in due.select_related("approval").order_by("next_at", "pk")[
        :_MOST_A_TURN
    ]:
        if _is_over(message):
            message.state = State.SKIPPED
            message.save(update_fields=["state"])
            continue
        if failed := not _attempt(channel, message):
            break
        sent += 1
    failures = channel.failures + 1 if failed else 0
    pause = min(15 * 2 ** min(channel.failures, 10), _LONGEST_PAUSE)
    until = now() + timedelta(seconds=pause) if failed else None
    NotificationChannel.objects.filter(pk=channel_id).update(
        busy_until=until, failures=failures
    )
    return sent


def _is_over(message: Notification) -> bool:
    """Whether it asks for a decision that nobody can make any more."""
    approval = message.approval
    pending = approval is None or approval.state == Approval.State.PENDING
    return message.event in ASKING and not pending


def _attempt(channel: NotificationChannel, message: Notification) -> bool:
    message.attempts += 1
    try:
        _send(channel, message)
    except NotDelivered as error:
        message.last_error = error.message[:300]
        if error.final or message.attempts >= MOST_ATTEMPTS:
            _bury(channel, message)
            return False
        message.next_at = now() + pause_after(message.attempts)
        message.save(update_fields=["attempts", "last_error", "next_at"])
        return False
    message.state, message.delivered_at = State.DELIVERED, now()
    message.last_error = ""
    message.save(update_fields=["attempts", "state", "delivered_at", "last_error"])
    return True


@transaction.atomic
def _bury(channel: NotificationChannel, message: Notification) -> None:
    message.state = State.DEAD
    message.save(update_fields=["attempts", "state", "last_error"])
    record(
        events.NOTIFICATION_DEAD,
        actor=SYSTEM,
        at=now(),
        target=channel_target(channel),
        payload={
            "message": message.uid,
            "attempts": message.attempts,
            "error": message.last_error,
        },
    )


def _send(channel: NotificationChannel, message: Notification) -> None:
    if channel.kind == NotificationChannel.Kind.EMAIL:
        _mail(message)
        return
    try:
        secret = channel.signing_secret
    except TollgateError as error:
        raise NotDelivered(error.message) from error
    webhook.send(
        channel.url,
        uid=message.uid,
        timestamp=int(now().timestamp()),
        body=canonical(message.payload),
        secret=secret,
        private=settings.WEBHOOK_PRIVATE_HOSTS,
        seconds=settings.NOTIFY_SECONDS,
    )


def _mail(message: Notification) -> None:
    subject, text = words_of(message)
    post(EmailMessage(subject, text, to=[message.recipient]), uid=message.uid)


def words_of(message: Notification) -> tuple[str, str]:
    """Subject and text of a message as a person reads it."""
    data = message.payload["data"]
    heading = {
        "approval.requested": "Approval wanted",
        "approval.escalated": "Approval overdue",
        "approval.decided": f"Approval {data.get('state', '')}",
        "approval.expired": "Approval expired",
    }.get(message.event)
    if heading is None and "title" in data:
        return f"Tollgate: {data['title']}", f"{data['text']}\n\n{data['url']}\n"
    if heading is None:
        return "Tollgate: test", "This channel works. Nothing else is asked of you.\n"
    lines = [
        f"{data['tool']} (version {data['tool_version']}), asked by "
        f"{', '.join(data['requesters'])} of {data['team']} in {data['environment']}.",
        f"Why it was asked: {data['because']}",
    ]
    if message.event in ASKING:
        lines.append(f"It expires at {data['expires_at'][:16].replace('T', ' ')} UTC.")
    elif data["decided_by"]:
        lines.append(f"Decided by {data['decided_by']}: {data['reason']}")
    if "arguments" in data:
        shown = canonical(data["arguments"]).decode()
        lines.append(f"Arguments, redacted: {shown}")
    lines += ["", f"The call and its script: {data['url']}", ""]
    return f"{heading}: {data['tool']} in {data['environment']}", "\n".join(lines)


@transaction.atomic
def send_again(*, message_id: int, actor: Actor, at: datetime) -> Notification:
    """Give a dead message a new life. Raises NotFound, Invalid."""
    message = (
        Notification.objects.select_for_update(of=("self",))
        .select_related("channel")
        .filter(pk=message_id)
        .first()
    )
    if message is None:
        raise NotFound("There is no such message.")
    if message.state != State.DEAD:
        raise Invalid(
            f"This message is {message.state}: only a dead one is sent again."
        )
    message.state, message.attempts, message.next_at = State.QUEUED, 0, at
    message.save(update_fields=["state", "attempts", "next_at"])
    NotificationChannel.objects.filter(pk=message.channel_id).update(
        busy_until=None, failures=0
    )
    record(
        events.NOTIFICATION_AGAIN,
        actor=actor,
        at=at,
        target=channel_target(message.channel),
        payload={"message": message.uid},
    )
    enqueue("policy.deliver_notifications", swept=True, channel=message.channel_id)
    return message
