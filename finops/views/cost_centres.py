"""Cost centres, allocation rules and what is adjusted by hand."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from audit.history import history_of
from audit.services.exports import export
from core.clock import now
from core.errors import Invalid
from core.forms import attempt, posted
from core.money import trimmed
from core.tables import filters_of, paged
from finops.chargeback_forms import AdjustForm, CentreForm, ReasonForm
from finops.models import Adjustment, CostCentre
from finops.selectors import chargeback as selectors
from finops.services import adjustments, cost_centres
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.models import Team
from policy.web import Request, actor_of, requires

_CENTRE_COLUMNS = ("code", "name", "owner", "charged", "teams")
_COLUMNS = (
    "uid",
    "month",
    "cost_centre",
    "kind",
    "amount",
    "currency",
    "charge_month",
    "reason",
    "by",
    "at",
    "withdrawn_at",
)


@require_http_methods(["GET", "HEAD"])
@requires(COSTS_READ)
def centre_list(request: Request) -> HttpResponseBase:
    """Cost centres with the teams that name them."""
    found = selectors.centre_rows(request.access)
    if form := request.GET.get("export"):
        return export(
            name="cost-centres",
            form=form,
            columns=_CENTRE_COLUMNS,
            rows=(
                [row.slug, row.name, row.owner, row.charged, ", ".join(row.teams)]
                for row in found
            ),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    context = {
        "page": paged(found, request),
        "may_set": request.access.may(COSTS_ADMIN),
        "at": now(),
    }
    return render(request, "chargeback/centres.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def centre_set(request: Request) -> HttpResponse:
    """A cost centre, new or (``?slug=``) changed."""
    slug = request.GET.get("slug", "")[:40]
    standing = CostCentre.objects.filter(slug=slug).first()
    initial: dict[str, Any] = {"slug": slug, "charged": True}
    if standing:
        initial |= {
            "name": standing.name,
            "owner": standing.owner,
            "charged": standing.charged,
        }
    form = CentreForm(posted(request), initial=initial)
    if request.method == "POST" and attempt(
        form,
        lambda: cost_centres.set_centre(
            **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, "The cost centre is set: drafts built from now on.")
        return redirect("cost_centres")
    context = {
        "form": form,
        "standing": standing,
        "teams": Team.objects.filter(cost_centre=slug).order_by("name") if slug else (),
        "at": now(),
        **history_of(request.access, "cost_centre", slug),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "chargeback/centre.html", context, status=status)


@require_safe
@requires(COSTS_READ)
def adjustment_list(request: Request) -> HttpResponseBase:
    """Credits and adjustments that this person may see, the newest first."""
    found = selectors.visible_adjustments(request.access).order_by("-pk")
    if form := request.GET.get("export"):
        return export(
            name="adjustments",
            form=form,
            columns=_COLUMNS,
            rows=map(_cells, found.iterator(chunk_size=500)),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    return _adjustments(request)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def adjustment_add(request: Request) -> HttpResponse:
    """Put a credit or an adjustment on an open month."""
    initial = {
        "month": selectors.first_open_name(),
        "centre": request.GET.get("centre", "")[:40],
    }
    form = AdjustForm(posted(request), initial=initial)
    if request.method == "POST" and attempt(form, lambda: _adjust(request, form)):
        messages.success(request, "It stands on the draft, which is built anew.")
        return redirect("adjustments")
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "currency": settings.CURRENCY}
    return render(request, "chargeback/adjust.html", context, status=status)


def _adjust(request: Request, form: AdjustForm) -> None:
    values = dict(form.cleaned_data)
    if values["month"] is None:
        raise Invalid("Say on which month's statement it stands.")
    centre = values.pop("centre")
    adjustments.adjust(**values, centre=centre.slug, actor=actor_of(request), at=now())


@require_POST
@requires(COSTS_ADMIN)
def adjustment_withdraw(request: Request, uid: str) -> HttpResponse:
    """Take an amount back while its month is open."""
    form = ReasonForm(request.POST)
    if attempt(
        form,
        lambda: adjustments.withdraw(
            uid=uid,
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
            at=now(),
        ),
    ):
        messages.success(request, "It is withdrawn, and the draft built anew.")
        return redirect("adjustments")
    return _adjustments(request, status=422, form=form)


def _adjustments(
    request: Request, *, status: int = 200, form: ReasonForm | None = None
) -> HttpResponse:
    found = selectors.visible_adjustments(request.access).order_by("-pk")
    context = {
        "page": paged(found, request),
        "may_adjust": request.access.may(COSTS_ADMIN),
        "form": form,
        "at": now(),
    }
    return render(request, "chargeback/adjustments.html", context, status=status)


def _cells(one: Adjustment) -> list[object]:
    return [
        one.uid,
        str(one.period),
        one.cost_centre.slug,
        one.kind,
        trimmed(one.amount),
        one.period.currency,
        f"{one.charge_month:%Y-%m}",
        one.reason,
        one.created_label,
        one.created_at,
        one.withdrawn_at,
    ]
