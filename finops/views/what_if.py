"""A period's usage at another price book. Writes nothing."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from core.clock import now
from core.forms import attempt, posted
from core.money import total
from finops.price_forms import WhatIf
from finops.selectors.scope import Scope
from finops.selectors.what_if import grouped_usage
from finops.services.prices import book_with
from finops.what_if import Supposed, at_book
from policy.access import COSTS_READ
from policy.web import Request, requires


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_READ)
def what_if(request: Request) -> HttpResponse:
    """What the usage that a person may see would have cost at other prices."""
    today = now().date()
    form = WhatIf(
        posted(request),
        request.FILES if request.method == "POST" else None,
        initial={"first": today.replace(day=1), "last": today},
    )
    scope = Scope(teams=request.access.teams_for(COSTS_READ))
    found: list[Supposed] = []
    done = request.method == "POST" and attempt(
        form,
        lambda: found.extend(
            at_book(
                grouped_usage(scope, form.period()),
                book_with(form.cleaned_data["lines"]),
            )
        ),
    )
    context: dict[str, Any] = {
        "form": form,
        "done": done,
        "found": found,
        "booked": total(one.booked for one in found),
        "cost": total(one.cost for one in found),
        "change": total(one.change for one in found),
        "currency": settings.CURRENCY,
        "zone": settings.REPORT_TIME_ZONE,
    }
    status = 422 if request.method == "POST" and not done else 200
    return render(request, "costs/what_if.html", context, status=status)
