"""Saved views of the explorer: filters under a name, kept for oneself or for all."""

from datetime import datetime

from django.db import transaction
from django.http import QueryDict

from audit import events
from audit.actor import Actor, Target
from audit.filters import EventFilter
from audit.models import SavedView
from audit.services.record import record
from core.errors import Invalid, NotFound

LONGEST_NAME = 60
_LONGEST_QUERY = 2_000
_KEPT = ("q", "period", "first", "last", "group", *EventFilter.base_filters)


@transaction.atomic
def save(
    *, name: str, query: str, shared: bool, actor: Actor, at: datetime
) -> SavedView:
    """Keep the filters of ``query`` (as in an address); the same name replaces.

    Raises Invalid.
    """
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME:
        raise Invalid(f"Give the view a name of up to {LONGEST_NAME} characters.")
    kept = _kept(query)
    if len(kept) > _LONGEST_QUERY:
        raise Invalid("These filters are too long to be kept. Shorten the query.")
    held = SavedView.objects.select_for_update().filter(owner=actor.id, name=name)
    before = held.first()
    view, _ = SavedView.objects.update_or_create(
        owner=actor.id,
        name=name,
        defaults={"query": kept, "shared": shared, "created_at": at},
    )
    record(
        events.VIEW_SAVED,
        actor=actor,
        at=at,
        target=_target(view),
        before=_as_dict(before) if before else None,
        after=_as_dict(view),
    )
    return view


@transaction.atomic
def remove(*, pk: int, may_share: bool, actor: Actor, at: datetime) -> None:
    """Forget a view of one's own, or a shared one as who may share. Raises NotFound."""
    view = SavedView.objects.select_for_update().filter(pk=pk).first()
    if view is None or not (view.owner == actor.id or (view.shared and may_share)):
        raise NotFound("There is no such view of yours. It may have been removed.")
    record(
        events.VIEW_REMOVED,
        actor=actor,
        at=at,
        target=_target(view),
        before=_as_dict(view),
    )
    view.delete()


def _kept(query: str) -> str:
    """The filters alone, without a place in the list, in one order."""
    given = QueryDict(query.replace("\x00", ""))
    kept = QueryDict(mutable=True)
    for name in dict.fromkeys(_KEPT):
        if values := [value for value in given.getlist(name) if value]:
            kept.setlist(name, values)
    return kept.urlencode()


def _target(view: SavedView) -> Target:
    return Target("audit_view", str(view.pk), view.name)


def _as_dict(view: SavedView) -> dict[str, object]:
    return {
        "name": view.name,
        "owner": view.owner,
        "query": view.query,
        "shared": view.shared,
    }
