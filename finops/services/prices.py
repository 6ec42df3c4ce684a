"""Changes the price book, and keeps a copy of it in each process."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction

from audit.actor import SYSTEM, Actor, Target
from audit.services.record import record
from core.errors import Invalid
from core.models import Revision, raise_revision
from core.reasons import reason_given
from finops import events
from finops.models import Price
from finops.price_book import PriceBook, Rate
from finops.price_plan import Line, Plan, plan
from finops.price_rules import fault_of
from finops.selectors.rates import check_currency, known_exchange

PRICES = "prices"
# The id beside the revision tells apart a book whose change was rolled back: numbers
# of a sequence are never given twice.
_STAMP = """
SELECT coalesce((SELECT number FROM core_revision WHERE name = 'prices'), 1),
       coalesce((SELECT max(id) FROM finops_price), 0),
       coalesce((SELECT max(id) FROM finops_exchangerate), 0)
"""
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
    stamp: tuple[int, int, int, str, str]
    book: PriceBook


_held: _Held | None = None


def current_book() -> PriceBook:
    """The prices and exchange rates known now; one small query if unchanged."""
    global _held
    stamp = _stamp()
    held = _held
    if held is None or held.stamp != stamp:
        # The stamp is read first: a change in between makes the next call read again.
        held = _held = _Held(stamp, _read_book())
    return held.book


def book_stamp() -> str:
    """Names the prices and rates known now: another stamp is another book."""
    return ":".join(map(str, _stamp()))


def hold_book() -> None:
    """Let the book stand still until the running transaction ends."""
    Revision.objects.get_or_create(pk=PRICES)
    Revision.objects.select_for_update().get(pk=PRICES)


def _stamp() -> tuple[int, int, int, str, str]:
    with connection.cursor() as cursor:
        cursor.execute(_STAMP)
        number, price, rate = cursor.fetchone()
    return number, price, rate, settings.CURRENCY, settings.REPORT_TIME_ZONE


def _read_book() -> PriceBook:
    known = Price.objects.filter(known_to=None).order_by("-valid_from", "-pk")
    return _book_of(map(line_of, known))


def _book_of(lines: Iterable[Line]) -> PriceBook:
    rates = (
        Rate(
            id=line.id or 0,
            sku=line.sku,
            unit=line.unit,
            amount=line.amount,
            currency=line.currency,
            valid_from=line.valid_from,
            valid_to=line.valid_to,
            daily_from=line.daily_from,
            daily_to=line.daily_to,
        )
        for line in lines
    )
    return PriceBook(rates, known_exchange())


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
    currency: str = "",
) -> Price:
    """Set what one ``unit`` of ``sku`` costs from ``valid_from`` on.

    ``currency`` is the organization's where none is given: any other is converted as
    usage is booked. It lasts until the next price of that SKU that is already planned.
    What was known before stays as a row whose knowledge ended at ``at``; usage that is
    booked keeps its cost. Raises Invalid.
    """
    money = currency or settings.CURRENCY
    _check(sku=sku, unit=unit, amount=amount, currency=money, reason=reason)
    raise_revision(PRICES)  # its row lock makes changes of the book take turns
    line = Line(sku, unit, amount, money, valid_from, source=source)
    standing = _standing([line])
    before = next((one for one in standing if _holds(one, line)), None)
    # A price that is set again as it stands is known anew, with its reason.
    _write(plan(standing, [line], again=True), at=at)
    price = Price.objects.get(
        sku=sku,
        unit=unit,
        currency=money,
        known_to=None,
        daily_from=None,
        valid_from=valid_from,
    )
    record(
        events.PRICE_SET,
        actor=actor,
        at=at,
        target=Target("price", sku, sku),
        before=_as_dict(before) if before else None,
        after=_as_dict(line_of(price)),
        payload={
            "amount": f"{amount:f} {price.currency} a {unit}",
            "reason": reason.strip(),
        },
    )
    return price


def end_price(*, price: Price, end: datetime, at: datetime) -> None:
    """Let a price end earlier, in the caller's transaction that puts it on record."""
    line = line_of(price)
    _write(Plan((), (line,), (replace(line, valid_to=end, id=None),), 0), at=at)


def preview(lines: Sequence[Line]) -> Plan:
    """What bringing these prices into the book would change now."""
    return plan(_standing(lines), lines)


def book_with(lines: Sequence[Line]) -> PriceBook:
    """The book as it would be with these prices; nothing is written."""
    known = Price.objects.filter(known_to=None)
    standing = [line_of(price) for price in known.order_by("valid_from", "pk")]
    found = plan(standing, lines)
    kept = [line for line in standing if line not in found.ended]
    return _book_of((*found.added, *kept))


def digest_of(found: Plan) -> str:
    """Names a plan, so that only what was looked at is brought in."""
    text = repr((found.ended, found.added))
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def bring_in(
    *,
    lines: Sequence[Line],
    source: str,
    reason: str,
    actor: Actor,
    at: datetime,
    looked_at: str = "",
) -> Plan:
    """Bring prices into the book, all or none, and return what that changed.

    ``looked_at`` is the digest of the plan that the person saw. Raises Invalid, also
    where the book has changed since. Prices that stand already change nothing.
    """
    why = reason_given(reason)
    raise_revision(PRICES)
    found = preview(lines)
    if looked_at and looked_at != digest_of(found):
        raise Invalid("The price book has changed since: look at the difference again.")
    if not found.added:
        return found
    _write(found, at=at)
    record(
        events.PRICES_BROUGHT_IN,
        actor=actor,
        at=at,
        target=Target("prices", settings.CURRENCY, "Price book"),
        payload={
            "source": source,
            "prices": len(found.changes),
            "ended": len(found.ended),
            "digest": digest_of(found),
            "reason": why,
        },
    )
    return found


def ensure_default_prices(*, at: datetime, actor: Actor = SYSTEM) -> int:
    """Give every SKU that has no price yet a default; returns how many were set."""
    known = set(Price.objects.filter(known_to=None).values_list("sku", "unit"))
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


def line_of(price: Price) -> Line:
    """A row of the book as a line."""
    return Line(
        sku=price.sku,
        unit=price.unit,
        amount=price.amount,
        currency=price.currency,
        valid_from=price.valid_from,
        valid_to=price.valid_to,
        daily_from=price.daily_from,
        daily_to=price.daily_to,
        source=price.source,
        id=price.pk,
    )


def _standing(lines: Sequence[Line]) -> list[Line]:
    """What is known now of the SKUs of ``lines``."""
    known = Price.objects.filter(
        known_to=None,
        sku__in={line.sku for line in lines},
    )
    return [line_of(price) for price in known.order_by("valid_from", "pk")]


def _holds(line: Line, other: Line) -> bool:
    """Whether a line is in force at the start of another of its slot."""
    start = other.valid_from
    return line.slot == other.slot and (
        line.valid_from <= start and (line.valid_to is None or start < line.valid_to)
    )


def _write(found: Plan, *, at: datetime) -> None:
    Price.objects.filter(pk__in=[line.id for line in found.ended]).update(known_to=at)
    Price.objects.bulk_create(
        Price(
            sku=line.sku,
            unit=line.unit,
            amount=line.amount,
            currency=line.currency,
            valid_from=line.valid_from,
            valid_to=line.valid_to,
            daily_from=line.daily_from,
            daily_to=line.daily_to,
            known_from=at,
            source=line.source,
        )
        for line in found.added
    )


def _check(*, sku: str, unit: str, amount: Decimal, currency: str, reason: str) -> None:
    if fault := fault_of(sku=sku, unit=unit, amount=amount):
        raise Invalid(fault)
    check_currency(currency)
    if len(reason.strip()) < 3:
        raise Invalid("Say why the price changes: the reason is kept in the trail.")


def _as_dict(price: Line) -> dict[str, str]:
    return {
        "amount": f"{price.amount:f}",
        "currency": price.currency,
        "unit": price.unit,
        "valid_from": price.valid_from.isoformat(),
        "valid_to": price.valid_to.isoformat() if price.valid_to else "",
    }
