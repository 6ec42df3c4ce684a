"""The months that are charged, and the way of each through review to its close."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from audit.history import history_of
from audit.services.exports import export
from core.clock import now
from core.errors import Invalid, TollgateError
from core.money import trimmed
from core.tables import filters_of, paged
from finops.chargeback_forms import CloseForm
from finops.models import BillingPeriod
from finops.selectors import chargeback as selectors
from finops.selectors.chargeback import Check, MonthRow
from finops.selectors.statements import statements_of
from finops.services import billing, closing
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.web import Request, actor_of, requires

_COLUMNS = (
    "month",
    "state",
    "total",
    "currency",
    "statements",
    "accepted",
    "open_disputes",
)
_STATEMENT_COLUMNS = (
    "month",
    "cost_centre",
    "name",
    "charged",
    "state",
    "number",
    "cost",
    "total",
    "currency",
    "digest",
)


@require_safe
@requires(COSTS_READ)
def chargeback(request: Request) -> HttpResponseBase:
    """Every month with its state, what it comes to, and what is to do."""
    at = now()
    found = selectors.month_rows(request.access, at=at)
    if form := request.GET.get("export"):
        return export(
            name="chargeback",
            form=form,
            columns=_COLUMNS,
            rows=map(_cells, found),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    context = {
        "page": paged(found, request),
        "currency": settings.CURRENCY,
        "zone": settings.REPORT_TIME_ZONE,
        "everywhere": request.access.everywhere(COSTS_READ),
        "may_close": request.access.may(COSTS_ADMIN),
        "at": at,
    }
    return render(request, "chargeback/months.html", context)


def _cells(row: MonthRow) -> list[object]:
    period = row.period
    return [
        str(period),
        period.state,
        "" if row.billed is None else trimmed(row.billed),
        period.currency,
        row.statements,
        row.accepted,
        row.disputes,
    ]


@require_safe
@requires(COSTS_READ)
def billing_month(request: Request, month: str) -> HttpResponseBase:
    """The statements of a month, and what is checked before it is closed."""
    period = selectors.period_named(month)
    if form := request.GET.get("export"):
        return _export(request, period, form)
    return _page(request, period)


@require_POST
@requires(COSTS_ADMIN)
def billing_act(request: Request, month: str) -> HttpResponse:
    """Build, put up for review, take back, close or issue a month."""
    period = selectors.period_named(month)
    form = CloseForm(request.POST)
    reason = str(form.cleaned_data["reason"]) if form.is_valid() else ""
    try:
        messages.success(request, _act(request, period, reason))
    except TollgateError as error:
        if error.status >= 500:
            raise
        form.add_error(None, error.message)
        return _page(request, period, status=422, form=form)
    return redirect("billing_month", month)


@require_POST
@requires(COSTS_ADMIN)
def billing_open(request: Request) -> HttpResponse:
    """Build the drafts of every month that is open."""
    count = billing.build_drafts(at=now())
    messages.success(request, f"Drafts of {count} months are built.")
    return redirect("chargeback")


def _act(request: Request, period: BillingPeriod, reason: str) -> str:
    """Do what was asked for; what to say about it."""
    who: dict[str, Any] = {
        "month": period.month,
        "actor": actor_of(request),
        "at": now(),
    }
    acts: dict[str, tuple[Callable[[], object], str]] = {
        "build": (lambda: billing.build(**who), f"{period} is built anew."),
        "review": (
            lambda: closing.start_review(**who),
            f"{period} is in review: those who pay may accept or dispute.",
        ),
        "reopen": (
            lambda: closing.end_review(reason=reason, **who),
            f"{period} is a draft again.",
        ),
        "close": (
            lambda: closing.close(reason=reason, **who),
            f"{period} is closed. What comes later is a correction.",
        ),
        "issue": (
            lambda: closing.issue(**who),
            f"The statements of {period} are issued.",
        ),
    }
    chosen = acts.get(request.POST.get("act", ""))
    if chosen is None:
        raise Invalid(f"Choose what to do: {', '.join(acts)}.")
    chosen[0]()
    return chosen[1]


def _export(request: Request, period: BillingPeriod, form: str) -> HttpResponseBase:
    seen = selectors.visible_statements(request.access).filter(period=period)
    return export(
        name=f"statements-{period}",
        form=form,
        columns=_STATEMENT_COLUMNS,
        rows=(
            [
                str(period),
                one.cost_centre.slug,
                one.cost_centre_name,
                one.charged,
                one.state,
                one.number,
                trimmed(one.cost),
                trimmed(one.billed),
                period.currency,
                one.digest,
            ]
            for one in seen.order_by("cost_centre__slug")
        ),
        filters=filters_of(request),
        actor=actor_of(request),
        at=now(),
    )


def _page(
    request: Request,
    period: BillingPeriod,
    *,
    status: int = 200,
    form: CloseForm | None = None,
) -> HttpResponse:
    everywhere = request.access.everywhere(COSTS_READ)
    found = statements_of(period)
    if not everywhere:
        seen = selectors.visible_statements(request.access)
        found = found.filter(pk__in=seen.values("pk"))
    checked: list[Check] = selectors.checks(period) if everywhere else []
    context = {
        "period": period,
        "page": paged(selectors.with_open_disputes(found), request),
        "checks": checked,
        "to_look_at": [one for one in checked if not one.good],
        "everywhere": everywhere,
        "may_close": request.access.may(COSTS_ADMIN),
        "form": form or CloseForm(),
        "at": now(),
        **history_of(request.access, "billing_period", str(period)),
    }
    return render(request, "chargeback/month.html", context, status=status)
