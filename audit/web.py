"""Who asks for a page, as the trail sees them, and the access line of each view.

The rights themselves are worked out by whoever knows people and teams, and hang on
the request; the trail only asks them.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from audit import events
from audit.actor import Actor
from audit.services.record import DENY, record
from core.clock import now
from core.errors import Denied

P = ParamSpec("P")
AUDIT_READ = "audit.read"
AUDIT_ADMIN = "audit.admin"
AUDIT_HOLD = "audit.hold"


class Rights(Protocol):
    """What a person may do, and for which teams (None stands for all)."""

    def may(self, capability: str) -> bool: ...

    def teams_for(self, capability: str) -> frozenset[str] | None: ...


class SignedIn(HttpRequest):
    """A request of a signed-in person, as the middleware leaves it."""

    access: Rights
    request_id: str


R = TypeVar("R", bound=HttpRequest)
A = TypeVar("A", bound=HttpResponseBase)


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person as the audit trail keeps them."""
    user = request.user
    return Actor(
        kind="user",
        id=f"user:{user.get_username()}",
        label=getattr(user, "get_full_name", user.get_username)()
        or user.get_username(),
        address=str(request.META.get("REMOTE_ADDR", "")),
        request_id=getattr(request, "request_id", ""),
        trace_id=getattr(request, "trace_id", ""),
    )


def requires(
    capability: str,
) -> Callable[
    [Callable[Concatenate[R, P], A]],
    Callable[Concatenate[R, P], A],
]:
    """Let only people with ``capability`` in; a refusal is recorded and is a 403."""

    def decorate(
        view: Callable[Concatenate[R, P], A],
    ) -> Callable[Concatenate[R, P], A]:
        @wraps(view)
        def guarded(request: R, /, *args: P.args, **kwargs: P.kwargs) -> A:
            rights: Rights = request.access  # type: ignore[attr-defined]
            if not rights.may(capability):
                raise refuse(request, needed=capability)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def refuse(request: HttpRequest, *, needed: str) -> Denied:
    """Record that this person was refused, and return the error to raise."""
    record(
        events.ACCESS_DENIED,
        actor=actor_of(request),
        at=now(),
        decision=DENY,
        reasons=[f"needs {needed}"],
        payload={"path": request.path[:300], "method": request.method or ""},
    )
    return Denied(
        "Your roles do not include this. Ask an administrator of your team.",
        details={"needs": needed},
    )
