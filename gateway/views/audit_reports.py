"""Pages of the reports that auditors ask for."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Page
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from core.clock import now
from core.tables import KeysetPage, chips, keyset, paged
from finops.contexts import periods
from gateway.audit_report_forms import ReportForm
from gateway.selectors.audit_reports import REPORTS, report_named
from gateway.selectors.audit_reports.parts import ByKey, Found, Row
from gateway.selectors.audit_reports.words import cells, words
from gateway.services.access_review import review
from gateway.services.audit_reports import download
from policy.access import AUDIT_READ
from policy.web import Request, actor_of, requires


@require_safe
@requires(AUDIT_READ)
def audit_reports(request: Request) -> HttpResponseBase:
    """Every report, with what it answers."""
    return render(request, "audit_reports/reports.html", {"reports": REPORTS})


@require_safe
@requires(AUDIT_READ)
def audit_report(request: Request, slug: str) -> HttpResponseBase:
    """One report: figures, shares and rows; the same as CSV, JSON lines or PDF."""
    report = report_named(slug)
    form = ReportForm(request.GET, report=report)
    if not form.is_valid():
        context = {"report": report, "form": form, "problems": form.problems}
        return render(request, "audit_reports/report.html", context, status=422)
    asked = form.asked(rights=request.access, at=now())
    found = report.find(asked)
    if wanted := request.GET.get("export"):
        return download(
            report=report,
            asked=asked,
            found=found,
            form=wanted,
            labels=form.labels,
            actor=actor_of(request),
        )
    page, rows = _page(request, found)
    chosen = {name: request.GET.get(name, "") for name in form.fields}
    context = {
        "report": report,
        "form": form,
        "asked": asked,
        "found": found,
        "figures": [
            (one, words(one.value, one.kind, form.zone), _narrowed(request, one.query))
            for one in found.figures
        ],
        "shares": [
            (heading, [(one, _narrowed(request, one.query)) for one in shares])
            for heading, shares in found.shares.items()
            if shares
        ],
        "page": page,
        "rows": [(row, cells(report.columns, row, form.zone)) for row in rows],
        "periods": periods(chosen, form.preset) if report.dated else (),
        "chips": chips(request, form.labels),
        "zone": settings.REPORT_TIME_ZONE,
        "all_teams": asked.teams is None,
        "at": asked.at,
    }
    return render(request, "audit_reports/report.html", context)


@require_POST
@requires(AUDIT_READ)
def access_review(request: Request) -> HttpResponseBase:
    """Mark grants as reviewed, with one reason; each is on record."""
    number = review(
        ids=request.POST.getlist("row"),
        reason=request.POST.get("reason", ""),
        rights=request.access,
        actor=actor_of(request),
        at=now(),
    )
    messages.success(
        request, f"{number} grant{'' if number == 1 else 's'} marked as reviewed."
    )
    back = reverse("audit_report", args=["access"])
    query = request.GET.urlencode()
    return redirect(f"{back}?{query}" if query else back)


def _narrowed(request: Request, query: Mapping[str, str]) -> str:
    """The same report with further filters; "" without any."""
    if not query:
        return ""
    wanted = request.GET.copy()
    for name in ("page", "before", "after"):
        wanted.pop(name, None)
    for name, value in query.items():
        wanted[name] = value
    return f"?{wanted.urlencode()}"


def _page(
    request: Request, found: Found
) -> tuple[KeysetPage[Any] | Page[Any], list[Row]]:
    listing = found.listing
    if isinstance(listing, ByKey):
        keyed = keyset(listing.queryset, request)
        return keyed, listing.shown(keyed.rows)
    numbered = paged(listing, request)
    return numbered, list(numbered.object_list)
