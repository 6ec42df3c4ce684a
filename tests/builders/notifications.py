"""Notification channels and their messages."""

from typing import Any

from core.clock import now
from core.ids import new_id
from policy.models import Notification, NotificationChannel
from policy.services import channels, notify
from policy.services.channels import Settings
from tests.builders.identity import ACTOR


def make_channel(name: str = "chat", **values: Any) -> NotificationChannel:
    """A webhook for everything that is asked, made by the real service."""
    wanted: dict[str, Any] = {
        "name": name,
        "kind": "webhook",
        "url": "https://hooks.example.org/tollgate",
        "events": tuple(notify.EVENTS),
    }
    return channels.create_channel(
        wanted=Settings(**(wanted | values)), actor=ACTOR, at=now()
    ).channel


def make_message(channel: NotificationChannel, **values: Any) -> Notification:
    """A message of a channel; it waits to be sent."""
    at = now()
    fields: dict[str, Any] = {
        "uid": new_id("msg"),
        "channel": channel,
        "event": notify.TEST,
        "payload": {"type": notify.TEST, "timestamp": at.isoformat(), "data": {}},
        "next_at": at,
        "created_at": at,
    }
    return Notification.objects.create(**(fields | values))
