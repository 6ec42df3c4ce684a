"""Reports kept under a name, for oneself or for a team; each change is on record."""

from datetime import datetime

from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.ids import new_id
from finops import events
from finops.models import SavedReport
from finops.saved_pages import kept

LONGEST_NAME = 60
_LONGEST_QUERY = 2_000


@transaction.atomic
def save(
    *,
    name: str,
    page: str,
    query: str,
    team: str,
    teams: frozenset[str] | None,
    actor: Actor,
    at: datetime,
) -> SavedReport:
    """Keep a report's filters; the same name replaces one's own of that name.

    ``teams`` are those it may be shared with. Raises Invalid, NotFound.
    """
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME:
        raise Invalid(f"Give the report a name of up to {LONGEST_NAME} characters.")
    if team and teams is not None and team not in teams:
        raise NotFound("There is no such team of yours to share it with.")
    filters = kept(page, query)
    if len(filters) > _LONGEST_QUERY:
        raise Invalid("These filters are too long to be kept. Take some away.")
    held = SavedReport.objects.select_for_update().filter(owner=actor.id, name=name)
    before = held.first()
    values = {"page": page, "query": filters, "team": team, "created_at": at}
    if before is None:
        view = SavedReport.objects.create(
            uid=new_id("view"), owner=actor.id, name=name, **values
        )
    else:
        view, _ = SavedReport.objects.update_or_create(pk=before.pk, defaults=values)
    record(
        events.REPORT_VIEW_SAVED,
        actor=actor,
        at=at,
        target=target_of(view),
        before=_as_dict(before) if before else None,
        after=_as_dict(view),
    )
    return view


@transaction.atomic
def remove(*, uid: str, actor: Actor, at: datetime) -> None:
    """Forget a report of one's own, and what was sent of it. Raises NotFound."""
    view = SavedReport.objects.select_for_update().filter(uid=uid).first()
    if view is None or view.owner != actor.id:
        raise NotFound("There is no such saved report of yours.")
    record(
        events.REPORT_VIEW_REMOVED,
        actor=actor,
        at=at,
        target=target_of(view),
        before=_as_dict(view),
    )
    view.delete()


def target_of(view: SavedReport) -> Target:
    """The saved report as the trail names it."""
    return Target("report_view", view.uid, view.name)


def _as_dict(view: SavedReport) -> dict[str, object]:
    return {
        "name": view.name,
        "owner": view.owner,
        "page": view.page,
        "query": view.query,
        "team": view.team,
    }
