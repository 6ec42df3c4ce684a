"""What people and agents are told when the database cannot keep what they ask for."""

import psycopg
from django.db import InterfaceError, OperationalError, ProgrammingError

from core.errors import Unavailable

RETRY_SECONDS = 5


def outage(error: BaseException | None) -> Unavailable | None:
    """The error to show for one of the database that is nobody's mistake; else None.

    What cannot be recorded is not done: each of these says that nothing was.
    """
    cause = error.__cause__ if error is not None else None
    if isinstance(error, ProgrammingError):
        if not isinstance(cause, psycopg.errors.InsufficientPrivilege):
            return None
        return _unavailable(
            "The database refuses to record it, so nothing was done. An administrator "
            "restores the application's rights with manage.py migrate."
        )
    if isinstance(cause, psycopg.errors.DiskFull):
        return _unavailable(
            "The database has no space left to record it, so nothing was done. An "
            "administrator frees space; all goes on by itself then."
        )
    if isinstance(error, OperationalError | InterfaceError):
        return _unavailable(
            "The database does not answer, so nothing was done. Try again in a moment."
        )
    return None


def _unavailable(message: str) -> Unavailable:
    return Unavailable(message, details={"retry_after": RETRY_SECONDS})
