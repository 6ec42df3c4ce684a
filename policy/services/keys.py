"""Creates, checks and revokes API keys."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import DENY, record
from core.errors import Invalid, NotFound, TollgateError
from core.ids import new_id
from core.prepared import prepared_cursor
from policy import events, scopes
from policy.models import (
    ApiKey,
    Environment,
    PersonalKey,
    Project,
    ServiceAccount,
    Team,
)
from policy.principal import Principal
from policy.services.teams import create_service_account

Key = TypeVar("Key", ApiKey, PersonalKey)
KEY = re.compile(
    r"^(?P<prefix>tgp?_[0-9a-z]{8})_(?P<secret>[0-9A-Za-z_-]{40,50})$", re.ASCII
)
_TOUCH_EVERY = timedelta(minutes=1)
# Each request asks it: by hand, since the ORM takes longer to write it than the server
# to answer it.
_FIND = """
SELECT k.id, k.secret_hash, k.scopes::text, k.expires_at, k.revoked_at,
  k.last_used_at, e.slug, a.name, t.id, t.slug, t.cost_centre, p.slug
FROM policy_apikey k
JOIN policy_serviceaccount a ON a.id = k.service_account_id
JOIN policy_team t ON t.id = a.team_id
JOIN policy_environment e ON e.id = k.environment_id
JOIN policy_project p ON p.id = k.project_id
WHERE k.prefix = %s
"""


class KeyRefused(TollgateError):
    """The key is unknown, revoked or expired; the refusal is on record."""

    code = "invalid_key"
    status = 401


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. ``text`` is shown once and kept nowhere."""

    key: ApiKey
    text: str


def hashed(secret: str) -> str:
    """What is stored of a key's secret."""
    pepper = hashlib.sha256(f"keys:{settings.SECRET_KEY}".encode()).digest()
    return hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()


@transaction.atomic
def create_key(
    *,
    service_account: ServiceAccount,
    name: str,
    environment: Environment,
    project: Project,
    granted: Sequence[str],
    actor: Actor,
    at: datetime,
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key for a service account. Raises Invalid."""
    granted = scopes.parse(" ".join(granted))
    if not granted:
        raise Invalid(
            "A key needs at least one scope, such as tools:* or runs:execute."
        )
    if project.team_id != service_account.team_id:
        raise Invalid("The project belongs to another team: choose one of this team.")
    if expires_at and expires_at <= at:
        raise Invalid("The key would be expired already: choose a later date.")
    prefix = f"tg_{new_id('k', characters=8)[2:]}"
    secret = secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        service_account=service_account,
        prefix=prefix,
        secret_hash=hashed(secret),
        name=name,
        scopes=list(granted),
        environment=environment,
        project=project,
        created_at=at,
        created_by=actor.label,
        expires_at=expires_at,
    )
    record(
        events.KEY_CREATED,
        actor=actor,
        at=at,
        target=_target(key),
        after={
            "scopes": list(granted),
            "environment": environment.slug,
            "project": project.slug,
            "service_account": service_account.name,
            "expires_at": expires_at.isoformat() if expires_at else None,
        },
    )
    return NewKey(key, f"{prefix}_{secret}")


@transaction.atomic
def create_key_for(
    *,
    team: Team,
    account: ServiceAccount | None,
    new_account: str,
    name: str,
    environment: Environment,
    project: Project,
    granted: Sequence[str],
    actor: Actor,
    at: datetime,
    expires_at: datetime | None = None,
) -> NewKey:
    """A key for ``account``, or for a new account of the team. Raises Invalid."""
    holder = account or create_service_account(
        team=team, name=new_account, description="", actor=actor, at=at
    )
    return create_key(
        service_account=holder,
        name=name,
        environment=environment,
        project=project,
        granted=granted,
        actor=actor,
        at=at,
        expires_at=expires_at,
    )


@transaction.atomic
def revoke_key(*, key_id: int, reason: str, actor: Actor, at: datetime) -> ApiKey:
    """Make a key useless from now on. Revoking twice changes nothing."""
    key = ApiKey.objects.select_for_update().filter(pk=key_id).first()
    if key is None:
        raise NotFound("There is no such key.")
    if key.revoked_at is None:
        key.revoked_at = at
        key.save(update_fields=["revoked_at"])
        record(
            events.KEY_REVOKED,
            actor=actor,
            at=at,
            target=_target(key),
            payload={"reason": reason or "no reason given"},
        )
    return key


def authenticate(
    *, text: str, at: datetime, address: str, request_id: str, trace_id: str = ""
) -> Principal:
    """The principal a bearer key stands for.

    Raises KeyRefused, with the refusal on record.
    """
    key = accepted(text, _found, at=at, address=address, request_id=request_id)
    return principal_of(key).seen_from(
        address=address, request_id=request_id, trace_id=trace_id
    )


def accepted(
    text: str,
    find: Callable[[str], Key | None],
    *,
    at: datetime,
    address: str,
    request_id: str,
) -> Key:
    """The key of this text, which ``find`` finds by its prefix.

    Raises KeyRefused, with the refusal on record.
    """
    match = KEY.match(text)
    key = match and find(match["prefix"])
    if (
        not match
        or not key
        or not hmac.compare_digest(key.secret_hash, hashed(match["secret"]))
    ):
        raise _refused("unknown", text, at, address, request_id)
    if (state := key.state(at=at)) != "active":
        raise _refused(state, text, at, address, request_id)
    if key.last_used_at is None or at - key.last_used_at > _TOUCH_EVERY:
        type(key).objects.filter(pk=key.pk).update(last_used_at=at)
    return key


def _found(prefix: str) -> ApiKey | None:
    with prepared_cursor() as cursor:
        cursor.execute(_FIND, [prefix])
        row = cursor.fetchone()
    if row is None:
        return None
    team = Team(id=row[8], slug=row[9], cost_centre=row[10])
    return ApiKey(
        id=row[0],
        prefix=prefix,
        secret_hash=row[1],
        scopes=json.loads(row[2]),
        expires_at=row[3],
        revoked_at=row[4],
        last_used_at=row[5],
        environment=Environment(slug=row[6]),
        service_account=ServiceAccount(name=row[7], team=team),
        project=Project(slug=row[11]),
    )


def principal_of(key: ApiKey) -> Principal:
    """The principal that this key's holder acts as."""
    account = key.service_account
    return Principal(
        kind="service_account",
        id=f"sa:{account.team.slug}/{account.name}",
        label=account.name,
        team_id=account.team_id,
        team=account.team.slug,
        cost_centre=account.team.cost_centre,
        project=key.project.slug,
        environment=key.environment.slug,
        scopes=tuple(key.scopes),
        key_id=key.pk,
        key=key.prefix,
    )


_ADVICE = {
    "unknown": "This is no key of this Tollgate: check it, or create one under "
    "Settings, Keys.",
    "revoked": "This key was revoked: create a new one under Settings, Keys.",
    "expired": "This key has expired: create a new one under Settings, Keys.",
}


def _refused(
    state: str, text: str, at: datetime, address: str, request_id: str
) -> KeyRefused:
    """Record that a key was refused, and return the error to raise."""
    match = KEY.match(text)
    prefix = match["prefix"] if match else "of another form"
    record(
        events.KEY_REFUSED,
        actor=Actor(
            "anonymous",
            "anonymous",
            "anonymous",
            address=address,
            request_id=request_id,
        ),
        at=at,
        decision=DENY,
        reasons=[state],
        payload={"prefix": prefix},
    )
    return KeyRefused(_ADVICE[state])


def _target(key: ApiKey) -> Target:
    return Target("key", str(key.pk), f"{key.name} ({key.prefix}…)")
