"""Tasks as people see them: lists, one task, and what was reported for it alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum

from audit.web import Rights
from core.errors import NotFound
from finops.models import TaskFact, UsageEvent
from gateway.models import Task
from policy.access import RUNS_READ

_MOST_LINES = 100


def visible_tasks(access: Rights) -> QuerySet[Any]:
    """Tasks with a finished run that this person may see; ``at`` is their last end."""
    teams = access.teams_for(RUNS_READ)
    facts = TaskFact.objects.annotate(at=F("ended_at"))
    return facts if teams is None else facts.filter(team__in=teams)


def with_labels(facts: QuerySet[Any]) -> QuerySet[Any]:
    """The same with the agents' own names (``label``, empty or None for none)."""
    label = Task.objects.filter(uid=OuterRef("task")).values("label")
    found: QuerySet[Any] = facts.annotate(label=Subquery(label[:1]))
    return found


@dataclass(frozen=True, slots=True)
class SeenTask:
    """One task; ``fact`` is None until a run of it has ended."""

    uid: str
    name: str
    team: str
    principal: str
    fact: TaskFact | None


def task_for(access: Rights, uid: str) -> SeenTask:
    """One task. Raises NotFound, also for a task of somebody else's team."""
    teams = access.teams_for(RUNS_READ)
    own = Q() if teams is None else Q(team__in=teams)
    fact = TaskFact.objects.filter(own, task=uid).first()
    task = Task.objects.filter(own, uid=uid).first()
    known = fact or task
    if known is None:
        raise NotFound(f"There is no task {uid[:40]} that you may see.")
    name = task.label if task and task.label else uid
    return SeenTask(uid, name, known.team, known.principal, fact)


def loose_usage(task: str) -> Sequence[Mapping[str, Any]]:
    """What was reported for a task and none of its runs, summed by SKU."""
    events = UsageEvent.objects.standing().filter(run="", task=task)
    lines = events.values("sku", "unit", "known", "currency").annotate(
        unrated=Count("pk", filter=Q(cost=None)),
        quantity=Sum("quantity"),
        cost=Sum("cost"),
    )
    return list(lines.order_by("sku", "unit", "known", "currency")[:_MOST_LINES])
