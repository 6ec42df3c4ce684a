"""Reads of the trail."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from audit.conditions import NOT_A_CALL
from audit.models import Event, SavedView
from audit.services.record import DENY
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
    "key",
    "target_kind",
    "target_id",
    "target_label",
    "tool",
    "run",
    "step",
    "request_id",
    "trace_id",
    "client_address",
    "policy_version",
    "summary",
    "body",
)
MOST_HISTORY = 50
_MOST_RELATED = 100
_MOST_VIEWS = 100
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
    events = visible_events(rights).exclude(pk=event.pk).order_by("at", "pk")
    if event.run:
        return list(events.filter(run=event.run)[:_MOST_RELATED])
    if event.request_id:
        near = events.filter(at__range=(event.at - _REQUEST, event.at + _REQUEST))
        return list(near.filter(request_id=event.request_id)[:_MOST_RELATED])
    return []


def history(
    kind: str, target: str, *, name: str = "", most: int = MOST_HISTORY
) -> list[Event]:
    """The newest events on one thing, whose kind begins with ``name``.

    Calls of a tool are left out: a busy one has millions.
    """
    events = Event.objects.defer("body").filter(
        NOT_A_CALL, target_kind=kind, target_id=target[:120], name__startswith=name
    )
    return list(events.order_by("-at", "-pk")[:most])


def denials(rights: Rights, *, since: datetime, most: int) -> int:
    """How many refusals there were since then, counted no further than ``most``."""
    denied = visible_events(rights).filter(decision=DENY, at__gte=since)
    return denied.order_by("-at", "-pk")[:most].count()


def saved_views(owner: str) -> list[SavedView]:
    """A person's own views and the shared ones, by name."""
    views = SavedView.objects.filter(Q(owner=owner) | Q(shared=True))
    return list(views.order_by("name", "pk")[:_MOST_VIEWS])


@dataclass(frozen=True, slots=True)
class Group:
    """Events next to each other in a list that share a run or a request."""

    key: str
    events: Sequence[Event]

    @property
    def denied(self) -> int:
        return sum(event.decision == DENY for event in self.events)

    @property
    def first(self) -> Event:
        return self.events[-1]


def grouped(events: Iterable[Event], by: str) -> list[Group]:
    """Events newest first by ``run`` or ``request``, in order of their newest.

    Neighbours that belong to none are a group without a key.
    """
    found: dict[tuple[str, int], list[Event]] = {}
    gap = 0
    for event in events:
        key = event.run if by == "run" else event.request_id
        gap += bool(key)
        found.setdefault((key, 0 if key else gap), []).append(event)
    return [Group(key, rows) for (key, _), rows in found.items()]


def export_rows(events: QuerySet[Event], *, parsed: bool) -> Iterator[list[Any]]:
    """Every event as a row of ``COLUMNS``, newest first, however many there are.

    Read in batches by key, so that a long export holds no cursor open; events that
    come in meanwhile are left out. ``parsed`` gives the body as JSON, else as text.
    """
    below = Q()
    whole = events.defer(None).order_by("-at", "-pk")
    while batch := list(whole.filter(below)[:_BATCH]):
        for event in batch:
            row = [getattr(event, column) for column in COLUMNS]
            if parsed:
                row[-1] = json.loads(event.body)
            yield row
        last = batch[-1]
        below = Q(at__lte=last.at) & (Q(at__lt=last.at) | Q(pk__lt=last.pk))
