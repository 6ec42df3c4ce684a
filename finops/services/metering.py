"""Books metered quantities in the ledger, priced at the price book of the moment."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from core.errors import Invalid
from core.money import total
from core.prepared import prepared_cursor
from finops.price_book import UNPRICED, PriceBook
from finops.services.dirty import note
from finops.services.prices import current_book

# The order gives two bookings of the same quantities one order of locks. A uid that is
# booked already is left out by PostgreSQL, whatever its month.
_INSERT = """
INSERT INTO finops_usageevent (
  uid, at, kind, sku, unit, quantity, known, cost, currency, list_cost, list_currency,
  rate, price_id, run, task, step, server, tool, model, team, cost_centre, project,
  environment, principal, token_kind, flaw, reported_at, key)
SELECT u.uid, %(at)s::timestamptz, u.kind, u.sku, u.unit, u.quantity, u.known, u.cost,
  %(currency)s::text, u.list_cost, u.list_currency, u.rate, u.price, %(run)s::text,
  %(task)s::text, u.step, u.server, u.tool, u.model, %(team)s::text,
  %(cost_centre)s::text, %(project)s::text, %(environment)s::text, %(principal)s::text,
  u.token_kind, u.flaw, %(reported_at)s::timestamptz, %(key)s::text
FROM jsonb_to_recordset(%(rows)s::jsonb) AS u (
  uid text, kind text, sku text, unit text, quantity numeric, known text, cost numeric,
  list_cost numeric, list_currency text, rate numeric, price bigint, step int,
  server text, tool text, model text, flaw text, token_kind text)
ORDER BY u.uid
RETURNING cost
"""
_STORED = """
SELECT e.cost FROM finops_usageuid u
JOIN finops_usageevent e ON e.uid = u.uid AND e.at = u.at
WHERE u.uid = ANY(%s::text[])
"""
_QUANTITY_STEP = Decimal("1E-9")


@dataclass(frozen=True, slots=True)
class Payer:
    """Who a quantity is booked to, as it stands when the work is done."""

    team: str
    cost_centre: str
    project: str
    environment: str
    principal: str
    run: str = ""
    task: str = ""
    key: str = ""
    """The prefix of the API key that was used."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One metered quantity. ``uid`` makes booking it twice harmless.

    ``kind`` and ``known`` are those of UsageEvent; SKUs are ``tokens/definitions``,
    ``tokens/script``, ``tokens/result`` (unit ``Tokens``), ``tool/<server>.<tool>``
    (``Requests``), ``sandbox/cpu`` (``Seconds``), ``sandbox/memory`` (``GB-Seconds``),
    ``model/<provider>/<model>/<token kind>`` (``Tokens``, finops.model_usage).
    """

    uid: str
    kind: str
    sku: str
    unit: str
    quantity: Decimal
    known: str
    server: str = ""
    tool: str = ""
    model: str = ""
    step: int | None = None
    flaw: str = ""
    token_kind: str = ""


@dataclass(frozen=True, slots=True)
class Booked:
    """The cost of what was booked; ``unrated`` counts quantities without a price.

    ``added`` is the part that was not in the ledger before.
    """

    cost: Decimal
    currency: str
    unrated: int
    added: Decimal = field(default=Decimal(0), compare=False)


def book(
    *,
    payer: Payer,
    usages: Sequence[Usage],
    at: datetime,
    reported_at: datetime | None = None,
    prices: PriceBook | None = None,
) -> Booked:
    """Book ``usages`` in the running transaction, in one statement.

    ``at`` is when they happened, and the time whose prices count; ``reported_at`` is
    when they were learned, where that is later; ``prices`` the book that the caller has
    read in this transaction.

    A uid that is in the ledger already is left as it stands, and the figures returned
    are those of the ledger: a second booking gives the same answer and adds nothing.
    Raises Invalid for a quantity that is negative or no number.
    """
    currency: str = settings.CURRENCY
    if not usages:
        return Booked(Decimal(0), currency, 0)
    book_now = prices or current_book()
    rows = {usage.uid: _row(usage, book_now, at) for usage in reversed(usages)}
    values = {
        **asdict(payer),
        "at": at,
        "reported_at": reported_at,
        "currency": currency,
        "rows": json.dumps([rows[uid] for uid in sorted(rows)]),
    }
    with prepared_cursor() as cursor:
        cursor.execute(_INSERT, values)
        costs = [row[0] for row in cursor.fetchall()]
    note([(payer.team, at)])
    added = total(cost for cost in costs if cost is not None)
    if len(costs) < len(rows):
        with prepared_cursor() as cursor:
            cursor.execute(_STORED, [list(rows)])
            costs = [row[0] for row in cursor.fetchall()]
    return _booked(costs, currency, added)


def _row(usage: Usage, book_now: PriceBook, at: datetime) -> dict[str, Any]:
    if not usage.quantity.is_finite() or usage.quantity < 0:
        raise Invalid(
            f"The quantity {usage.quantity} of {usage.sku} cannot be booked: it must "
            "be a number from 0 up."
        )
    quantity = usage.quantity.quantize(_QUANTITY_STEP)
    priced = (
        UNPRICED
        if usage.flaw
        else book_now.price(usage.sku, unit=usage.unit, at=at, quantity=quantity)
    )
    return {
        "uid": usage.uid,
        "kind": usage.kind,
        "sku": usage.sku[:200],
        "unit": usage.unit,
        "quantity": str(quantity),
        "known": usage.known,
        "cost": _text(priced.cost),
        "list_cost": _text(priced.list_cost),
        "list_currency": priced.list_currency,
        "rate": _text(priced.rate),
        "price": priced.price,
        "step": usage.step,
        "flaw": usage.flaw,
        "server": usage.server,
        "tool": usage.tool,
        "model": usage.model,
        "token_kind": usage.token_kind,
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _booked(costs: Iterable[Decimal | None], currency: str, added: Decimal) -> Booked:
    found = list(costs)
    rated = [cost for cost in found if cost is not None]
    return Booked(total(rated), currency, len(found) - len(rated), added)
