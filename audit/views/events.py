"""The audit explorer: events by filter, and one event with what belongs to it."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import events, selectors, tree
from audit.changes import changes
from audit.counts import MOST_COUNTED, counts
from audit.evidence import bundles
from audit.facets import HEIGHT, WIDTH, columns, facets, without_term
from audit.filters import ALL_TIME, DEFAULT_PERIOD, GROUPS, PERIODS, EventFilter
from audit.merkle import leaf_hash
from audit.models import Event
from audit.query import QUALIFIERS, QueryError, Terms, parse, term, text_of
from audit.services.exports import export
from audit.views.saved import may_share
from audit.web import AUDIT_READ, SignedIn, actor_of, requires
from core.clock import now
from core.errors import Invalid
from core.tables import Chip, chips, filters_of, keyset_by_time

_LABELS = {
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
    "group": "Grouped by",
}
_HIDDEN = ("name", "decision", "actor", "team", "tool", "run", "request")
_PAGE, _GROUPED_PAGE = 50, 200
_NEAR = timedelta(hours=1)


@require_safe
@requires(AUDIT_READ)
def event_list(request: SignedIn) -> HttpResponseBase:
    """Events by filter, newest first; the same rows as CSV or JSON lines."""
    query = _with_period(request.GET)
    found = EventFilter(query, queryset=selectors.visible_events(request.access))
    at = now()
    if form := request.GET.get("export"):
        if found.problems:
            raise Invalid(" ".join(found.problems))
        if form == "evidence":
            return bundles.download(
                found=found.qs,
                name="audit-evidence",
                filters={**filters_of(request), "period": query.get("period", "")},
                actor=actor_of(request),
                at=at,
            )
        return export(
            name="audit-events",
            form=form,
            columns=selectors.COLUMNS,
            rows=selectors.export_rows(found.qs, parsed=form == "json"),
            filters={**filters_of(request), "period": query.get("period", "")},
            actor=actor_of(request),
            at=at,
            event=events.EXPORTED,
        )
    context = {
        **_rows(request, found.qs.none() if found.problems else found.qs),
        **_counted(request, found, at),
        "problems": found.problems,
        "chips": (*_term_chips(request, found.terms), *chips(request, _LABELS)),
        "period": query.get("period", ""),
        "periods": PERIODS,
        "groups_by": GROUPS,
        "qualifiers": QUALIFIERS,
        "views": selectors.saved_views(actor_of(request).id),
        "may_share": may_share(request),
        "filters": request.GET.urlencode(),
        "kept": [
            (name, request.GET[name])
            for name in (*_HIDDEN, "target_kind", "target")
            if request.GET.get(name)
        ],
        "zone": settings.REPORT_TIME_ZONE,
        "at": at,
    }
    status = 422 if context["problems"] else 200
    return render(request, "audit/events.html", context, status=status)


def _rows(request: SignedIn, found: QuerySet[Event]) -> dict[str, Any]:
    by = request.GET.get("group", "")
    if by not in dict(GROUPS):
        return {"page": keyset_by_time(found, request, size=_PAGE), "group": ""}
    page = keyset_by_time(found, request, size=_GROUPED_PAGE)
    return {"page": page, "group": by, "groups": selectors.grouped(page.rows, by)}


def _counted(request: SignedIn, found: EventFilter, at: datetime) -> dict[str, Any]:
    """Facets and histogram; none while the filters make no sense."""
    if found.problems:
        return {}
    start, end = found.window(at)
    counted = counts(found.qs, start=start, end=end)
    if counted is None:
        return {"too_thin": True}
    return {
        "counts": counted,
        "facets": facets(request, counted, found.terms),
        "columns": columns(request, counted.bars, found.terms),
        "width": WIDTH,
        "height": HEIGHT,
        "most_counted": MOST_COUNTED,
        "window": (start, end),
    }


def _term_chips(request: SignedIn, terms: Terms) -> list[Chip]:
    return [
        Chip("Search", str(one), without_term(request, terms, one)) for one in terms
    ]


@require_safe
@requires(AUDIT_READ)
def event(request: SignedIn, uid: str) -> HttpResponseBase:
    """One event: its body, and the other events of the same run or request."""
    found = selectors.visible_event(request.access, uid)
    if form := request.GET.get("export"):
        return _download(request, found, form)
    body = json.loads(found.body)
    (proof,) = tree.proofs([found])
    context = {
        "event": found,
        "proof": proof,
        "proof_holds": proof and proof.leaf == leaf_hash(found.body.encode()),
        "body": json.dumps(body, indent=2, ensure_ascii=False),
        "reasons": body.get("reasons") or [],
        "digests": body["payload"].get("digests") or [],
        "changes": changes(body.get("before"), body.get("after")),
        "related": selectors.related(request.access, found),
        "permalink": request.build_absolute_uri(request.path),
        "around": text_of(_around(found.at)),
    }
    return render(request, "audit/event.html", context)


def _around(at: datetime) -> Terms:
    return (
        term("after", f"{at - _NEAR:%Y-%m-%dT%H:%M:%SZ}"),
        term("before", f"{at + _NEAR:%Y-%m-%dT%H:%M:%SZ}"),
    )


def _download(request: SignedIn, found: Event, form: str) -> HttpResponseBase:
    rows = selectors.visible_events(request.access).filter(pk=found.pk)
    if form == "evidence":
        return bundles.download(
            found=rows,
            name=found.uid,
            filters={"uid": found.uid},
            actor=actor_of(request),
            at=now(),
        )
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
    """The query with the usual period, unless another time is asked for."""
    if any(query.get(name) for name in ("period", "first", "last")):
        return query
    filled = query.copy()
    filled["period"] = ALL_TIME if _has_time(query.get("q", "")) else DEFAULT_PERIOD
    return filled


def _has_time(text: str) -> bool:
    try:
        terms = parse(text)
    except QueryError:
        return False
    return any(one.qualifier in ("after", "before") for one in terms)
