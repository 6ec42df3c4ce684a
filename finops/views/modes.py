"""Scripts against direct calls, and model against model, over the same tools."""

from django.conf import settings
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from core.clock import now
from core.tables import chips
from finops import contexts, mode_contexts
from finops.forms import ModesFilter
from finops.labels import FILTERS
from finops.mode_words import comparison_rows
from finops.selectors.modes import modes_report
from finops.services.exports import export_table
from policy.access import COSTS_READ
from policy.web import Request, actor_of, requires


@require_GET
@requires(COSTS_READ)
def modes(request: Request) -> HttpResponseBase:
    """What each kind of run and model comes to, and what may be concluded."""
    zone = settings.REPORT_TIME_ZONE
    form = ModesFilter(request.GET, access=request.access, zone=zone)
    if not form.is_valid():
        return render(request, "reports/modes.html", {"form": form}, status=422)
    at = now()
    period = form.window(at=at)
    chosen = {name: request.GET.get(name, "") for name in form.fields}
    report = modes_report(form.scope, period)
    if export := request.GET.get("export"):
        return export_table(
            table=mode_contexts.table(report, period),
            report="reports/modes",
            by="tools",
            period=period,
            form=export,
            filters=chosen,
            actor=actor_of(request),
            at=at,
        )
    cells = mode_contexts.cell_rows(report, period, chosen)
    context = {
        "form": form,
        "period": period,
        "cells": cells,
        "figure": mode_contexts.figure(report, cells) if cells else None,
        "comparisons": comparison_rows(report.comparisons),
        "sets": mode_contexts.set_rows(report, period, chosen),
        "mixed": report.mixed,
        "currency": settings.CURRENCY,
        "periods": contexts.periods(chosen, form.preset),
        "chips": chips(request, FILTERS),
        "all_teams": form.teams is None,
        "at": at,
    }
    return render(request, "reports/modes.html", context)
