"""Changes the price book, and keeps a copy of it in each process."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from audit.actor import SYSTEM, Actor, Target
from audit.services.record import record
from core.errors import Invalid
from core.models import raise_revision
from finops import events
from finops.models import Price
from finops.price_book import PriceBook, Rate

PRICES = "prices"
# The id beside the revision tells apart a book whose change was rolled back: numbers
# of a sequence are never given twice.
_STAMP = """
SELECT coalesce((SELECT number FROM core_revision WHERE name = 'prices'), 0),
       coalesce((SELECT max(id) FROM finops_price), 0)
"""
_SKU = re.compile(r"^[a-z]+/([A-Za-z0-9_.:/-]+\*?|\*)$")
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
_DEFAULTS = (
    ("tokens/definitions", "Tokens", "0.000003"),
    ("tokens/script", "Tokens", "0.000003"),
    ("tokens/result", "Tokens", "0.000003"),
    ("tool/*", "Requests", "0.0000035"),
    ("sandbox/cpu", "Seconds", "0.000024"),
    ("sandbox/memory", "GB-Seconds", "0.0000025"),
)
_DEFAULT_REASON = "Default price of a new installation: replace it with your own"


@dataclass(frozen=True, slots=True)
class _Held:
    stamp: tuple[int, int, str]
    book: PriceBook


_held: _Held | None = None


def current_book() -> PriceBook:
    """The prices known now, in the booking currency; one small query if unchanged."""
    global _held
    with connection.cursor() as cursor:
        cursor.execute(_STAMP)
        number, newest = cursor.fetchone()
    stamp = (number, newest, settings.CURRENCY)
    held = _held
    if held is None or held.stamp != stamp:
        # The stamp is read first: a change in between makes the next call read again.
        held = _held = _Held(stamp, _read_book())
    return held.book


def _read_book() -> PriceBook:
    known = Price.objects.filter(known_to=None, currency=settings.CURRENCY)
    return PriceBook(
        Rate(row.pk, row.sku, row.unit, row.amount, row.valid_from, row.valid_to)
        for row in known.order_by("-valid_from", "-pk")
    )


@transaction.atomic
def set_price(
    *,
    sku: str,
    unit: str,
    amount: Decimal,
    valid_from: datetime,
    reason: str,
    actor: Actor,
    at: datetime,
    source: str = "edited",
) -> Price:
    """Set what one ``unit`` of ``sku`` costs from ``valid_from`` on.

    It lasts until the next price of that SKU that is already planned. What was known
    before stays as a row whose knowledge ended at ``at``; usage that is booked keeps
    its cost. Raises Invalid.
    """
    _check(sku=sku, unit=unit, amount=amount, reason=reason)
    raise_revision(PRICES)  # its row lock makes changes of the book take turns
    known = Price.objects.filter(
        sku=sku, unit=unit, currency=settings.CURRENCY, known_to=None
    )
    later = known.filter(valid_from__gt=valid_from).order_by("valid_from").first()
    open_then = Q(valid_to=None) | Q(valid_to__gt=valid_from)
    before = known.filter(open_then, valid_from__lte=valid_from).first()
    if before:
        _end_knowledge(before, valid_from=valid_from, at=at)
    price = Price.objects.create(
        sku=sku,
        unit=unit,
        amount=amount,
        currency=settings.CURRENCY,
        valid_from=valid_from,
        valid_to=later.valid_from if later else None,
        known_from=at,
        source=source,
    )
    record(
        events.PRICE_SET,
        actor=actor,
        at=at,
        target=Target("price", sku, sku),
        before=_as_dict(before) if before else None,
        after=_as_dict(price),
        payload={
            "amount": f"{amount:f} {price.currency} a {unit}",
            "reason": reason.strip(),
        },
    )
    return price


def ensure_default_prices(*, at: datetime, actor: Actor = SYSTEM) -> int:
    """Give every SKU that has no price yet a default; returns how many were set."""
    known = set(
        Price.objects.filter(known_to=None, currency=settings.CURRENCY).values_list(
            "sku", "unit"
        )
    )
    missing = [row for row in _DEFAULTS if row[:2] not in known]
    for sku, unit, amount in missing:
        set_price(
            sku=sku,
            unit=unit,
            amount=Decimal(amount),
            valid_from=_BEGINNING,
            reason=_DEFAULT_REASON,
            actor=actor,
            at=at,
            source="default",
        )
    return len(missing)


def _end_knowledge(price: Price, *, valid_from: datetime, at: datetime) -> None:
    """Replace what was known of ``price`` by its part before ``valid_from``."""
    Price.objects.filter(pk=price.pk).update(known_to=at)
    if price.valid_from < valid_from:
        Price.objects.create(
            sku=price.sku,
            unit=price.unit,
            amount=price.amount,
            currency=price.currency,
            valid_from=price.valid_from,
            valid_to=valid_from,
            known_from=at,
            source=price.source,
        )


def _check(*, sku: str, unit: str, amount: Decimal, reason: str) -> None:
    if not _SKU.match(sku) or len(sku) > 200:
        raise Invalid(
            f"{sku!r} is no SKU: write area/name, such as tokens/result or tool/crm.*; "
            "a * may stand at the end only."
        )
    if not unit.strip() or len(unit) > 20:
        raise Invalid("Name the unit, such as Tokens, Requests or Seconds.")
    if not amount.is_finite() or not 0 <= amount < 10**12:
        raise Invalid("A price is a number from 0 up.")
    if amount != round(amount, 12):
        raise Invalid("A price has at most 12 decimal places.")
    if len(reason.strip()) < 3:
        raise Invalid("Say why the price changes: the reason is kept in the trail.")


def _as_dict(price: Price) -> dict[str, str]:
    return {
        "amount": f"{price.amount:f}",
        "currency": price.currency,
        "unit": price.unit,
        "valid_from": price.valid_from.isoformat(),
        "valid_to": price.valid_to.isoformat() if price.valid_to else "",
    }
