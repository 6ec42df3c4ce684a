"""Every error of the REST API in one shape: {"error": {code, message, details}}."""

from typing import Any

from django.http import Http404
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    NotAuthenticated,
    ValidationError,
)
from rest_framework.response import Response
from rest_framework.views import set_rollback

from core.errors import Invalid, NotFound, TollgateError
from core.http import error_body
from policy.api.authentication import CHALLENGE


def handle(exception: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an expected failure; None leaves the rest to the 500 handler."""
    if isinstance(exception, Http404):
        exception = NotFound("There is nothing at this address.")
    if isinstance(exception, TollgateError):
        return _answer(
            exception.status, exception.code, exception.message, exception.details
        )
    if isinstance(exception, ValidationError):
        message = "Some of what was sent cannot be used: see the details."
        details = exception.detail
        fields = details if isinstance(details, dict) else {"all": details}
        return _answer(Invalid.status, Invalid.code, message, fields)
    if isinstance(exception, APIException):
        code = str(exception.get_codes())
        return _answer(exception.status_code, code, str(exception.detail), {})
    return None


def _answer(status: int, code: str, message: str, details: Any) -> Response:
    set_rollback()
    headers = {}
    if details.get("retry_after") is not None:
        headers["Retry-After"] = str(details["retry_after"])
    if status in {NotAuthenticated.status_code, AuthenticationFailed.status_code}:
        headers["WWW-Authenticate"] = CHALLENGE
    return Response(
        error_body(code, message, dict(details)),
        status=status,
        headers=headers,
    )
