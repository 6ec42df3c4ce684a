"""Pages of retention: the trail's months, and the legal holds on them."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from audit.hold_forms import HoldForm, LiftForm
from audit.models import Hold
from audit.months import months
from audit.services import holds
from audit.web import AUDIT_HOLD, AUDIT_READ, SignedIn, actor_of, requires
from core.clock import now
from core.forms import attempt, posted
from core.tables import paged


@require_safe
@requires(AUDIT_READ)
def retention(request: SignedIn) -> HttpResponse:
    """Each month with its size and what keeps it, and every hold."""
    at = now()
    context = {
        "months": months(at=at),
        "page": paged(Hold.objects.order_by("-pk"), request),
        "may_hold": request.access.may(AUDIT_HOLD),
        "at": at,
    }
    return render(request, "audit/retention.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(AUDIT_HOLD)
def hold_add(request: SignedIn) -> HttpResponse:
    """A new legal hold."""
    form = HoldForm(posted(request))
    if request.method == "POST" and attempt(
        form,
        lambda: holds.set_hold(**form.cleaned_data, actor=actor_of(request), at=now()),
    ):
        messages.success(request, "The hold is set: these months stay.")
        return redirect("retention")
    status = 422 if request.method == "POST" else 200
    return render(request, "audit/hold.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(AUDIT_HOLD)
def hold_lift(request: SignedIn, pk: int) -> HttpResponse:
    """End a hold."""
    hold = holds.find_hold(pk)
    form = LiftForm(posted(request))
    if request.method == "POST" and attempt(
        form,
        lambda: holds.lift_hold(
            hold_id=pk, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, f"{hold.title} was lifted.")
        return redirect("retention")
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "hold": hold}
    return render(request, "audit/hold_lift.html", context, status=status)
