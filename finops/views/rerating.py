"""Usage without a price, and booked usage priced anew with the difference first."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from core.clock import now
from core.forms import attempt, posted
from core.money import total
from finops.models import Rerating
from finops.rerate_forms import ApplyForm, RerateForm
from finops.selectors.prices import unrated_skus
from finops.services import rerating_plans
from finops.services.exports import export_rerating
from finops.services.prices import current_book
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
    """Which usage to price anew: the difference comes first."""
    today = now().date()
    form = RerateForm(
        posted(request),
        initial={
            "first": request.GET.get("first") or today.replace(day=1),
            "last": today,
            "sku": request.GET.get("sku", "")[:200],
        },
    )
    found: list[Rerating] = []
    if request.method == "POST" and attempt(
        form,
        lambda: found.append(
            rerating_plans.look(
                wanted=form.wanted(),
                teams=request.access.teams_for(COSTS_ADMIN),
                actor=actor_of(request),
                at=now(),
            )
        ),
    ):
        return redirect("rerating", uid=found[0].uid)
    context = {"form": form, "zone": settings.REPORT_TIME_ZONE}
    status = 422 if request.method == "POST" else 200
    return render(request, "costs/rerate.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def rerating(request: Request, uid: str) -> HttpResponse:
    """What it would change, how far it is; posted with the digest, do it."""
    form = ApplyForm(posted(request))
    if request.method == "POST" and attempt(
        form,
        lambda: rerating_plans.apply(
            uid=uid,
            digest=form.cleaned_data["digest"],
            reason=form.cleaned_data["reason"],
            rights=request.access,
            actor=actor_of(request),
            at=now(),
        ),
    ):
        return redirect("rerating", uid=uid)
    asked = rerating_plans.rerating_for(request.access, uid)
    if request.method != "POST":
        form = ApplyForm(initial={"digest": asked.digest})
    found = rerating_plans.moved_by(asked)
    context: dict[str, Any] = {
        "asked": asked,
        "form": form,
        "found": found,
        "change": total(one.change for one in found),
        "rows": sum(one.rows for one in found),
        "closed": rerating_plans.closed_within(asked),
        "currency": settings.CURRENCY,
        "zone": settings.REPORT_TIME_ZONE,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "costs/rerating.html", context, status=status)


@require_GET
@requires(COSTS_ADMIN)
def rerating_export(request: Request, uid: str) -> StreamingHttpResponse:
    """What it changes, by SKU, as CSV."""
    asked = rerating_plans.rerating_for(request.access, uid)
    return export_rerating(
        uid=asked.uid,
        found=rerating_plans.moved_by(asked),
        actor=actor_of(request),
        at=now(),
    )
