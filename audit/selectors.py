"""Reads of the trail."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from audit.models import Event
from audit.web import AUDIT_READ, Rights
from core.errors import NotFound

COLUMNS = (
    "uid",
    "at",
    "name",
    "decision",
    "actor_kind",
    "actor_id",
    "actor_label",
    "team",
    "environment",
    "target_kind",
    "target_id",
    "target_label",
    "tool",
    "run",
    "step",
    "request_id",
    "summary",
    "body",
)
_MOST_RELATED = 100
_BATCH = 2_000
_REQUEST = timedelta(hours=1)


def visible_events(rights: Rights) -> QuerySet[Event]:
    """Events this person may see, without their bodies."""
    teams = rights.teams_for(AUDIT_READ)
    events = Event.objects.defer("body")
    return events if teams is None else events.filter(team__in=teams)


def visible_event(rights: Rights, uid: str) -> Event:
    """One event with its body. Raises NotFound."""
    event = visible_events(rights).defer(None).filter(uid=uid).first()
    if event is None:
        raise NotFound(f"There is no audit event {uid} that you may see.")
    return event


def related(rights: Rights, event: Event) -> list[Event]:
    """Other events of the same run, else of the same request; oldest first."""
    events = visible_events(rights).exclude(pk=event.pk).order_by("pk")
    if event.run:
        return list(events.filter(run=event.run)[:_MOST_RELATED])
    if event.request_id:
        # By time first: the trail has no index by request.
        near = events.filter(at__range=(event.at - _REQUEST, event.at + _REQUEST))
        return list(near.filter(request_id=event.request_id)[:_MOST_RELATED])
    return []


def export_rows(events: QuerySet[Event], *, parsed: bool) -> Iterator[list[Any]]:
    """Every event as a row of ``COLUMNS``, newest first, however many there are.

    Read in batches by key, so that a long export holds no cursor open; events that
    come in meanwhile are left out. ``parsed`` gives the body as JSON, else as text.
    """
    below: int | None = None
    whole = events.defer(None).order_by("-pk")
    while batch := list(
        (whole if below is None else whole.filter(pk__lt=below))[:_BATCH]
    ):
        for event in batch:
            row = [getattr(event, column) for column in COLUMNS]
            if parsed:
                row[-1] = json.loads(event.body)
            yield row
        below = batch[-1].pk
