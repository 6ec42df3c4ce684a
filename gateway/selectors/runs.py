"""Runs as people see them: lists, one run in full, and what belongs to it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from audit.models import Event
from audit.web import Rights
from core.errors import NotFound
from finops.models import UsageEvent
from gateway.highlight import visible
from gateway.models import Run, ToolCall
from policy.access import RUNS_READ

_HEAVY = ("code", "value", "stdout", "direct_arguments", "scopes", "usage")


def visible_runs(access: Rights) -> QuerySet[Run]:
    """Runs this person may see, for lists: without script, value and output."""
    return (
        Run.objects.visible_to(access, RUNS_READ).select_related("task").defer(*_HEAVY)
    )


def run_for(access: Rights, uid: str) -> Run:
    """One run in full. Raises NotFound, also for a run of somebody else's team."""
    run = (
        Run.objects.visible_to(access, RUNS_READ)
        .select_related("task")
        .filter(uid=uid)
        .first()
    )
    if run is None:
        raise NotFound(f"There is no run {uid[:40]} that you may see.")
    return run


def calls_of(run: Run, *, most: int = 1_000) -> list[ToolCall]:
    """The run's journal in order, without results."""
    return list(run.calls.defer("result").order_by("step")[:most])


def shown_json(value: Any) -> str:
    """JSON to read, with nothing in it that hides or reorders text."""
    return visible(json.dumps(value, indent=2, ensure_ascii=False, default=str))


@dataclass(frozen=True, slots=True)
class ShownError:
    """Why a run failed, as text that is safe to read."""

    code: str
    message: str
    line: int | None
    retryable: bool
    suggestions: tuple[str, ...]


def shown_error(run: Run) -> ShownError | None:
    """The run's error; None when there is none."""
    if not run.error:
        return None
    line = run.error.get("line")
    return ShownError(
        code=visible(str(run.error.get("code", ""))),
        message=visible(str(run.error.get("message", ""))),
        line=line if isinstance(line, int) else None,
        retryable=bool(run.error.get("retryable")),
        suggestions=tuple(
            visible(str(one)) for one in run.error.get("suggestions") or ()
        ),
    )


def attempts_beside(run: Run, access: Rights) -> list[Run]:
    """The other runs of the same task, oldest first."""
    rows = visible_runs(access).filter(task=run.task_id).exclude(pk=run.pk)
    return list(rows.order_by("attempt", "pk")[:50])


_Key = tuple[str, str, str, tuple[Decimal, str] | None]


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one SKU cost a run. ``cost`` is None while no price is known."""

    sku: str
    known: str
    quantity: Decimal
    unit: str
    price: Decimal | None
    price_currency: str
    cost: Decimal | None
    currency: str
    events: int

    @property
    def quantity_text(self) -> str:
        """The quantity without trailing zeros."""
        return f"{self.quantity.normalize():,f}"


@dataclass(frozen=True, slots=True)
class Bill:
    """Everything metered for a run; ``total`` leaves unrated lines out."""

    lines: tuple[CostLine, ...]
    total: Decimal
    unrated: int
    currency: str


def bill_of(run: Run) -> Bill:
    """The run's cost by SKU, from the ledger."""
    events = UsageEvent.objects.standing().filter(run=run.uid)
    groups: dict[_Key, list[UsageEvent]] = {}
    for event in events.select_related("price").order_by("pk"):
        price = (event.price.amount, event.price.currency) if event.price else None
        key = (event.sku, event.unit, event.known, price)
        groups.setdefault(key, []).append(event)
    lines = tuple(_line(key, rows) for key, rows in sorted(groups.items(), key=_order))
    rated = [line.cost for line in lines if line.cost is not None]
    return Bill(
        lines,
        total=sum(rated, Decimal(0)),
        unrated=sum(line.cost is None for line in lines),
        currency=lines[0].currency if lines else run.currency,
    )


def _order(
    group: tuple[_Key, list[UsageEvent]],
) -> tuple[str, str, str]:
    (sku, unit, known, _), _ = group
    return sku, unit, known


def _line(key: _Key, rows: Sequence[UsageEvent]) -> CostLine:
    sku, unit, known, price = key
    costs = [row.cost for row in rows if row.cost is not None]
    return CostLine(
        sku=sku,
        known=known,
        quantity=sum((row.quantity for row in rows), Decimal(0)),
        unit=unit,
        price=price[0] if price else None,
        price_currency=price[1] if price else "",
        cost=sum(costs, Decimal(0)) if costs else None,
        currency=rows[0].currency,
        events=len(rows),
    )


def events_of(run: Run, *, most: int = 100) -> list[Event]:
    """The run's audit events in order; for people who may read the trail."""
    return list(Event.objects.filter(run=run.uid).order_by("pk")[:most])
