"""Bearer keys on the REST API."""

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core.clock import now
from policy.principal import Principal
from policy.services import keys

CHALLENGE = 'Bearer realm="tollgate"'


class KeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer tg_…``; the principal is ``request.auth``."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Principal] | None:
        """The key's principal; None where no bearer is sent. Raises KeyRefused."""
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        principal = keys.authenticate(
            text=text.strip(),
            at=now(),
            address=str(request.META.get("REMOTE_ADDR", "")),
            request_id=getattr(request, "request_id", ""),
            trace_id=getattr(request, "trace_id", ""),
        )
        return AnonymousUser(), principal

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE
