"""Grants: a team may call a tool or every tool of a server."""

from datetime import datetime

from django.db import models, transaction
from guardian.models import GroupObjectPermission
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


def granted_ids(team_id: int, app: str, model: str, permission: str) -> frozenset[int]:
    """Primary keys of the objects of ``app.model`` that a team's group may use."""
    rows = GroupObjectPermission.objects.filter(
        group__team=team_id,
        permission__codename=permission,
        permission__content_type__app_label=app,
        permission__content_type__model=model,
    ).values_list("object_pk", flat=True)
    return frozenset(int(key) for key in rows)
