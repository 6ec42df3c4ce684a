"""Which runs a report counts: by the time they ended, and by what came of them."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from core.period import Period
from finops.models import RunFact, TaskFact
from gateway.models import Run

WASTE = [
    ("any", "For any reason"),
    ("attempts", "Failed attempts"),
    ("failed", "Of failed tasks"),
    ("abandoned", "Of abandoned tasks"),
    ("retries", "Retries, however they ended"),
]


def ended_within(runs: QuerySet[Run], period: Period | None) -> QuerySet[Run]:
    """Runs that ended in a period, as the reports count them; None is all time."""
    facts = RunFact.objects.filter(run=OuterRef("uid"))
    if period:
        facts = facts.filter(ended_at__gte=period.start, ended_at__lt=period.end)
    return runs.filter(Exists(facts))


def wasted(runs: QuerySet[Run], reason: str) -> QuerySet[Run]:
    """Runs that came to nothing for a reason (finops.selectors.efficiency)."""
    facts = RunFact.objects.filter(run=OuterRef("uid"))
    failed = Exists(facts.filter(succeeded=False))
    lost = TaskFact.objects.filter(task=OuterRef("task__uid"))
    gone = Exists(lost.filter(outcome__in=("failed", "abandoned")))
    match reason:
        case "attempts":
            return runs.filter(failed & ~gone)
        case "retries":
            return runs.filter(Exists(facts.filter(attempt__gt=1)))
        case "failed" | "abandoned":
            return runs.filter(Exists(facts), Exists(lost.filter(outcome=reason)))
    return runs.filter(Q(failed) | (Q(gone) & Exists(facts)))
