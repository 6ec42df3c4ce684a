"""Fixed costs: by whole months, in any currency, valid in time and in knowledge."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.test import Client

from audit.actor import Actor
from audit.models import Event
from core.errors import Invalid, NotFound
from finops.models import Price
from finops.selectors.platform_costs import of_month
from finops.services.fx import set_rate
from finops.services.platform_costs import end_cost, set_cost
from policy.models import User
from tests.builders.finops import AT, make_price
from tests.builders.identity import make_cast

FINANCE = Actor("user", "user:fiona", "Fiona")
pytestmark = pytest.mark.django_db


def _set(amount: str, first: date, *, currency: str = "USD", name: str = "gw") -> Price:
    return set_cost(
        kind="licence",
        name=name,
        amount=Decimal(amount),
        currency=currency,
        first=first,
        reason="Contract",
        actor=FINANCE,
        at=AT,
    )


def _end(cost: Price, last: date) -> None:
    end_cost(cost_id=cost.pk, last=last, reason="Cancelled", actor=FINANCE, at=AT)


def _amounts(month: int) -> list[Decimal | None]:
    return [one.amount for one in of_month(date(2026, month, 1))]


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_cost_holds_from_its_month_until_it_is_set_anew_or_ends() -> None:
    _set("100", date(2026, 3, 17))
    later = _set("120", date(2026, 6, 1))
    assert [_amounts(month) for month in (2, 3, 5, 6, 12)] == [
        [],
        [Decimal(100)],
        [Decimal(100)],
        [Decimal(120)],
        [Decimal(120)],
    ]
    _end(later, date(2026, 9, 30))
    assert (_amounts(9), _amounts(10)) == ([Decimal(120)], [])
    # What was known before stays in the book.
    assert Price.objects.filter(known_to__isnull=False).count() == 2
    event = Event.objects.get(name="price.ended")
    assert event.summary == (
        "Fiona ended the price of platform/licence/gw with 2026-09: Cancelled"
    )
    assert json.loads(event.body)["before"] == {"valid_to": ""}


def test_months_begin_in_the_reports_zone(settings: object) -> None:
    settings.REPORT_TIME_ZONE = "Asia/Kathmandu"  # type: ignore[attr-defined]
    cost = _set("100", date(2026, 3, 1))
    assert cost.valid_from == datetime(2026, 2, 28, 18, 15, tzinfo=UTC)
    assert (_amounts(2), _amounts(3)) == ([], [Decimal(100)])


def test_what_begins_within_a_month_counts_from_the_next() -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    make_price("platform/other/x", "5", unit="Months", valid_from=start)
    make_price("platform/*", "5", unit="Months")
    make_price("platform/other/y", "5", unit="Requests")
    assert (_amounts(3), _amounts(4)) == ([], [Decimal(5)])


def test_another_currency_is_converted_by_the_months_rate_or_is_unrated() -> None:
    _set("100", date(2026, 3, 1), currency="EUR")
    for month, rate in ((4, "1.1"), (6, "1.25")):
        set_rate(
            month=date(2026, month, 1),
            currency="EUR",
            rate=Decimal(rate),
            reason="ECB",
            actor=FINANCE,
            at=AT,
        )
    assert [_amounts(month) for month in (3, 4, 5, 6)] == [
        [None],
        [Decimal(110)],
        [Decimal(110)],
        [Decimal(125)],
    ]
    (found,) = of_month(date(2026, 6, 1))
    assert (found.kind, found.list_amount, found.list_currency) == (
        "licence",
        Decimal(100),
        "EUR",
    )


def test_an_end_comes_after_the_beginning_and_before_the_end() -> None:
    cost = _set("100", date(2026, 3, 1))
    with pytest.raises(Invalid, match="begins in 2026-03"):
        _end(cost, date(2026, 2, 1))
    _end(cost, date(2026, 5, 1))
    with pytest.raises(NotFound):
        _end(cost, date(2026, 4, 1))
    (known,) = Price.objects.filter(known_to=None)
    with pytest.raises(Invalid, match="by then already"):
        _end(known, date(2026, 5, 1))
    with pytest.raises(Invalid, match="no kind"):
        set_cost(
            kind="gift",
            name="x",
            amount=Decimal(1),
            currency="USD",
            first=AT.date(),
            reason="r",
            actor=FINANCE,
            at=AT,
        )
    with pytest.raises(Invalid, match="A name is"):
        _set("1", AT.date(), name="a/b*")


def test_finance_sets_and_ends_a_cost_and_all_read_it() -> None:
    cast = make_cast()
    finance, member = _client(cast.finance), _client(cast.member)
    values = {
        "kind": "hardware",
        "name": "gpu-host",
        "amount": "1200.50",
        "currency": "usd",
        "first": "2026-03",
        "reason": "Lease",
    }
    assert finance.post("/costs/platform/set/", values).status_code == 302
    wrong = finance.post("/costs/platform/set/", values | {"name": "no/slash"})
    assert wrong.status_code == 422
    page = member.get("/costs/platform/?month=2026-04").content.decode()
    assert "hardware/gpu-host" in page
    assert "1,200.50 USD" in page
    shown = member.get("/api/v1/costs/platform/?month=2026-04").json()
    assert shown["costs"][0]["name"] == "hardware/gpu-host"
    assert Decimal(shown["costs"][0]["amount"]) == Decimal("1200.5")
    assert member.get("/api/v1/costs/platform/?month=x").status_code == 422
    table = b"".join(member.get("/costs/platform/export/?month=2026-04"))
    assert table.decode().splitlines()[1] == (
        "2026-04,USD,hardware/gpu-host,1200.500000000000,1200.500000000000,USD,"
    )
    cost = Price.objects.get()
    end = {"last": "2026-04", "reason": "Returned"}
    assert finance.post(f"/costs/platform/{cost.pk}/end/", end).status_code == 302
    assert (_amounts(4), _amounts(5)) == ([Decimal("1200.5")], [])
