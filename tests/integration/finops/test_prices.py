"""The price book remembers what it knew, and when."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.utils import DatabaseError

from audit.actor import SYSTEM, Actor
from audit.models import Event
from core.errors import Invalid
from finops.models import Price
from finops.services.prices import current_book, ensure_default_prices, set_price
from tests.builders.finops import AT

FINANCE = Actor("user", "user:fiona", "Fiona")
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def _set(amount: str, valid_from: datetime, *, at: datetime = AT) -> Price:
    return set_price(
        sku="tokens/result",
        unit="Tokens",
        amount=Decimal(amount),
        valid_from=valid_from,
        reason="New contract",
        actor=FINANCE,
        at=at,
    )


def _known() -> list[tuple[int, datetime, datetime | None]]:
    rows = Price.objects.filter(known_to=None).order_by("valid_from")
    return [(int(row.amount), row.valid_from, row.valid_to) for row in rows]


def test_a_later_price_ends_the_earlier_one_and_keeps_what_was_known() -> None:
    first = _set("1", JANUARY)
    _set("2", JUNE, at=AT + timedelta(minutes=1))
    assert _known() == [(1, JANUARY, JUNE), (2, JUNE, None)]
    first.refresh_from_db()
    assert (int(first.amount), first.valid_to) == (1, None)
    assert first.known_to == AT + timedelta(minutes=1)


def test_a_planned_price_stays_when_an_earlier_one_is_set() -> None:
    _set("3", JUNE)
    _set("1", JANUARY)
    assert _known() == [(1, JANUARY, JUNE), (3, JUNE, None)]


def test_a_correction_of_the_same_start_replaces_what_was_known() -> None:
    wrong = _set("30", JANUARY)
    _set("3", JANUARY, at=AT + timedelta(days=1))
    assert _known() == [(3, JANUARY, None)]
    wrong.refresh_from_db()
    assert wrong.amount == 30
    assert Price.objects.count() == 2


def test_a_change_is_audited_with_its_reason() -> None:
    _set("1", JANUARY)
    _set("2", JANUARY)
    last = Event.objects.order_by("-id")[0]
    assert last.actor_id == "user:fiona"
    assert last.summary == (
        "Fiona set the price of tokens/result to 2 USD a Tokens: New contract"
    )
    body = json.loads(last.body)
    assert Decimal(body["before"]["amount"]) == 1
    assert Decimal(body["after"]["amount"]) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sku": "tokens"}, "is no SKU"),
        ({"sku": "tool/*.x"}, "is no SKU"),
        ({"unit": " "}, "Name the unit"),
        ({"amount": Decimal("-0.1")}, "from 0 up"),
        ({"amount": Decimal("NaN")}, "from 0 up"),
        ({"amount": Decimal("0.0000000000001")}, "12 decimal places"),
        ({"reason": "  "}, "Say why"),
    ],
)
def test_bad_prices_are_refused(changes: dict[str, object], message: str) -> None:
    values = {
        "sku": "tokens/result",
        "unit": "Tokens",
        "amount": Decimal(1),
        "reason": "New contract",
    } | changes
    with pytest.raises(Invalid, match=message):
        set_price(valid_from=AT, actor=FINANCE, at=AT, **values)  # type: ignore[arg-type]
    assert not Price.objects.exists()
    assert not Event.objects.exists()


def test_defaults_price_everything_that_is_metered_and_are_set_once() -> None:
    assert ensure_default_prices(at=AT, actor=SYSTEM) == 6
    assert ensure_default_prices(at=AT, actor=SYSTEM) == 0
    book = current_book()
    for sku, unit in (
        ("tokens/definitions", "Tokens"),
        ("tokens/script", "Tokens"),
        ("tokens/result", "Tokens"),
        ("tool/crm.list_orders", "Requests"),
        ("sandbox/cpu", "Seconds"),
        ("sandbox/memory", "GB-Seconds"),
    ):
        assert book.rate(sku, unit=unit, at=AT) is not None, sku


def test_defaults_leave_an_edited_price_alone() -> None:
    _set("9", JANUARY)
    assert ensure_default_prices(at=AT) == 5
    assert _known()[-1] == (9, JANUARY, None)


def test_the_database_refuses_a_change_of_a_price() -> None:
    price = _set("1", JANUARY)
    with pytest.raises(DatabaseError, match="refused"), transaction.atomic():
        Price.objects.filter(pk=price.pk).update(amount=2)
    with pytest.raises(DatabaseError, match="refused"), transaction.atomic():
        price.delete()
    _set("2", JANUARY)
    with pytest.raises(DatabaseError, match="refused"), transaction.atomic():
        Price.objects.filter(pk=price.pk).update(known_to=None)
