"""What happened on the time line of a report: deployments, notes, changes on record."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q, QuerySet
from django.urls import reverse

from audit.models import Event
from audit.selectors import visible_events
from audit.web import AUDIT_READ, Rights
from core.period import Period
from finops.models import Annotation
from finops.selectors.scope import Scope
from policy.access import COSTS_READ

_MOST, _MOST_EVENTS = 100, 1000
# What changes the figures from outside the runs, by what it is called on the page.
_CHANGES = {
    "policy": ("policy.published", "sandbox_policy.set"),
    "prices": ("price.set", "prices.brought_in", "usage.rerated"),
    "catalog": (
        "server.added",
        "server.changed",
        "server.status",
        "tool.changed",
        "tool.removed",
        "tool.reviewed",
    ),
}
_KIND_OF = {name: kind for kind, names in _CHANGES.items() for name in names}
_UNSAID = {
    "policy": "Policy changed",
    "prices": "Prices changed",
    "catalog": "Catalog changed",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something at a moment; ``team`` is "" for all, ``url`` "" for nowhere."""

    at: datetime
    kind: str
    text: str
    team: str = ""
    url: str = ""


def marks(rights: Rights, scope: Scope, period: Period) -> tuple[Mark, ...]:
    """The newest marks of ``period`` in order of time; three queries at most.

    Who may not read the trail sees that something changed, and no more.
    """
    found = [*_annotations(rights, scope, period), *_changes(rights, scope, period)]
    found.sort(key=lambda mark: (mark.at, mark.kind, mark.text))
    return tuple(found[-_MOST:])


def visible_annotations(rights: Rights) -> QuerySet[Annotation]:
    """Those of all teams, and of the person's own; the newest first."""
    found = Annotation.objects.filter(_of_teams(rights.teams_for(COSTS_READ)))
    return found.order_by("-at", "-pk")


def _annotations(rights: Rights, scope: Scope, period: Period) -> list[Mark]:
    found = Annotation.objects.filter(
        _of_teams(rights.teams_for(COSTS_READ)),
        at__gte=period.start,
        at__lt=period.end,
    )
    if scope.team:
        found = found.filter(team__in=("", scope.team))
    newest = found.order_by("-at", "-pk")[:_MOST]
    return [Mark(one.at, one.kind, one.text, one.team, one.link) for one in newest]


def _changes(rights: Rights, scope: Scope, period: Period) -> list[Mark]:
    told = rights.may(AUDIT_READ)
    within = Q(name__in=tuple(_KIND_OF), at__gte=period.start, at__lt=period.end)
    own = rights.teams_for(COSTS_READ)
    events = visible_events(rights) if told else Event.objects.filter(_of_teams(own))
    if scope.team:
        events = events.filter(team__in=("", scope.team))
    newest = events.filter(within).order_by("-at", "-pk")[:_MOST_EVENTS]
    fields = newest.values_list("at", "name", "summary", "team", "uid")
    found = [
        Mark(
            at,
            kind := _KIND_OF[name],
            summary if told else _UNSAID[kind],
            team,
            reverse("event", args=[uid]) if told else "",
        )
        for at, name, summary, team, uid in fields
    ]
    return _once_an_hour(found, told=told)


def _once_an_hour(found: Iterable[Mark], *, told: bool) -> list[Mark]:
    """A change in many steps is one: its first, and how many there were.

    Else a new server's fifty tools would hide a deployment.
    """
    hours: dict[tuple[object, ...], list[Mark]] = {}
    for mark in found:
        hour = mark.at.replace(minute=0, second=0, microsecond=0)
        hours.setdefault((mark.kind, mark.team, hour), []).append(mark)
    return [
        replace(first, text=f"{first.text}, and {len(rest)} more")
        if rest and told
        else first
        for *rest, first in hours.values()
    ]


def _of_teams(teams: frozenset[str] | None) -> Q:
    return Q() if teams is None else Q(team__in=("", *sorted(teams)))
