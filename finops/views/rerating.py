"""Usage without a price, and booked usage priced anew with the difference first."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from core.clock import now
from core.forms import attempt, posted
from core.money import total
from finops.rerate_forms import RerateForm
from finops.selectors.prices import unrated_skus
from finops.services.prices import current_book
from finops.services.rerating import preview, rerate
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.web import Request, actor_of, requires

_DAYS = 365


@require_GET
@requires(COSTS_READ)
def unrated_usage(request: Request) -> HttpResponse:
    """Which SKUs had no price in the last year, how much of them, since when."""
    at = now()
    teams = request.access.teams_for(COSTS_READ)
    found = unrated_skus(teams, since=at - timedelta(days=_DAYS), book=current_book())
    context = {
        "found": found,
        "may_price": request.access.may(COSTS_ADMIN),
        "days": _DAYS,
        "at": at,
    }
    return render(request, "costs/unrated.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def rerate_usage(request: Request) -> HttpResponse:
    """What pricing anew would change; with ``apply``, do it."""
    today = now().date()
    form = RerateForm(
        posted(request),
        initial={
            "first": request.GET.get("first") or today.replace(day=1),
            "last": today,
            "sku": request.GET.get("sku", "")[:200],
        },
    )
    if request.method != "POST":
        return _page(request, form)
    apply = "apply" in request.POST
    if apply and attempt(
        form,
        lambda: rerate(
            wanted=form.wanted(),
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
            at=now(),
        ),
    ):
        messages.success(request, "Usage is priced anew: old rows are taken back.")
        return redirect("costs")
    found: list[Any] = []
    if attempt(form, lambda: found.extend(preview(form.wanted()))) and not apply:
        return _page(request, form, looked=True, found=found)
    return _page(request, form, status=422)


def _page(
    request: Request, form: RerateForm, *, status: int = 200, **more: Any
) -> HttpResponse:
    found = more.get("found", ())
    context = {
        "form": form,
        "currency": settings.CURRENCY,
        "zone": settings.REPORT_TIME_ZONE,
        "change": total(one.change for one in found),
        "rows": sum(one.rows for one in found),
        **more,
    }
    return render(request, "costs/rerate.html", context, status=status)
