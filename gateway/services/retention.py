"""Forgets what tools returned once its time is up; the journal itself stays."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from audit.actor import SYSTEM
from audit.services.record import record
from gateway import events
from gateway.models import Run, ToolCall


def cutoff(at: datetime) -> datetime:
    """Results of runs that ended before this are gone."""
    return at - timedelta(days=settings.RESULT_DAYS)


@transaction.atomic
def forget_results(*, at: datetime, limit: int = 5_000) -> int:
    """Drop values, output and call results of old runs; returns how many runs.

    Large texts are compressed by PostgreSQL until then (TOAST).
    """
    old = (
        Run.objects.filter(finished_at__lt=cutoff(at))
        .exclude(Q(value=None) & Q(stdout="") & ~Q(calls__result__isnull=False))
        .order_by("pk")
        .values_list("pk", flat=True)
        .distinct()
    )
    ids = list(old[:limit])
    if not ids:
        return 0
    ToolCall.objects.filter(run__in=ids).exclude(result=None).update(result=None)
    Run.objects.filter(pk__in=ids).update(value=None, stdout="")
    record(
        events.RESULTS_FORGOTTEN,
        actor=SYSTEM,
        at=at,
        payload={"runs": len(ids), "before": cutoff(at).isoformat()},
    )
    return len(ids)
