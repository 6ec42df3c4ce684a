"""Brings prices into the book, the difference first; and hands the book out."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from core.clock import now
from core.forms import attempt
from finops.price_forms import PriceImport
from finops.services.exports import export_prices
from finops.services.prices import bring_in, preview
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.web import Request, actor_of, requires

_MOST_SHOWN = 200


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def price_import(request: Request) -> HttpResponse:
    """What a file or a provider would change; with the plan's digest, change it."""
    if request.method != "POST":
        form = PriceImport()
        del form.fields["reason"]
        return _page(request, form)
    form = PriceImport(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, form, status=422)
    values = form.cleaned_data
    if not values["digest"]:
        return _page(request, form.again(), lines=values["lines"])
    if not attempt(
        form,
        lambda: bring_in(
            lines=values["lines"],
            source=form.source,
            reason=values["reason"],
            actor=actor_of(request),
            at=now(),
            looked_at=values["digest"],
        ),
    ):
        error = form.non_field_errors()
        again = form.again()
        return _page(request, again, lines=values["lines"], error=error, status=422)
    messages.success(request, "The prices are in the book. What is booked stays.")
    return redirect("prices")


@require_GET
@requires(COSTS_READ)
def price_export(request: Request) -> StreamingHttpResponse:
    """What stands in the book now, as the import reads it."""
    return export_prices(actor=actor_of(request), at=now())


def _page(
    request: Request, form: PriceImport, *, status: int = 200, **more: Any
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "currency": settings.CURRENCY,
        "zone": settings.REPORT_TIME_ZONE,
        **more,
    }
    if "lines" in more:
        plan = preview(more["lines"])
        shown = plan.changes[:_MOST_SHOWN]
        context |= {
            "plan": plan,
            "shown": shown,
            "more": len(plan.changes[_MOST_SHOWN:]),
        }
    return render(request, "costs/price_import.html", context, status=status)
