"""Saved reports, and what is sent of them."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.http.request import HttpRequest
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from core.clock import now
from core.forms import attempt, posted
from core.tables import paged
from finops.models import ReportMail
from finops.saved_pages import PAGES, address_of
from finops.schedule_forms import ScheduleForm
from finops.selectors.saved import visible_reports, visible_schedules
from finops.services import report_schedules as service
from finops.services import saved_reports
from policy.access import COSTS_READ
from policy.web import Request, actor_of, requires

_MOST_SHOWN = 200


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_READ)
def schedules(request: Request) -> HttpResponse:
    """Saved reports and schedules, and a form for another schedule."""
    reports = list(visible_reports(request.access)[:_MOST_SHOWN])
    form = ScheduleForm(
        posted(request),
        reports=reports,
        address=request.user.email,
        chosen=request.GET.get("view", ""),
    )
    if request.method == "POST" and attempt(
        form,
        lambda: service.schedule(
            view=form.cleaned_data["view"],
            wish=form.wish,
            access=request.access,
            actor=actor_of(request),
            at=now(),
        ),
    ):
        messages.success(request, "The report is sent from its next time on.")
        return redirect("report_schedules")
    own = f"user:{request.access.username}"
    page = paged(visible_schedules(request.access), request)
    dead = ReportMail.objects.filter(
        schedule__in=[one.pk for one in page], state=ReportMail.State.DEAD
    )
    failed = set(dead.values_list("schedule", flat=True))
    context: dict[str, Any] = {
        "form": form,
        "reports": [
            (one, PAGES[one.page].title, address_of(one.page, one.query))
            for one in reports
            if one.page in PAGES
        ],
        "page": page,
        "schedules": [
            (one, service.rhythm_of(one).words, one.pk in failed) for one in page
        ],
        "own": own,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "reports/schedules.html", context, status=status)


@require_POST
@requires(COSTS_READ)
def schedule_remove(request: Request, uid: str) -> HttpResponse:
    """Have it sent no more."""
    service.unschedule(
        uid=uid, access=request.access, actor=actor_of(request), at=now()
    )
    messages.success(request, "The report is sent no more.")
    return redirect("report_schedules")


@require_POST
@requires(COSTS_READ)
def schedule_pause(request: Request, uid: str) -> HttpResponse:
    """Have one rest until it is resumed."""
    service.pause(uid=uid, access=request.access, actor=actor_of(request), at=now())
    messages.success(request, "The report is paused.")
    return redirect("report_schedules")


@require_POST
@requires(COSTS_READ)
def schedule_resume(request: Request, uid: str) -> HttpResponse:
    """Have a paused one sent again."""
    service.resume(uid=uid, access=request.access, actor=actor_of(request), at=now())
    messages.success(request, "The report is sent from its next time on.")
    return redirect("report_schedules")


@require_POST
@requires(COSTS_READ)
def report_save(request: Request) -> HttpResponse:
    """Keep a report under a name."""
    view = saved_reports.save(
        name=request.POST.get("name", ""),
        page=request.POST.get("page", ""),
        query=request.POST.get("query", ""),
        team=request.POST.get("team", ""),
        teams=request.access.teams_for(COSTS_READ),
        actor=actor_of(request),
        at=now(),
    )
    messages.success(request, f"The report “{view.name}” was saved.")
    return redirect(address_of(view.page, view.query))


@require_POST
@requires(COSTS_READ)
def report_remove(request: Request, uid: str) -> HttpResponse:
    """Forget a saved report."""
    saved_reports.remove(uid=uid, actor=actor_of(request), at=now())
    messages.success(request, "The saved report was removed.")
    return redirect("report_schedules")


# A mail program posts without a cookie (RFC 8058); the link itself is the proof.
@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def report_unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Whoever holds a mail's link takes its address off, without signing in."""
    _, address = service.subscription(token)
    if request.method == "POST":
        service.unsubscribe(token=token, at=now())
    context = {"address": address, "done": request.method == "POST"}
    return render(request, "reports/unsubscribe.html", context)
