"""What every page view starts with: the typed request and its access line."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.http import HttpRequest, HttpResponse
from django_htmx.middleware import HtmxDetails

from audit.actor import Actor
from audit.services.record import DENY, record
from core.clock import now
from core.errors import Denied
from policy import events
from policy.access import Access
from policy.models import User

P = ParamSpec("P")


class Request(HttpRequest):
    """A request of a signed-in person, as the middleware leaves it."""

    access: Access
    request_id: str
    htmx: HtmxDetails
    user: User


def actor_of(request: Request) -> Actor:
    """The signed-in person as the audit trail keeps them."""
    return Actor(
        kind="user",
        id=f"user:{request.user.get_username()}",
        label=request.user.get_full_name() or request.user.get_username(),
        address=str(request.META.get("REMOTE_ADDR", "")),
        request_id=request.request_id,
    )


def requires(
    capability: str,
) -> Callable[
    [Callable[Concatenate[Request, P], HttpResponse]],
    Callable[Concatenate[Request, P], HttpResponse],
]:
    """Let only people with ``capability`` in; a refusal is recorded and is a 403."""

    def decorate(
        view: Callable[Concatenate[Request, P], HttpResponse],
    ) -> Callable[Concatenate[Request, P], HttpResponse]:
        @wraps(view)
        def guarded(
            request: Request, /, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponse:
            if not request.access.may(capability):
                raise refuse(request, needed=capability)
            return view(request, *args, **kwargs)

        return cast(Callable[Concatenate[Request, P], HttpResponse], guarded)

    return decorate


def refuse(request: Request, *, needed: str) -> Denied:
    """Record that this person was refused, and return the error to raise."""
    payload: dict[str, Any] = {"path": request.path, "method": request.method or ""}
    record(
        events.ACCESS_DENIED,
        actor=actor_of(request),
        at=now(),
        decision=DENY,
        reasons=[f"needs {needed}"],
        payload=payload,
    )
    return Denied(
        "Your roles do not include this. Ask an administrator of your team.",
        details={"needs": needed},
    )
