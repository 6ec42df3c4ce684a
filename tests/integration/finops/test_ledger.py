"""Rows that are late, of a token kind, or taken back."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.db.utils import IntegrityError

from core.period import preset
from finops.model_usage import ModelUsage, model_sku
from finops.models import UsageEvent
from finops.selectors.breakdown import breakdown
from finops.selectors.prices import unrated
from finops.selectors.reports import figures
from finops.selectors.scope import Scope
from finops.services.metering import Payer, Usage, book
from tests.builders.finops import AT, make_price, make_usage

PAYER = Payer("support", "CC-1", "default", "dev", "sa:support/agent")
ALL = Scope(teams=None)
LATER = AT + timedelta(days=40)

pytestmark = pytest.mark.django_db


def _model_usages(event: str, usage: ModelUsage) -> list[Usage]:
    return [
        Usage(
            uid=f"{event}.{kind}",
            kind=UsageEvent.Kind.MODEL_TOKENS,
            sku=model_sku("acme", "m-1", kind),
            unit="Tokens",
            quantity=quantity,
            known=UsageEvent.Known.REPORTED,
            model="m-1",
            token_kind=kind,
        )
        for kind, quantity in usage.parts()
    ]


def test_parts_of_a_model_are_booked_with_their_own_prices() -> None:
    make_price("model/acme/m-1/*", "0.000003")
    make_price("model/acme/m-1/cached_read", "0.0000003")
    make_price("model/acme/m-1/output", "0.000015")
    usage = ModelUsage(input=1000, cached_read=900, output=100, reasoning=40)
    booked = book(payer=PAYER, usages=_model_usages("e1", usage), at=AT)
    assert booked.cost == (
        100 * Decimal("0.000003")
        + 900 * Decimal("0.0000003")
        + 60 * Decimal("0.000015")
        + 40 * Decimal("0.000003")
    )
    rows = dict(UsageEvent.objects.values_list("token_kind", "quantity"))
    assert rows == {"input": 100, "cached_read": 900, "output": 60, "reasoning": 40}
    # The tokens that cross the gateway keep their meaning.
    period = preset("24h", zone="UTC", at=AT + timedelta(minutes=1))
    report = breakdown(ALL, period, "model")
    assert report.total.tokens == 0
    assert report.total.cost == booked.cost


def test_a_late_and_a_second_report_count_once_when_it_happened() -> None:
    make_price("model/*", "2", valid_from=AT - timedelta(days=1), valid_to=AT)
    make_price("model/*", "7", valid_from=AT)
    usages = _model_usages("e1", ModelUsage(input=1))
    then = AT - timedelta(hours=1)
    first = book(payer=PAYER, usages=usages, at=then, reported_at=LATER)
    again = book(payer=PAYER, usages=usages, at=LATER, reported_at=LATER)
    assert first == again
    row = UsageEvent.objects.get()
    assert (row.at, row.reported_at) == (then, LATER)
    assert row.cost == Decimal(2)


def test_a_kind_of_token_is_that_of_a_model_and_of_nothing_else() -> None:
    with pytest.raises(IntegrityError, match="usage_token_kind"), transaction.atomic():
        make_usage(token_kind="input")
    with pytest.raises(IntegrityError, match="usage_token_kind"), transaction.atomic():
        make_usage(kind="model_tokens")


def _take_back(row: UsageEvent) -> UsageEvent:
    cost = None if row.cost is None else str(-row.cost)
    more: dict[str, Any] = {"reverses": row.uid, "reported_at": LATER}
    return make_usage(row.sku, str(-row.quantity), cost=cost, at=row.at, **more)


def test_what_is_taken_back_counts_no_more() -> None:
    for cost in ("0.5", None):
        row = make_usage(cost=cost)
        _take_back(row)
        with pytest.raises(IntegrityError, match="reverses"), transaction.atomic():
            _take_back(row)
    kept = make_usage(cost=None, quantity="7")
    assert list(UsageEvent.objects.standing()) == [kept]
    assert unrated(None, since=AT) == 1
    period = preset("24h", zone="UTC", at=AT + timedelta(minutes=1))
    total = breakdown(ALL, period, "sku").total
    assert (total.unrated, total.tokens) == (1, 7)
    assert total.cost == Decimal(0)
    found = figures(ALL, period)
    assert (found.unrated, found.tokens) == (1, 7)
    assert found.cost == Decimal(0)
