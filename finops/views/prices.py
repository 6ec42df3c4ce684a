"""The price book: what stands in it, what was known before, and changes."""

from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from core.clock import now
from core.errors import Invalid
from core.tables import paged
from finops.forms import PriceForm
from finops.selectors.prices import history, known_prices, state
from finops.services.prices import set_price
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.web import Request, actor_of, requires


@require_GET
@requires(COSTS_READ)
def prices(request: Request) -> HttpResponse:
    """The book, and the history of one SKU where ``?sku=`` names it."""
    sku = request.GET.get("sku", "")[:200]
    current = known_prices().filter(sku=sku, valid_to=None).first() if sku else None
    form = PriceForm(
        initial={
            "sku": sku,
            "unit": current.unit if current else request.GET.get("unit", "")[:60],
            "currency": current.currency if current else settings.CURRENCY,
            "valid_from": now().astimezone(ZoneInfo(settings.REPORT_TIME_ZONE)).date(),
        }
    )
    return render(request, "costs/prices.html", _context(request, form, sku))


@require_POST
@requires(COSTS_ADMIN)
def price_set(request: Request) -> HttpResponse:
    """Set a price from a day on."""
    form = PriceForm(request.POST)
    if form.is_valid():
        values = form.cleaned_data
        try:
            price = set_price(
                sku=values["sku"],
                unit=values["unit"],
                amount=values["amount"],
                currency=values["currency"].upper(),
                valid_from=form.starts_at(),
                reason=values["reason"],
                actor=actor_of(request),
                at=now(),
            )
        except Invalid as error:
            form.add_error(None, error.message)
        else:
            messages.success(
                request,
                f"{price.sku} costs {price.amount.normalize():f} {price.currency} a "
                f"{price.unit} from {values['valid_from']:%Y-%m-%d}. Usage that is "
                "booked keeps its cost.",
            )
            return redirect(f"{reverse('prices')}?{urlencode({'sku': price.sku})}")
    sku = request.POST.get("sku", "")[:200]
    context = _context(request, form, sku)
    return render(request, "costs/prices.html", context, status=422)


def _context(request: Request, form: PriceForm, sku: str) -> dict[str, Any]:
    at = now()
    page = paged(known_prices(), request)
    past = list(history(sku)[:100]) if sku else []
    return {
        "form": form,
        "sku": sku,
        "page": page,
        "prices": [(price, state(price, at=at)) for price in page],
        "has_defaults": any(price.source == "default" for price in page),
        "history": [(price, state(price, at=at)) for price in past],
        "may_price": request.access.may(COSTS_ADMIN),
        "currency": settings.CURRENCY,
        "zone": settings.REPORT_TIME_ZONE,
        "at": at,
    }
