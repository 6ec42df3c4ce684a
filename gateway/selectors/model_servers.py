"""Model servers and their calls, as the pages show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from finops.models import UsageReport
from gateway.models import ModelCall, ModelServer

RECENT = timedelta(days=7)
_MOST_CALLS = 25


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model of a server, with what it was asked lately."""

    name: str
    own: str
    calls: int
    failed: int
    first_seconds: float | None
    tokens: int


def model_servers(*, at: datetime) -> QuerySet[ModelServer]:
    """Every model server with ``calls`` and ``failed`` of the last week."""
    calls = (
        ModelCall.objects.filter(server=OuterRef("name"), asked_at__gte=at - RECENT)
        .order_by()
        .values("server")
    )
    failed = Count("pk", filter=~Q(outcome__in=("", ModelCall.Outcome.ANSWERED)))
    return ModelServer.objects.annotate(
        calls=Coalesce(Subquery(calls.annotate(n=Count("pk")).values("n")), 0),
        failed=Coalesce(Subquery(calls.annotate(n=failed).values("n")), 0),
    ).order_by("name", "pk")


def models_of(server: ModelServer, *, at: datetime) -> list[OfferedModel]:
    """Its models by name, with the last week's calls; two queries."""
    calls = ModelCall.objects.filter(server=server.name, asked_at__gte=at - RECENT)
    failed = Count("pk", filter=~Q(outcome__in=("", ModelCall.Outcome.ANSWERED)))
    figures: dict[str, Mapping[str, Any]] = {
        row["model"]: row
        for row in calls.order_by()
        .values("model")
        .annotate(calls=Count("pk"), failed=failed, first=Avg("first_seconds"))
    }
    used = UsageReport.objects.filter(
        source=UsageReport.Source.GATEWAY,
        at__gte=at - RECENT,
        model__in=list(server.offered),
    )
    tokens: dict[str, int] = {
        row["model"]: (row["read"] or 0) + (row["written"] or 0)
        for row in used.order_by()
        .values("model")
        .annotate(read=Sum("input"), written=Sum("output"))
    }
    return [
        OfferedModel(
            name,
            own,
            figures.get(name, {}).get("calls", 0),
            figures.get(name, {}).get("failed", 0),
            figures.get(name, {}).get("first"),
            tokens.get(name, 0),
        )
        for name, own in sorted(server.offered.items())
    ]


def recent_calls(
    server: ModelServer, *, teams: frozenset[str] | None
) -> list[ModelCall]:
    """The newest calls of these teams (None: of all)."""
    calls = ModelCall.objects.filter(server=server.name)
    if teams is not None:
        calls = calls.filter(team__in=teams)
    return list(calls.order_by("-pk")[:_MOST_CALLS])
