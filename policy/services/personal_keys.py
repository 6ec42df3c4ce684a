"""Personal keys: a person's own, to decide on approvals from an MCP client."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.ids import new_id
from policy import events, scopes
from policy.access import Access, access_of
from policy.models import PersonalKey, User
from policy.principal import PERSON, Principal
from policy.services.keys import accepted, hashed

PREFIX = "tgp_"
LONGEST_DAYS = 90
SCOPES = (scopes.RUNS_READ, scopes.APPROVALS_DECIDE)


@dataclass(frozen=True, slots=True)
class NewPersonalKey:
    """A key just made. ``text`` is shown once and kept nowhere."""

    key: PersonalKey
    text: str


@transaction.atomic
def create(
    *, user: User, name: str, days: int, actor: Actor, at: datetime
) -> NewPersonalKey:
    """Make a key of ``user`` for so many days. Raises Invalid.

    Only people themselves make one: whoever could make it for another could decide in
    their name.
    """
    if actor.id != f"user:{user.username}":
        raise Invalid("A personal key is made by its own person.")
    if not 1 <= days <= LONGEST_DAYS:
        raise Invalid(f"A personal key lasts from 1 to {LONGEST_DAYS} days.")
    prefix = f"{PREFIX}{new_id('k', characters=8)[2:]}"
    secret = secrets.token_urlsafe(32)
    key = PersonalKey.objects.create(
        user=user,
        prefix=prefix,
        secret_hash=hashed(secret),
        name=name,
        created_at=at,
        expires_at=at + timedelta(days=days),
    )
    record(
        events.PERSONAL_KEY_CREATED,
        actor=actor,
        at=at,
        target=_target(key),
        after={"expires_at": key.expires_at.isoformat()},
    )
    return NewPersonalKey(key, f"{prefix}_{secret}")


@transaction.atomic
def revoke(*, key_id: int, user: User, actor: Actor, at: datetime) -> PersonalKey:
    """Make one's own key useless from now on. Revoking twice changes nothing."""
    own = PersonalKey.objects.select_for_update().filter(user=user, pk=key_id)
    key = own.first()
    if key is None:
        raise NotFound("You have no such key.")
    if key.revoked_at is None:
        key.revoked_at = at
        key.save(update_fields=["revoked_at"])
        record(events.PERSONAL_KEY_REVOKED, actor=actor, at=at, target=_target(key))
    return key


def authenticate(
    *, text: str, at: datetime, address: str, request_id: str, trace_id: str = ""
) -> Principal:
    """The person a personal key stands for.

    Raises KeyRefused, with the refusal on record, also for people who are kept out.
    """
    key = accepted(text, _found, at=at, address=address, request_id=request_id)
    user = key.user
    return Principal(
        kind=PERSON,
        id=f"user:{user.username}",
        label=user.get_full_name() or user.username,
        team_id=0,
        team="",
        cost_centre="",
        project="",
        environment="",
        scopes=SCOPES,
        key=key.prefix,
        address=address,
        request_id=request_id,
        trace_id=trace_id,
    )


def _found(prefix: str) -> PersonalKey | None:
    keys = PersonalKey.objects.select_related("user")
    return keys.filter(prefix=prefix, user__is_active=True).first()


def access_of_key(principal: Principal) -> Access:
    """What the person behind a personal key may see and do now."""
    key = PersonalKey.objects.select_related("user").get(prefix=principal.key)
    return access_of(key.user)


def _target(key: PersonalKey) -> Target:
    return Target("personal_key", str(key.pk), f"{key.name} ({key.prefix}…)")
