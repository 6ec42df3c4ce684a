"""How a task ended, as a person or an agent states it; refusals are on record."""

from collections.abc import Collection
from datetime import datetime

from audit import events
from audit.actor import Actor, Target
from audit.services.record import DENY, record
from core.errors import NotFound
from finops.models import TaskFact
from finops.services.task_facts import state_outcome
from gateway.models import Task


def state(
    *,
    task: str,
    outcome: str,
    reason: str,
    teams: Collection[str] | None,
    actor: Actor,
    at: datetime,
) -> TaskFact:
    """As ``state_outcome``; to reach for another team's task is a denial on record.

    Raises Invalid, and the same NotFound for a task of others as for none.
    """
    try:
        return state_outcome(
            task=task, outcome=outcome, reason=reason, teams=teams, actor=actor, at=at
        )
    except NotFound:
        if teams is not None and _of_others(task, teams):
            record(
                events.ACCESS_DENIED,
                actor=actor,
                at=at,
                target=Target("task", task, task),
                decision=DENY,
                reasons=["needs a task of an own team"],
            )
        raise


def _of_others(task: str, teams: Collection[str]) -> bool:
    return any(
        rows.exclude(team__in=teams).exists()
        for rows in (
            TaskFact.objects.filter(task=task),
            Task.objects.filter(uid=task),
        )
    )
