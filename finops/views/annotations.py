"""Deployments and notes on the time line of the reports."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from core.clock import now
from core.forms import attempt, posted
from core.tables import paged
from finops.annotation_forms import AnnotationForm
from finops.selectors.marks import visible_annotations
from finops.services import annotations as service
from policy.access import COSTS_READ, REPORTS_ANNOTATE
from policy.web import Request, actor_of, refuse, requires


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_READ)
def annotations(request: Request) -> HttpResponse:
    """What was noted, and a form for more."""
    may = request.access.may(REPORTS_ANNOTATE)
    if request.method == "POST" and not may:
        raise refuse(request, needed=REPORTS_ANNOTATE)
    form = AnnotationForm(posted(request), access=request.access)
    if request.method == "POST" and attempt(
        form,
        lambda: service.annotate(
            note=form.note,
            teams=request.access.teams_for(REPORTS_ANNOTATE),
            actor=actor_of(request),
            at=now(),
        ),
    ):
        messages.success(request, "It is noted, and shown on the charts.")
        return redirect("annotations")
    status = 422 if request.method == "POST" else 200
    context: dict[str, Any] = {
        "form": form,
        "page": paged(visible_annotations(request.access), request),
        "may_note": may,
        "own": f"user:{request.user.get_username()}",
        "teams": request.access.teams_for(REPORTS_ANNOTATE),
    }
    return render(request, "reports/annotations.html", context, status=status)


@require_POST
@requires(REPORTS_ANNOTATE)
def annotation_remove(request: Request, uid: str) -> HttpResponse:
    """Take one away."""
    service.remove(
        uid=uid,
        teams=request.access.teams_for(REPORTS_ANNOTATE),
        actor=actor_of(request),
        at=now(),
    )
    messages.success(request, "The annotation was taken away.")
    return redirect("annotations")
