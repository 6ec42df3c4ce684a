"""Top movers: why costs changed, as volume, rate and mix of each group."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from core.clock import now
from core.tables import chips
from finops import contexts, mover_contexts
from finops.figures import legend
from finops.forms import MoverFilter
from finops.labels import FILTERS, LABELS, in_words
from finops.selectors.marks import marks
from finops.selectors.movers import cost_movers
from finops.services.report_exports import export_report
from policy.access import COSTS_READ
from policy.web import Request, actor_of, requires


@require_GET
@requires(COSTS_READ)
def cost_movers_page(request: Request) -> HttpResponseBase:
    """What rose and fell between two windows, and why."""
    zone = settings.REPORT_TIME_ZONE
    form = MoverFilter(request.GET, access=request.access, zone=zone)
    if not form.is_valid():
        return render(request, "costs/movers.html", {"form": form}, status=422)
    at = now()
    period = form.window(at=at)
    against = form.against(period)
    chosen = {name: request.GET.get(name, "") for name in form.fields}
    if export := request.GET.get("export"):
        return export_report(
            key="movers",
            asked=form,
            form=export,
            filters=chosen,
            actor=actor_of(request),
            at=at,
        )
    found = cost_movers(form.scope, period, against, form.dimension)
    page = mover_contexts.page(found, form.dimension, period, against, chosen)
    context: dict[str, Any] = {
        "form": form,
        "period": period,
        "against": against,
        "page": page,
        "legend": legend(page.figure),
        "marks": marks(request.access, form.scope, period),
        "saved": contexts.saved(form, "movers", chosen),
        "currency": settings.CURRENCY,
        "dimension": LABELS[form.dimension],
        "by": in_words(form.dimension),
        "tabs": contexts.tabs(chosen, form.dimension, LABELS.keys() - {"day"}),
        "periods": contexts.periods(chosen, form.preset),
        "chips": chips(request, FILTERS),
        "explorer": contexts.query(chosen),
        "all_teams": form.teams is None,
        "at": at,
    }
    response: HttpResponse = render(request, "costs/movers.html", context)
    return response
