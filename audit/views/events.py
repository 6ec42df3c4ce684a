"""The audit explorer: events by filter, and one event with what belongs to it."""

import json

from django.conf import settings
from django.http import QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import events, selectors
from audit.filters import DECISIONS, DEFAULT_PERIOD, PERIODS, EventFilter
from audit.models import Event
from audit.registry import known
from audit.services.exports import export
from audit.web import AUDIT_READ, SignedIn, actor_of, requires
from core.clock import now
from core.tables import chips, filters_of, keyset

_LABELS = {
    "q": "Search",
    "name": "Event",
    "decision": "Decision",
    "actor": "Actor",
    "team": "Team",
    "tool": "Tool",
    "run": "Run",
    "request": "Request",
    "target_kind": "Kind of target",
    "target": "Target",
    "first": "From",
    "last": "To",
}


@require_safe
@requires(AUDIT_READ)
def event_list(request: SignedIn) -> HttpResponseBase:
    """Events by filter, newest first; the same rows as CSV or JSON lines."""
    query = _with_period(request.GET)
    found = EventFilter(query, queryset=selectors.visible_events(request.access))
    if form := request.GET.get("export"):
        return export(
            name="audit-events",
            form=form,
            columns=selectors.COLUMNS,
            rows=selectors.export_rows(found.qs, parsed=form == "json"),
            filters={**filters_of(request), "period": query.get("period", "")},
            actor=actor_of(request),
            at=now(),
            event=events.EXPORTED,
        )
    context = {
        "page": keyset(found.qs, request),
        "problems": found.problems,
        "chips": chips(request, _LABELS),
        "period": query.get("period", ""),
        "periods": PERIODS,
        "decisions": DECISIONS,
        "names": sorted(known()),
        "kept": [
            (name, request.GET[name])
            for name in ("request", "target_kind", "target")
            if request.GET.get(name)
        ],
        "zone": settings.REPORT_TIME_ZONE,
        "at": now(),
    }
    status = 422 if context["problems"] else 200
    return render(request, "audit/events.html", context, status=status)


@require_safe
@requires(AUDIT_READ)
def event(request: SignedIn, uid: str) -> HttpResponseBase:
    """One event: its body, and the other events of the same run or request."""
    found = selectors.visible_event(request.access, uid)
    if form := request.GET.get("export"):
        return _download(request, found, form)
    context = {
        "event": found,
        "body": json.dumps(json.loads(found.body), indent=2, ensure_ascii=False),
        "related": selectors.related(request.access, found),
        "permalink": request.build_absolute_uri(request.path),
    }
    return render(request, "audit/event.html", context)


def _download(request: SignedIn, found: Event, form: str) -> HttpResponseBase:
    rows = selectors.visible_events(request.access).filter(pk=found.pk)
    return export(
        name=found.uid,
        form=form,
        columns=selectors.COLUMNS,
        rows=selectors.export_rows(rows, parsed=form == "json"),
        filters={"uid": found.uid},
        actor=actor_of(request),
        at=now(),
        event=events.EXPORTED,
    )


def _with_period(query: QueryDict) -> QueryDict:
    """The query with the usual period, unless days or a period are asked for."""
    if any(query.get(name) for name in ("period", "first", "last")):
        return query
    filled = query.copy()
    filled["period"] = DEFAULT_PERIOD
    return filled
