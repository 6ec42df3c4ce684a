"""Personal keys: one's own, a new one shown once, and revocation."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
)

from core.clock import now
from core.tables import paged
from policy.access import APPROVALS_DECIDE
from policy.forms import PersonalKeyForm
from policy.models import PersonalKey
from policy.services import personal_keys as service
from policy.services.personal_keys import NewPersonalKey
from policy.views import once
from policy.views.forms import attempt, posted
from policy.views.keys import client_of
from policy.web import Request, actor_of, requires


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(APPROVALS_DECIDE)
def personal_keys(request: Request) -> HttpResponse:
    """This person's keys, and a form for another; the next page shows its text."""
    at = now()
    form = PersonalKeyForm(posted(request))
    made: list[NewPersonalKey] = []
    if request.method == "POST" and attempt(
        form,
        lambda: made.append(
            service.create(
                user=request.user,
                name=form.cleaned_data["name"],
                days=form.cleaned_data["days"],
                actor=actor_of(request),
                at=at,
            )
        ),
    ):
        kept = {"id": made[0].key.pk, "text": made[0].text}
        once.keep(request, "personal_key", kept)
        return redirect("personal_key_created")
    page = paged(PersonalKey.objects.filter(user=request.user).order_by("-pk"), request)
    context = {
        "form": form,
        "page": page,
        "rows": [(key, key.state(at=at)) for key in page],
        "at": at,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "settings/personal_keys.html", context, status=status)


@never_cache
@require_GET
@requires(APPROVALS_DECIDE)
def personal_key_created(request: Request) -> HttpResponse:
    """The text of the key just made; a second look finds nothing."""
    kept = once.take(request, "personal_key")
    if kept is None:
        messages.warning(request, "A key's text is shown once: create another key.")
        return redirect("personal_keys")
    key = PersonalKey.objects.get(pk=kept["id"], user=request.user)
    context = {"key": key, "text": kept["text"]} | client_of(kept["text"])
    return render(request, "settings/personal_key_created.html", context)


@require_POST
@requires(APPROVALS_DECIDE)
def personal_key_revoke(request: Request, pk: int) -> HttpResponse:
    """Make one's own key useless."""
    key = service.revoke(
        key_id=pk, user=request.user, actor=actor_of(request), at=now()
    )
    messages.success(request, f"{key.name} was revoked and stops working now.")
    return redirect("personal_keys")
