"""Errors that a person or an agent is meant to read."""

from collections.abc import Mapping
from typing import Any


class TollgateError(Exception):
    """Base of expected failures: a stable code, what happened and what to do.

    ``status`` is the HTTP status a view or API answers with.
    """

    code = "error"
    status = 400

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None):
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})


class NotFound(TollgateError):
    """The object does not exist, or this person may not see it."""

    code = "not_found"
    status = 404


class Denied(TollgateError):
    """The act is not allowed; the denial is already on record."""

    code = "denied"
    status = 403


class Invalid(TollgateError):
    """The input cannot be used as it is."""

    code = "invalid"
    status = 422


class QuotaExceeded(TollgateError):
    """A quota has nothing left; ``details`` say which one and when it resets."""

    code = "quota_exceeded"
    status = 429


class BudgetExceeded(TollgateError):
    """A budget with a hard stop has too little left; ``details`` are its figures."""

    code = "budget_exceeded"
    status = 429


class Unavailable(TollgateError):
    """A part that is needed does not answer; trying again later may help."""

    code = "unavailable"
    status = 503
