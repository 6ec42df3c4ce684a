"""The headline reports: an index, and each with its chart, table and downloads."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from core.clock import now
from core.errors import NotFound
from core.period import Period
from core.tables import chips
from finops import contexts, headline_contexts, mark_contexts
from finops.figures import legend
from finops.forms import HeadlineFilter
from finops.headline_contexts import Compared
from finops.headline_kinds import KINDS
from finops.labels import FILTERS, LABELS, in_words, report_runs_url
from finops.selectors.headline import DIMENSIONS, headline_report
from finops.selectors.marks import marks
from finops.services.report_exports import export_report
from policy.access import COSTS_READ
from policy.web import Request, actor_of, requires


@require_GET
@requires(COSTS_READ)
def reports(request: Request) -> HttpResponse:
    """The headline figures side by side, each with a way to its report."""
    form = _form(request)
    if not form.is_valid():
        return render(request, "reports/index.html", {"form": form}, status=422)
    at = now()
    period = form.window(at=at)
    against = form.against(period)
    now_, before = (headline_report(form.scope, one) for one in (period, against))
    chosen = _chosen(request, form)
    found = [Compared(kind, "", now_, before) for kind in KINDS.values()]
    shown = [(one.kind, headline_contexts.whole(one)) for one in found]
    context = {
        "form": form,
        "period": period,
        "against": against,
        "shown": shown,
        "query": contexts.query(chosen),
        "precision": found[0].precision,
        "periods": contexts.periods(chosen, form.preset),
        "chips": chips(request, FILTERS),
        "all_teams": form.teams is None,
        "at": at,
    }
    return render(request, "reports/index.html", context)


@require_GET
@requires(COSTS_READ)
def report(request: Request, slug: str) -> HttpResponseBase:
    """One headline figure over time and by any dimension."""
    kind = KINDS.get(slug)
    if kind is None:
        raise NotFound("There is no such report.")
    form = _form(request)
    if not form.is_valid():
        context = {"form": form, "kind": kind}
        return render(request, "reports/report.html", context, status=422)
    at = now()
    period = form.window(at=at)
    against = form.against(period)
    if export := request.GET.get("export"):
        return export_report(
            key=slug,
            asked=form,
            form=export,
            filters=_chosen(request, form),
            actor=actor_of(request),
            at=at,
        )
    found = headline_contexts.compared(
        kind, form.dimension, form.scope, period, against
    )
    context = _context(request, form, found, period, against, at)
    return render(request, "reports/report.html", context)


def _context(
    request: Request,
    form: HeadlineFilter,
    found: Compared,
    period: Period,
    against: Period,
    at: datetime,
) -> dict[str, Any]:
    kind, by, chosen = found.kind, form.dimension, _chosen(request, form)
    marked = marks(request.access, form.scope, period)
    figure = mark_contexts.marked(
        headline_contexts.over_time(kind, form.scope, period, against, chosen),
        marked,
        period,
    )
    rows = headline_contexts.rows(found, period, chosen) if by else []
    groups = headline_contexts.by_group(found, rows, chosen) if rows else None
    whole = headline_contexts.whole(found)
    page = reverse("report", args=[kind.slug])
    return {
        "kind": kind,
        "form": form,
        "period": period,
        "against": against,
        "precision": found.precision,
        "whole": whole,
        "saved": contexts.saved(form, kind.slug, chosen),
        "cells": list(zip(whole.cells, kind.columns, strict=True)),
        "rows": rows,
        "more": max(0, len(found.now.groups) - len(rows)),
        "figure": figure,
        "legend": legend(figure),
        "groups": groups,
        "groups_legend": legend(groups) if groups else (),
        "marks": marked,
        "ghost": contexts.ghost(chosen),
        "dimension": LABELS.get(by, ""),
        "by": in_words(by) if by else "",
        "tabs": [
            contexts.Tab(
                "Whole", f"{page}?{contexts.query(chosen | {'by': ''})}", not by
            ),
            *contexts.tabs(chosen, by, DIMENSIONS),
        ],
        "runs_url": report_runs_url(chosen, period, failed=kind.failed),
        "periods": contexts.periods(chosen, form.preset),
        "chips": chips(request, FILTERS),
        "all_teams": form.teams is None,
        "at": at,
    }


def _form(request: Request) -> HeadlineFilter:
    zone = settings.REPORT_TIME_ZONE
    return HeadlineFilter(request.GET, access=request.access, zone=zone)


def _chosen(request: Request, form: HeadlineFilter) -> dict[str, str]:
    return {name: request.GET.get(name, "") for name in form.fields}
