"""People who can sign in, and the environments they and their agents act in."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)

from audit.web import AUDIT_READ
from core.clock import now
from core.tables import paged
from policy import selectors
from policy.access import IDENTITY_ADMIN, IDENTITY_READ
from policy.forms import EnvironmentForm, PersonForm
from policy.sandbox_forms import GVisorToolForm
from policy.services import teams
from policy.services.people import deactivate, reactivate, reset_password
from policy.views import once
from policy.views.forms import attempt, posted
from policy.web import Request, actor_of, refuse, requires


@require_safe
@requires(IDENTITY_ADMIN)
def people(request: Request) -> HttpResponse:
    """Everybody who can sign in."""
    words = request.GET.get("q", "").strip()
    page = paged(selectors.people(words), request)
    return render(
        request,
        "settings/people.html",
        {"page": page, "q": words, "may_audit": request.access.may(AUDIT_READ)},
    )


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def person_add(request: Request) -> HttpResponse:
    """A new person; roles are given on a team's page."""
    form = PersonForm(posted(request))
    if request.method == "POST" and attempt(
        form,
        lambda: teams.create_user(
            **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(
            request,
            f"{form.cleaned_data['username']} can sign in now, and sees nothing until "
            "a team gives them a role.",
        )
        return redirect("people")
    status = 422 if request.method == "POST" else 200
    return render(request, "settings/person_add.html", {"form": form}, status=status)


@require_POST
@requires(IDENTITY_ADMIN)
def person_active(request: Request, pk: int) -> HttpResponse:
    """Keep a person out, or let them in again."""
    if request.POST.get("active") == "no":
        user = deactivate(user_id=pk, actor=actor_of(request), at=now())
        words = f"{user.username} can no longer sign in; their sessions have ended."
    else:
        user = reactivate(user_id=pk, actor=actor_of(request), at=now())
        words = f"{user.username} can sign in again, with the roles they had."
    messages.success(request, words)
    return redirect("people")


@require_POST
@requires(IDENTITY_ADMIN)
def person_reset(request: Request, pk: int) -> HttpResponse:
    """Give a person a random password; the next page shows it once."""
    user, password = reset_password(user_id=pk, actor=actor_of(request), at=now())
    if user == request.user:
        # One's own other sessions ended; this one goes on under the new password.
        update_session_auth_hash(request, user)
    once.keep(request, "password", {"username": user.username, "text": password})
    return redirect("person_password")


@never_cache
@require_GET
@requires(IDENTITY_ADMIN)
def person_password(request: Request) -> HttpResponse:
    """The password just made; a second look finds nothing."""
    kept = once.take(request, "password")
    if kept is None:
        messages.warning(request, "A password is shown once. Reset it again if needed.")
        return redirect("people")
    return render(request, "settings/person_password.html", kept)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_READ)
def environments(request: Request) -> HttpResponse:
    """All environments, and a form for a new one."""
    may_change = request.access.may(IDENTITY_ADMIN)
    form = EnvironmentForm(posted(request))
    if request.method == "POST":
        if not may_change:
            raise refuse(request, needed=IDENTITY_ADMIN)
        if attempt(
            form,
            lambda: teams.create_environment(
                **form.cleaned_data, actor=actor_of(request), at=now()
            ),
        ):
            messages.success(request, "The environment was created.")
            return redirect("environments")
    context = {
        "rows": selectors.environment_rows(),
        "gvisor_tools": selectors.gvisor_tools(),
        "tool_form": GVisorToolForm(auto_id="id_tool_%s"),
        "form": form,
        "may_change": may_change,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "settings/environments.html", context, status=status)
