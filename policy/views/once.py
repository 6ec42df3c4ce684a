"""Shows a secret on exactly one page: made by a POST, read by the GET after it.

In between it lies sealed in the person's session, for that person and purpose alone.
"""

import base64
from datetime import timedelta
from typing import Any

from django.http import HttpRequest

from core.clock import now
from core.errors import TollgateError
from core.secrets import seal, unseal

_PATIENCE = timedelta(minutes=5)


def keep(request: HttpRequest, purpose: str, value: dict[str, Any]) -> None:
    """Keep a JSON value for the next page."""
    until = (now() + _PATIENCE).timestamp()
    sealed = seal({"until": until, "value": value}, owner=_owner(request, purpose))
    request.session[_name(purpose)] = base64.b64encode(sealed).decode()


def take(request: HttpRequest, purpose: str) -> dict[str, Any] | None:
    """The kept value, now gone; None when it was taken before or is too old."""
    text = request.session.pop(_name(purpose), "")
    try:
        opened = unseal(base64.b64decode(text), owner=_owner(request, purpose))
    except (TollgateError, ValueError):
        return None
    if opened["until"] < now().timestamp():
        return None
    value: dict[str, Any] = opened["value"]
    return value


def _name(purpose: str) -> str:
    return f"once_{purpose}"


def _owner(request: HttpRequest, purpose: str) -> str:
    return f"session:{request.user.pk}:{purpose}"
