"""Grants: a team may call a tool or every tool of a server."""

from datetime import datetime

from django.db import models, transaction
from guardian.shortcuts import assign_perm, remove_perm

from audit.actor import Actor, Target
from audit.registry import EventKind
from audit.services.record import record
from core.models import Revision, raise_revision
from policy import events
from policy.models import Team


@transaction.atomic
def grant(
    *,
    team: Team,
    permission: str,
    obj: models.Model,
    target: Target,
    actor: Actor,
    at: datetime,
) -> None:
    """Let ``team`` call ``obj``; ``permission`` is such as ``gateway.call_server``."""
    assign_perm(permission, team.group, obj)
    _changed(events.GRANT_GIVEN, team, target, actor, at)


@transaction.atomic
def revoke(
    *,
    team: Team,
    permission: str,
    obj: models.Model,
    target: Target,
    actor: Actor,
    at: datetime,
) -> None:
    """Take the grant back; it holds for runs that are submitted from now on."""
    remove_perm(permission, team.group, obj)
    _changed(events.GRANT_TAKEN, team, target, actor, at)


def _changed(
    event: EventKind, team: Team, target: Target, actor: Actor, at: datetime
) -> None:
    raise_revision(Revision.POLICY)
    record(
        event,
        actor=actor,
        at=at,
        target=target,
        payload={"granted_team": team.slug},
    )
