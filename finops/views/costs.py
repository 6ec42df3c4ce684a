"""The cost report: by any dimension, with its chart, table and downloads."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from core.clock import now
from core.money import show
from core.period import Period
from core.tables import chips
from finops import contexts, mark_contexts
from finops.compare import NEITHER, relative
from finops.figures import legend
from finops.forms import ReportFilter
from finops.labels import FILTERS, LABELS, in_words
from finops.selectors.breakdown import Breakdown, breakdown
from finops.selectors.marks import marks
from finops.services.report_exports import export_report
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.web import Request, actor_of, requires


@require_GET
@requires(COSTS_READ)
def costs(request: Request) -> HttpResponseBase:
    """What was spent in a period, by one dimension."""
    zone = settings.REPORT_TIME_ZONE
    form = ReportFilter(request.GET, access=request.access, zone=zone)
    if not form.is_valid():
        return render(request, "costs/costs.html", {"form": form}, status=422)
    at = now()
    period = form.window(at=at)
    chosen = {name: request.GET.get(name, "") for name in form.fields}
    if export := request.GET.get("export"):
        return export_report(
            key="costs",
            asked=form,
            form=export,
            filters=chosen,
            actor=actor_of(request),
            at=at,
        )
    report = breakdown(form.scope, period, form.dimension, against=form.against(period))
    context = _context(request, form, period, report, chosen, at)
    response: HttpResponse = render(request, "costs/costs.html", context)
    return response


def _context(
    request: Request,
    form: ReportFilter,
    period: Period,
    report: Breakdown,
    chosen: dict[str, str],
    at: datetime,
) -> dict[str, Any]:
    sort = request.GET.get("sort", "")
    against = form.against(period)
    marked = marks(request.access, form.scope, period)
    figure = mark_contexts.marked(
        contexts.figure(form.scope, period, against, report, chosen), marked, period
    )
    return {
        "form": form,
        "period": period,
        "against": against,
        "ghost": contexts.ghost(chosen),
        "query": contexts.query(chosen),
        "saved": contexts.saved(form, "costs", chosen),
        "report": report,
        "dimension": LABELS[form.dimension],
        "by": in_words(form.dimension),
        "shared_runs": form.dimension in {"tool", "server", "sku", "day"},
        "rows": contexts.ordered(contexts.rows(report, period, chosen), sort),
        "total": show(report.total.cost, decimals=contexts.decimals(report)),
        "columns": contexts.columns(chosen, sort or "-cost"),
        "delta": relative(report.total.cost, report.total.before, better=NEITHER),
        "figure": figure,
        "marks": marked,
        "legend": legend(figure),
        "tabs": contexts.tabs(chosen, form.dimension),
        "periods": contexts.periods(chosen, form.preset),
        "chips": chips(request, FILTERS),
        "may_price": request.access.may(COSTS_ADMIN),
        "all_teams": form.teams is None,
        "at": at,
    }
