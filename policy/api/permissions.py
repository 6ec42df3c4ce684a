"""Who may use an endpoint: a key by its scopes, a person by their roles."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from audit import events
from audit.services.record import DENY, record
from audit.web import Rights, refuse
from core.clock import now
from core.errors import Denied
from policy import scopes
from policy.principal import Principal
from policy.rule_sets import author_of

if TYPE_CHECKING:
    # At run time this module is loaded while rest_framework.views is still loading.
    from rest_framework.views import APIView


@dataclass(frozen=True, slots=True)
class KeyRights:
    """A key sees its own team's rows, whatever its scopes."""

    principal: Principal

    def may(self, capability: str) -> bool:
        return scopes.covers(self.principal.scopes, capability.replace(".", ":"))

    def teams_for(self, capability: str) -> frozenset[str] | None:
        return frozenset({self.principal.team})


class HasScope(BasePermission):
    """Each view declares ``required_scope`` for keys and ``capability`` for people.

    Both are text, or a mapping from the HTTP method; empty means that being known is
    enough. ``people_only``, of the view or a sub-class, refuses every key. The rights
    found are left on ``request.rights`` for the view's queries.
    """

    refusal = "Only people may do this, never keys: sign in."
    people_only = False

    def has_permission(self, request: Request, view: "APIView") -> bool:
        people_only = self.people_only or getattr(view, "people_only", False)
        if people_only and isinstance(request.auth, Principal):
            refuse_key(request, request.auth, needed="a person who is signed in")
            raise Denied(self.refusal)
        needed_scope = _needed(view, "required_scope", request.method)
        capability = _needed(view, "capability", request.method)
        rights: Rights
        if isinstance(request.auth, Principal):
            if needed_scope and not scopes.covers(request.auth.scopes, needed_scope):
                raise refuse_key(request, request.auth, needed=needed_scope)
            rights = KeyRights(request.auth)
        elif request.user and request.user.is_authenticated:
            rights = request._request.access  # type: ignore[attr-defined]
            if capability and not rights.may(capability):
                raise refuse(request._request, needed=capability)
        else:
            raise NotAuthenticated(
                "Send a key as “Authorization: Bearer tg_…”, or sign in."
            )
        request.rights = rights  # type: ignore[attr-defined]
        return True


class People(HasScope):
    """Only people, whatever the scopes of a key; its refusal is on record."""

    people_only = True


class OwnDraft(HasScope):
    """Of keys, only those of the account that began the draft may change it."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        allowed = super().has_permission(request, view)
        key = request.auth
        if isinstance(key, Principal) and request.method not in SAFE_METHODS:
            author = author_of(view.kwargs["uid"])
            if author not in ("", key.id):
                refuse_key(request, key, needed=f"a draft of {key.id}")
                raise Denied("A key changes its own drafts alone: begin another one.")
        return allowed


def refuse_key(request: Request, principal: Principal, *, needed: str) -> Denied:
    """Record that this key was refused, and return the error to raise."""
    record(
        events.ACCESS_DENIED,
        actor=principal.actor,
        at=now(),
        decision=DENY,
        reasons=[f"needs {needed}"],
        payload={"path": request.path[:300], "method": request.method or ""},
    )
    return Denied(
        f"This key lacks the scope {needed}: use a key that has it, or ask an "
        "administrator for one.",
        details={"needs": needed},
    )


def _needed(view: "APIView", name: str, method: str | None) -> str:
    declared: Any = getattr(view, name)
    if isinstance(declared, dict):
        known = "GET" if method in {"HEAD", "OPTIONS"} else method
        if known not in declared:
            raise MethodNotAllowed(str(method))
        return str(declared[known])
    return str(declared)
