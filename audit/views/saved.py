"""Saved views of the explorer."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from audit.services import saved
from audit.web import AUDIT_READ, SignedIn, actor_of, requires
from core.clock import now


def may_share(request: SignedIn) -> bool:
    """Whether this person sees every team's events, as all who get the view must."""
    return request.access.teams_for(AUDIT_READ) is None


@require_POST
@requires(AUDIT_READ)
def view_save(request: SignedIn) -> HttpResponse:
    """Keep the filters in force under a name."""
    view = saved.save(
        name=request.POST.get("name", ""),
        query=request.POST.get("query", ""),
        shared=may_share(request) and request.POST.get("shared") == "on",
        actor=actor_of(request),
        at=now(),
    )
    messages.success(request, f"The view “{view.name}” was saved.")
    return redirect(f"{reverse('audit')}?{view.query}")


@require_POST
@requires(AUDIT_READ)
def view_remove(request: SignedIn, pk: int) -> HttpResponse:
    """Forget a view; the list stays as it is."""
    saved.remove(pk=pk, may_share=may_share(request), actor=actor_of(request), at=now())
    messages.success(request, "The view was removed.")
    return redirect("audit")
