"""Exchange rates: by month, what was known before, and changes."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from core.clock import now
from core.forms import attempt
from core.tables import paged
from finops.exchange import month_of
from finops.forms import RateForm
from finops.selectors.rates import known_rates, rate_history, wanting
from finops.services.exports import export_rates
from finops.services.fx import set_rate
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.web import Request, actor_of, requires

_MOST_HISTORY = 100


@require_GET
@requires(COSTS_READ)
def rates(request: Request) -> HttpResponse:
    """The rates by month, and all that was known of one ``?currency=``."""
    currency = request.GET.get("currency", "")[:3]
    month = month_of(now(), settings.REPORT_TIME_ZONE)
    form = RateForm(initial={"month": month, "currency": currency})
    return _page(request, form, currency)


@require_POST
@requires(COSTS_ADMIN)
def rate_set(request: Request) -> HttpResponse:
    """Set a month's rate."""
    form = RateForm(request.POST)
    if not attempt(form, lambda: _set(request, form)):
        return _page(request, form, request.POST.get("currency", "")[:3], status=422)
    currency = form.cleaned_data["currency"].upper()
    return redirect(f"{reverse('rates')}?{urlencode({'currency': currency})}")


@require_GET
@requires(COSTS_READ)
def rate_export(request: Request) -> StreamingHttpResponse:
    """Every rate that was ever known, as CSV."""
    return export_rates(actor=actor_of(request), at=now())


def _set(request: Request, form: RateForm) -> None:
    values = form.cleaned_data
    rate = set_rate(
        month=values["month"],
        currency=values["currency"].upper(),
        rate=values["rate"],
        source=values["source"] or "edited",
        reason=values["reason"],
        actor=actor_of(request),
        at=now(),
    )
    messages.success(
        request,
        f"1 {rate.currency} = {rate.rate_text} {rate.base} in {rate.month:%Y-%m}. What "
        "is booked keeps its cost: price it anew where it was booked at another rate.",
    )


def _page(
    request: Request, form: RateForm, currency: str, *, status: int = 200
) -> HttpResponse:
    at = now()
    page = paged(known_rates(), request)
    context: dict[str, Any] = {
        "form": form,
        "chosen": currency,
        "page": page,
        "wanting": wanting(at=at),
        "history": list(rate_history(currency=currency)[:_MOST_HISTORY])
        if currency
        else [],
        "may_price": request.access.may(COSTS_ADMIN),
        "currency": settings.CURRENCY,
        "zone": settings.REPORT_TIME_ZONE,
        "at": at,
    }
    return render(request, "costs/rates.html", context, status=status)
