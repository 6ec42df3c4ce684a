"""A month's chargeback taken along: what there is, and the files."""

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from core.clock import now
from core.errors import Denied
from finops.chargeback.months import named
from finops.selectors.chargeback import statement_for
from finops.selectors.charges import summary_of
from finops.services.chargeback_exports import (
    OFFERED,
    download_month,
    download_statement,
)
from policy.access import COSTS_READ
from policy.web import Request, actor_of, refuse, requires


@require_safe
@requires(COSTS_READ)
def chargeback_export(request: Request, month: str) -> HttpResponse:
    """The forms in which a month can be taken along."""
    _check_everywhere(request)
    at = now()
    context = {
        "month": summary_of(named(month)),
        "offered": OFFERED,
        "at": at,
    }
    return render(request, "chargeback/export.html", context)


@require_GET
@requires(COSTS_READ)
def chargeback_file(request: Request, month: str, form: str) -> HttpResponseBase:
    """The month as a file."""
    _check_everywhere(request)
    return download_month(
        month=named(month), form=form, actor=actor_of(request), at=now()
    )


@require_GET
@requires(COSTS_READ)
def statement_file(request: Request, uid: str, form: str) -> HttpResponseBase:
    """One statement as a file, for who may see it."""
    return download_statement(
        statement=statement_for(request.access, uid),
        form=form,
        actor=actor_of(request),
        at=now(),
    )


def _check_everywhere(request: Request) -> None:
    """A month holds every team's costs. Raises Denied, which is on record."""
    if not request.access.everywhere(COSTS_READ):
        denied: Denied = refuse(request, needed="the costs of every team")
        raise denied
