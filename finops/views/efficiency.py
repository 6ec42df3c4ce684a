"""The efficiency report: what failed and abandoned work cost, by any dimension."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from core.clock import now
from core.period import Period
from core.tables import chips
from finops import contexts, efficiency_contexts, mark_contexts
from finops.figures import legend
from finops.forms import HeadlineFilter
from finops.labels import FILTERS, LABELS, in_words, runs_url
from finops.selectors.efficiency import efficiency
from finops.selectors.headline import DIMENSIONS
from finops.selectors.marks import marks
from finops.services.report_exports import export_report
from policy.access import COSTS_READ
from policy.web import Request, actor_of, requires


@require_GET
@requires(COSTS_READ)
def efficiency_page(request: Request) -> HttpResponseBase:
    """What came to nothing in a period, and what it cost."""
    zone = settings.REPORT_TIME_ZONE
    form = HeadlineFilter(request.GET, access=request.access, zone=zone)
    if not form.is_valid():
        return render(request, "reports/efficiency.html", {"form": form}, status=422)
    at = now()
    period = form.window(at=at)
    against = form.against(period)
    if export := request.GET.get("export"):
        return export_report(
            key=efficiency_contexts.SLUG,
            asked=form,
            form=export,
            filters=request.GET.dict(),
            actor=actor_of(request),
            at=at,
        )
    context = _context(request, form, period, against, at)
    return render(request, "reports/efficiency.html", context)


def _context(
    request: Request,
    form: HeadlineFilter,
    period: Period,
    against: Period,
    at: datetime,
) -> dict[str, Any]:
    by, scope = form.dimension, form.scope
    chosen = {name: request.GET.get(name, "") for name in form.fields}
    found, before = (efficiency(scope, one, by) for one in (period, against))
    marked = marks(request.access, scope, period)
    figure = mark_contexts.marked(
        efficiency_contexts.by_time(scope, period, against, chosen), marked, period
    )
    rows = efficiency_contexts.rows(by, found, before, period, chosen) if by else []
    groups = efficiency_contexts.by_group(found, before, rows, chosen) if rows else None
    page, kept = reverse("efficiency"), {**chosen, "by": ""}
    return {
        "form": form,
        "period": period,
        "against": against,
        "currency": settings.CURRENCY,
        "total": found.total,
        "whole": efficiency_contexts.whole(found, before),
        "reasons": efficiency_contexts.reasons(found.total, period, chosen),
        "runs_url": runs_url(kept, period, waste="any"),
        "saved": contexts.saved(form, efficiency_contexts.SLUG, chosen),
        "columns": efficiency_contexts.COLUMNS,
        "rows": rows,
        "more": max(0, len(found.groups) - len(rows)),
        "figure": figure,
        "legend": legend(figure),
        "groups": groups,
        "groups_legend": legend(groups) if groups else (),
        "marks": marked,
        "ghost": contexts.ghost(chosen),
        "dimension": LABELS.get(by, ""),
        "by": in_words(by) if by else "",
        "tabs": [
            contexts.Tab("Whole", f"{page}?{contexts.query(kept)}", not by),
            *contexts.tabs(chosen, by, DIMENSIONS),
        ],
        "periods": contexts.periods(chosen, form.preset),
        "chips": chips(request, FILTERS),
        "all_teams": form.teams is None,
        "at": at,
    }
