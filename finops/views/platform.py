"""Fixed costs of the platform: what a month comes to, changes, and their end."""

from datetime import date
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from core.clock import now
from core.errors import Invalid
from core.forms import attempt
from core.money import total
from core.tables import paged
from finops.chargeback.months import month_at, month_before, named, next_month
from finops.platform_forms import PlatformCostForm, PlatformEndForm
from finops.selectors.platform_costs import known_costs, of_month
from finops.selectors.prices import state
from finops.services import platform_costs as services
from finops.services.exports import export_platform_costs
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.web import Request, actor_of, requires


@require_GET
@requires(COSTS_READ)
def platform_costs(request: Request) -> HttpResponse:
    """What ``?month=`` comes to, and every cost that stands in the book."""
    month = _month(request)
    form = PlatformCostForm(initial={"first": month, "currency": settings.CURRENCY})
    return _page(request, form, month)


@require_POST
@requires(COSTS_ADMIN)
def platform_cost_set(request: Request) -> HttpResponse:
    """Set a cost from a month on."""
    form = PlatformCostForm(request.POST)
    if not attempt(form, lambda: _set(request, form)):
        return _page(request, form, _month(request), status=422)
    messages.success(request, f"{form.cleaned_data['name']} is in the book.")
    return redirect("platform_costs")


@require_POST
@requires(COSTS_ADMIN)
def platform_cost_end(request: Request, pk: int) -> HttpResponse:
    """Let a cost count for the last time in a month."""
    form = PlatformEndForm(request.POST)
    if attempt(
        form,
        lambda: services.end_cost(
            cost_id=pk,
            last=form.cleaned_data["last"],
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
            at=now(),
        ),
    ):
        messages.success(request, "The cost ends with that month.")
        return redirect("platform_costs")
    for errors in form.errors.values():
        messages.error(request, str(errors[0]))
    return redirect("platform_costs")


@require_GET
@requires(COSTS_READ)
def platform_cost_export(request: Request) -> StreamingHttpResponse:
    """What a month's fixed costs come to, as CSV."""
    return export_platform_costs(
        month=_month(request), actor=actor_of(request), at=now()
    )


def _set(request: Request, form: PlatformCostForm) -> None:
    values = form.cleaned_data
    services.set_cost(
        kind=values["kind"],
        name=values["name"],
        amount=values["amount"],
        currency=values["currency"].upper(),
        first=values["first"],
        reason=values["reason"],
        actor=actor_of(request),
        at=now(),
    )


def _month(request: Request) -> date:
    try:
        return named(request.GET.get("month", ""))
    except Invalid:
        return month_at(now(), settings.REPORT_TIME_ZONE)


def _page(
    request: Request, form: PlatformCostForm, month: date, *, status: int = 200
) -> HttpResponse:
    at = now()
    found = of_month(month)
    page = paged(known_costs(), request)
    context: dict[str, Any] = {
        "form": form,
        "month": month,
        "before": month_before(month),
        "after": next_month(month),
        "found": found,
        "total": total(one.amount for one in found if one.amount is not None),
        "page": page,
        "known": [(cost, state(cost, at=at)) for cost in page],
        "end_form": PlatformEndForm(initial={"last": month}, auto_id=False),
        "may_price": request.access.may(COSTS_ADMIN),
        "currency": settings.CURRENCY,
        "zone": settings.REPORT_TIME_ZONE,
        "at": at,
    }
    return render(request, "costs/platform.html", context, status=status)
