"""Signs people in, on record, and slows down who guesses passwords."""

import unicodedata
from datetime import datetime, timedelta

from django.contrib.auth import authenticate
from django.db import connection, transaction
from django.http import HttpRequest

from audit.actor import Actor, Target
from audit.models import Event
from audit.services.record import ALLOW, DENY, record
from core.canonical import keyed_digest
from core.errors import TollgateError
from policy import events
from policy.models import User

_WINDOW = timedelta(minutes=15)
# Failures within the window after which nothing is tried any more. The limit for one
# name from one address is low; for a name alone it is high, so that a stranger cannot
# easily lock a person out.
_MOST_FOR_NAME_AND_ADDRESS = 10
_MOST_FOR_ADDRESS = 60
_MOST_FOR_NAME = 200


class SignInFailed(TollgateError):
    """User name and password do not belong together, or the person was disabled."""

    code = "sign_in_failed"
    status = 422


class TooManyAttempts(TollgateError):
    """Too many failures: nothing was tried."""

    code = "too_many_attempts"
    status = 429


def sign_in(
    *,
    request: HttpRequest,
    username: str,
    password: str,
    address: str,
    request_id: str,
    at: datetime,
) -> User:
    """The person these credentials belong to; every outcome is on record.

    Attempts on one name run one after another, so that guesses made at the same time
    are counted too. Raises SignInFailed, TooManyAttempts.
    """
    name = unicodedata.normalize("NFKC", username)
    trail_name = _trail_name(name)
    actor = Actor(
        "anonymous",
        f"address:{address}",
        "anonymous",
        address=address,
        request_id=request_id,
    )
    target = Target("sign_in", trail_name, trail_name)
    payload = {"username": trail_name}
    with transaction.atomic():
        _one_at_a_time(trail_name)
        throttled = _too_many(trail_name, actor.id, at=at)
        user = (
            None
            if throttled
            else authenticate(request, username=name, password=password)
        )
        if throttled or not isinstance(user, User):
            record(
                events.SIGN_IN_THROTTLED if throttled else events.SIGN_IN_FAILED,
                actor=actor,
                at=at,
                target=target,
                decision=DENY,
                payload=payload,
            )
    if throttled:
        raise TooManyAttempts("Too many failed attempts. Try again in 15 minutes.")
    if not isinstance(user, User):
        raise SignInFailed(
            "User name and password do not match. Check both; capitals matter."
        )
    return user


def signed_in(*, actor: Actor, at: datetime) -> None:
    """Put a sign-in on record, once the session is the person's."""
    record(
        events.SIGNED_IN,
        actor=actor,
        at=at,
        target=Target("sign_in", actor.label, actor.label),
        decision=ALLOW,
    )


def signed_out(*, actor: Actor, at: datetime) -> None:
    """Put a sign-out on record."""
    record(events.SIGNED_OUT, actor=actor, at=at)


def _trail_name(name: str) -> str:
    """The name as the trail may keep it.

    What is no user name may be a password typed into the wrong field: the trail
    then gets a keyed digest, which still tells one guess from another.
    """
    if User.objects.filter(username=name).exists():
        return name
    return f"unknown:{keyed_digest(name, purpose='sign-in')[:16]}"


def _one_at_a_time(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"sign-in:{name}"]
        )


def _too_many(name: str, actor_id: str, *, at: datetime) -> bool:
    failures = Event.objects.filter(
        name=events.SIGN_IN_FAILED.name, at__gt=at - _WINDOW
    )
    of_name = failures.filter(target_kind="sign_in", target_id=name)
    from_here = failures.filter(actor_id=actor_id)
    return (
        of_name.filter(actor_id=actor_id).count() >= _MOST_FOR_NAME_AND_ADDRESS
        or from_here.count() >= _MOST_FOR_ADDRESS
        or of_name.count() >= _MOST_FOR_NAME
    )
