"""The price book as people read it."""

from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet

from finops.models import Price, UsageEvent


def known_prices() -> QuerySet[Price]:
    """What stands in the book now: by SKU, the latest start first."""
    return Price.objects.filter(known_to=None, currency=settings.CURRENCY).order_by(
        "sku", "unit", "-valid_from", "-pk"
    )


def history(sku: str) -> QuerySet[Price]:
    """Everything that was ever known of a SKU, the newest knowledge first."""
    return Price.objects.filter(sku=sku).order_by("-known_from", "-valid_from", "-pk")


def state(price: Price, *, at: datetime) -> str:
    """``in force``, ``planned``, ``past``, or ``replaced`` by later knowledge."""
    if price.known_to:
        return "replaced"
    if price.valid_from > at:
        return "planned"
    if price.valid_to and price.valid_to <= at:
        return "past"
    return "in force"


def unrated(teams: frozenset[str] | None, *, since: datetime) -> int:
    """How many quantities were booked without a price since then."""
    found = UsageEvent.objects.standing().filter(cost=None, at__gte=since)
    if teams is not None:
        found = found.filter(team__in=teams)
    return found.count()
