"""Lets people in, keeps them out, and gives them a new password."""

import secrets
from datetime import datetime

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction

from audit.actor import Actor, Target
from audit.registry import EventKind
from audit.services.record import record
from core.errors import Invalid, NotFound
from policy import events
from policy.models import Membership, PersonalKey, User

# 16 characters of base64: 96 bits, more than any guesser gets through.
_PASSWORD_BYTES = 12


@transaction.atomic
def deactivate(*, user_id: int, actor: Actor, at: datetime) -> User:
    """Keep a person out: no sign-in; their sessions and personal keys end now.

    Doing it twice changes nothing. Raises NotFound, Invalid for the last
    administrator.
    """
    keep_an_administrator(without_user=user_id)
    user = _locked(user_id)
    if user.is_active:
        user.is_active = False
        user.save(update_fields=["is_active"])
        _tell(events.USER_DEACTIVATED, user, actor, at, **_shut_out(user, at=at))
    return user


@transaction.atomic
def reactivate(*, user_id: int, actor: Actor, at: datetime) -> User:
    """Let a person in again, with the roles and the password they had."""
    user = _locked(user_id)
    if not user.is_active:
        user.is_active = True
        user.save(update_fields=["is_active"])
        _tell(events.USER_REACTIVATED, user, actor, at)
    return user


@transaction.atomic
def reset_password(*, user_id: int, actor: Actor, at: datetime) -> tuple[User, str]:
    """Give a person a random password, and end their sessions and personal keys.

    The password is returned once and stored as a hash. Raises NotFound, Invalid for
    somebody who is kept out.
    """
    user = _locked(user_id)
    if not user.is_active:
        raise Invalid(f"{user.username} is deactivated: reactivate them first.")
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    user.set_password(password)
    user.save(update_fields=["password"])
    _tell(events.PASSWORD_RESET, user, actor, at, **_shut_out(user, at=at))
    return user, password


def keep_an_administrator(
    *, without_user: int = 0, without_membership: int = 0
) -> None:
    """Raise Invalid if nobody who can sign in would administer any more.

    Locks the administrators' roles, so that two such acts cannot both pass.
    """
    held = list(
        Membership.objects.select_for_update(of=("self",))
        .filter(role=Membership.Role.ADMIN)
        .order_by("pk")
        .values_list("pk", "user_id")
    )
    taken = {
        pk for pk, user in held if pk == without_membership or user == without_user
    }
    left = Membership.objects.filter(pk__in={pk for pk, _ in held} - taken)
    if taken and not left.filter(user__is_active=True).exists():
        raise Invalid("This is the last administrator: appoint another one first.")


def _locked(user_id: int) -> User:
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise NotFound("There is no such person.")
    return user


def _shut_out(user: User, *, at: datetime) -> dict[str, int]:
    """End what lets the person in without a password; says how much that was."""
    keys = PersonalKey.objects.filter(user=user, revoked_at=None)
    return {
        "sessions_ended": _end_sessions(user, at=at),
        "personal_keys_revoked": keys.update(revoked_at=at),
    }


def _end_sessions(user: User, *, at: datetime) -> int:
    """Delete the person's sessions. They hold their owner sealed, so all are read."""
    held = [
        session.pk
        for session in Session.objects.filter(expire_date__gt=at).iterator()
        if session.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    Session.objects.filter(pk__in=held).delete()
    return len(held)


def _tell(
    event: EventKind, user: User, actor: Actor, at: datetime, **payload: int
) -> None:
    target = Target("user", str(user.pk), user.username)
    record(event, actor=actor, at=at, target=target, payload=payload)
