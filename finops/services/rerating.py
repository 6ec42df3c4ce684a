"""Prices booked usage anew: takes rows back and books them again, never changes one."""

import hashlib
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid
from core.money import total
from core.reasons import reason_given
from finops import events
from finops.models import UsageEvent
from finops.models.ledger import Ledger
from finops.price_book import PriceBook
from finops.rerate import Change, Moved, cost_at, moved
from finops.services import task_facts
from finops.services.dirty import note
from finops.services.prices import current_book, hold_book

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which usage to price anew; ``sku`` may end in ``*``, "" is every SKU.

    ``teams`` None is that of every team.
    """

    start: datetime
    end: datetime
    sku: str = ""
    teams: frozenset[str] | None = None

    def rows(self) -> Ledger:
        """The rows that stand, in the booking currency."""
        found = UsageEvent.objects.standing().filter(
            at__gte=self.start, at__lt=self.end, currency=settings.CURRENCY
        )
        if self.teams is not None:
            found = found.filter(team__in=self.teams)
        if self.sku.endswith("*"):
            return found.filter(sku__startswith=self.sku[:-1])
        return found.filter(sku=self.sku) if self.sku else found


def preview(wanted: Wanted) -> tuple[Moved, ...]:
    """What pricing anew would change now, by SKU; nothing is written."""
    check(wanted)
    book = current_book()
    rows = wanted.rows().only("sku", "unit", "at", "quantity", "cost", "flaw")
    return moved(
        (row.sku, row.cost, after)
        for row in rows.iterator(chunk_size=BATCH)
        if (after := cost_at(book, row)) != row.cost
    )


def rerate(
    *, wanted: Wanted, reason: str, actor: Actor, at: datetime, batch: int = BATCH
) -> tuple[Moved, ...]:
    """Price ``wanted`` at the book of now; returns what changed by SKU.

    Each batch is one transaction with its audit event: rows whose cost differs are
    taken back and booked again at the time they happened, and the facts of their runs
    follow. Stopping half-way leaves whole batches, and running it again does the rest;
    what costs the same is left alone. Raises Invalid.
    """
    check(wanted)
    why = reason_given(reason)
    newest = wanted.rows().aggregate(newest=Max("pk"))["newest"] or 0
    changes: list[Change] = []
    last = 0
    while last < newest:
        last, _, done = price_batch(wanted, last, newest, batch, why, actor, at)
        changes += done
    return moved(changes)


@transaction.atomic
def price_batch(
    wanted: Wanted,
    last: int,
    newest: int,
    size: int,
    reason: str,
    actor: Actor,
    at: datetime,
) -> tuple[int, int, list[Change]]:
    """The rows after the id ``last``: the id reached, how many, and what changed."""
    hold_book()  # it stands still, and two take turns
    book = current_book()
    found = wanted.rows().filter(pk__gt=last, pk__lte=newest).order_by("pk")
    rows = list(found[:size])
    if not rows:
        return newest, 0, []
    pairs = [
        (row, _again(row, book, at)) for row in rows if cost_at(book, row) != row.cost
    ]
    if pairs:
        UsageEvent.objects.bulk_create(
            one for row, again in pairs for one in (_reverse(row, at), again)
        )
        note((row.team, row.at) for row, _ in pairs)
        task_facts.usage_reported(
            runs={row.run for row, _ in pairs if row.run},
            tasks={row.task for row, _ in pairs if row.task},
        )
        _record(pairs, wanted, reason, actor, at)
    changes = [(row.sku, row.cost, again.cost) for row, again in pairs]
    return rows[-1].pk, len(rows), changes


def _reverse(row: UsageEvent, at: datetime) -> UsageEvent:
    taken = copy(row)
    taken.pk, taken.uid, taken.reverses = None, _uid("rev", row), row.uid
    taken.quantity = -row.quantity
    taken.cost = _opposite(row.cost)
    taken.list_cost = _opposite(row.list_cost)
    taken.reported_at = at
    return taken


def _again(row: UsageEvent, book: PriceBook, at: datetime) -> UsageEvent:
    priced = book.price(row.sku, unit=row.unit, at=row.at, quantity=row.quantity)
    booked = copy(row)
    booked.pk, booked.uid, booked.reported_at = None, _uid("reb", row), at
    booked.price_id, booked.cost = priced.price, priced.cost
    booked.list_cost, booked.list_currency = priced.list_cost, priced.list_currency
    booked.rate = priced.rate
    return booked


def _opposite(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else -amount


def _uid(prefix: str, row: UsageEvent) -> str:
    """One id for each row that is taken back: a second one is refused."""
    return f"{prefix}_{hashlib.sha256(row.uid.encode()).hexdigest()[:40]}"


def _record(
    pairs: Sequence[tuple[UsageEvent, UsageEvent]],
    wanted: Wanted,
    reason: str,
    actor: Actor,
    at: datetime,
) -> None:
    before = total(row.cost for row, _ in pairs if row.cost is not None)
    after = total(again.cost for _, again in pairs if again.cost is not None)
    record(
        events.USAGE_RERATED,
        actor=actor,
        at=at,
        target=Target("usage", wanted.sku or "*", wanted.sku or "All SKUs"),
        payload={
            "rows": len(pairs),
            "change": f"{after - before:f} {settings.CURRENCY}",
            "before": f"{before:f}",
            "after": f"{after:f}",
            "start": wanted.start.isoformat(),
            "end": wanted.end.isoformat(),
            "reason": reason,
        },
    )


def check(wanted: Wanted) -> None:
    """Raises Invalid where the period does."""
    if wanted.end <= wanted.start:
        raise Invalid("The period must end after it starts.")
