"""The price book as people read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Min, QuerySet, Sum

from finops.models import Price, UsageEvent
from finops.price_book import PriceBook


def known_prices() -> QuerySet[Price]:
    """What stands in the book now: by SKU, the latest start first."""
    known = Price.objects.filter(known_to=None)
    return known.order_by("sku", "unit", "-valid_from", "-pk")


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


@dataclass(frozen=True, slots=True)
class Unrated:
    """What is booked of a SKU without a cost, since when, and what it lacks now.

    ``lacks`` is a price, an exchange rate (``no rate for EUR``) or a value; "" where
    the book has all of it by now, and only pricing anew is left.
    """

    sku: str
    unit: str
    lacks: str
    quantity: Decimal
    events: int
    since: datetime
    newest: datetime

    @property
    def quantity_text(self) -> str:
        """The quantity without trailing zeros."""
        return f"{self.quantity.normalize():,f}"


def unrated_skus(
    teams: frozenset[str] | None, *, since: datetime, book: PriceBook
) -> tuple[Unrated, ...]:
    """The SKUs booked without a cost since then, those of most quantities first."""
    found = UsageEvent.objects.standing().filter(cost=None, at__gte=since)
    if teams is not None:
        found = found.filter(team__in=teams)
    rows = found.values("sku", "unit", "flaw").annotate(
        total=Sum("quantity"), events=Count("pk"), first=Min("at"), newest=Max("at")
    )
    return tuple(
        Unrated(
            sku=row["sku"],
            unit=row["unit"],
            lacks=_lacks(row, book),
            quantity=row["total"],
            events=row["events"],
            since=row["first"],
            newest=row["newest"],
        )
        for row in rows.order_by("-events", "sku", "unit", "flaw")
    )


def _lacks(row: Mapping[str, Any], book: PriceBook) -> str:
    if row["flaw"]:
        return f"value: {row['flaw']}"
    sku, unit, at = row["sku"], row["unit"], row["newest"]
    found = book.price(sku, unit=unit, at=at, quantity=row["total"])
    if found.price is None:
        return "no price"
    return "" if found.cost is not None else f"no rate for {found.list_currency}"


def unrated(teams: frozenset[str] | None, *, since: datetime) -> int:
    """How many quantities were booked without a price since then."""
    found = UsageEvent.objects.standing().filter(cost=None, at__gte=since)
    if teams is not None:
        found = found.filter(team__in=teams)
    return found.count()
