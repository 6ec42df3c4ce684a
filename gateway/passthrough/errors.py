"""Refusals in the shape of OpenAI's errors, with our code and what to do."""

from collections.abc import Mapping
from typing import Any

import orjson

from core.errors import Invalid, TollgateError

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
# OpenAI's clients read it: a quota that resets tomorrow is not waited for.
_NO_RETRY = ("x-should-retry", "false")
_LONGEST_WAIT = 60


def error_body(error: TollgateError) -> bytes:
    """``{"error": {message, type, param, code}}`` with the details beside it."""
    status = status_of(error)
    said: dict[str, Any] = {
        "message": error.message,
        "type": _TYPES.get(status)
        or ("server_error" if status >= 500 else "invalid_request_error"),
        "param": error.details.get("param"),
        "code": error.code,
    }
    details = {name: one for name, one in error.details.items() if name != "param"}
    if details:
        said["details"] = details
    return orjson.dumps({"error": said}, default=str)


def status_of(error: TollgateError) -> int:
    """OpenAI's protocol has 400 where we say 422."""
    return 400 if error.status == Invalid.status else error.status


def error_headers(error: TollgateError) -> Mapping[str, str]:
    """When to try again, or that it is of no use."""
    wait = error.details.get("retry_after")
    found = {} if wait is None else {"retry-after": str(wait)}
    if error.status == 429 and (wait is None or int(wait) > _LONGEST_WAIT):
        found |= dict([_NO_RETRY])
    return found
