"""Sign-in and sign-out."""

from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from core.clock import now
from core.errors import TollgateError
from policy.forms import SignInForm
from policy.services import sessions
from policy.views.forms import posted
from policy.web import Request, actor_of


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: Request) -> HttpResponse:
    """The sign-in form, and what it leads to."""
    if request.user.is_authenticated:
        return redirect(_next(request))
    form = SignInForm(posted(request))
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                user = sessions.sign_in(
                    request=request,
                    username=form.cleaned_data["username"],
                    password=form.cleaned_data["password"],
                    address=str(request.META.get("REMOTE_ADDR", "")),
                    request_id=request.request_id,
                    at=now(),
                )
            except TollgateError as error:
                form.add_error(None, error.message)
                status = error.status
            else:
                login(request, user)
                sessions.signed_in(actor=actor_of(request), at=now())
                return redirect(_next(request))
    return render(
        request,
        "registration/sign_in.html",
        {"form": form, "next": _next(request)},
        status=status,
    )


@require_POST
def sign_out(request: Request) -> HttpResponse:
    """End the session."""
    sessions.signed_out(actor=actor_of(request), at=now())
    logout(request)
    return redirect("sign_in")


def _next(request: Request) -> str:
    """Where to go afterwards: a path of this site, else the overview."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return resolve_url("/")
