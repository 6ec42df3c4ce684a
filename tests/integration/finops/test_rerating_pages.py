"""Unrated usage and re-rating in the browser."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from core.clock import now
from finops.models import BillingPeriod, Rerating, UsageEvent
from policy.models import User
from tests.builders.finops import make_price, make_usage
from tests.builders.identity import Cast

pytestmark = pytest.mark.django_db


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_unrated_skus_lead_to_a_price(cast: Cast) -> None:
    at = now()
    make_usage("tokens/new", "40", cost=None, at=at - timedelta(days=90), team="sales")
    make_usage("tokens/new", "2.5", cost=None, at=at, team="sales")
    make_usage("tokens/other", "7", cost=None, at=at, team="support")
    make_usage("tokens/rated", "7", cost="1", at=at)
    page = _client(cast.finance).get("/costs/unrated/").content.decode()
    assert "42.5" in page
    assert f"{at - timedelta(days=90):%Y-%m-%d}" in page
    assert "/costs/prices/?sku=tokens%2Fnew&amp;unit=Tokens" in page
    assert "tokens/rated" not in page
    member = _client(cast.member).get("/costs/unrated/").content.decode()
    assert "tokens/new" in member
    assert "tokens/other" not in member
    assert "Set a price" not in member
    form = _client(cast.finance).get("/costs/prices/?sku=tokens/new&unit=Tokens")
    assert form.context["form"].initial["unit"] == "Tokens"
    todo = _client(cast.finance).get("/").content.decode()
    assert "/costs/unrated/" in todo


def test_more_skus_cost_no_more_queries(cast: Cast) -> None:
    client = _client(cast.finance)
    counts = []
    for size in (3, 30):
        for number in range(size):
            make_usage(f"tokens/{size}-{number}", cost=None, at=now())
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/costs/unrated/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def _looked(client: Client, values: dict[str, str]) -> tuple[str, str]:
    """The address of a difference, and its page."""
    answer = client.post("/costs/rerate/", values)
    assert answer.status_code == 302
    address = answer["Location"]
    return address, client.get(address).content.decode()


def test_finance_sees_the_difference_and_prices_anew(cast: Cast) -> None:
    at = now()
    make_price("tokens/new", "0.5")
    make_usage("tokens/new", "10", cost=None, at=at)
    client = _client(cast.finance)
    day = f"{at:%Y-%m-%d}"
    values = {"first": day, "last": day, "sku": "tokens/*"}
    address, shown = _looked(client, values)
    assert "1 row of 1 to take back" in shown
    assert "5.00 USD" in shown
    digest = Rerating.objects.get().digest
    wrong = {"digest": "x", "reason": "Price was late"}
    for body in ({"digest": digest}, wrong, {"digest": digest, "reason": " "}):
        assert client.post(address, body).status_code == 422
    assert UsageEvent.objects.count() == 1
    done = {"digest": digest, "reason": "Price was late"}
    assert client.post(address, done).status_code == 302
    assert "Done: 1 row taken back" in client.get(address).content.decode()
    assert UsageEvent.objects.standing().get().cost == Decimal(5)
    event = Event.objects.get(name="usage.rerated")
    assert event.actor_id == f"user:{cast.finance.username}"
    # The same form sent twice.
    assert client.post(address, done).status_code == 422
    assert UsageEvent.objects.count() == 3
    assert "Nothing would change" in _looked(client, values)[1]
    assert "Everything has a price" in client.get("/costs/unrated/").content.decode()
    table = b"".join(client.get(f"{address}export/")).decode()
    assert table.splitlines()[1].startswith("tokens/new,1,0,5.000000000000,")
    assert _client(cast.member).get(address).status_code == 403


def test_a_closed_month_is_named(cast: Cast) -> None:
    at = now()
    make_price("tokens/new", "0.5")
    make_usage("tokens/new", "10", cost=None, at=at)
    client = _client(cast.finance)
    day = f"{at:%Y-%m-%d}"
    address, shown = _looked(client, {"first": day, "last": day})
    assert "next open month" not in shown
    month = BillingPeriod.objects.create(
        month=at.date().replace(day=1),
        zone="UTC",
        currency="USD",
        state=BillingPeriod.State.CLOSED,
    )
    page = client.get(address).content.decode()
    assert f"{month.month:%B %Y} is closed" in page
    assert "next open month" in page


def test_a_period_that_ends_before_it_starts_is_refused(cast: Cast) -> None:
    values = {"first": "2026-11-02", "last": "2026-11-01"}
    answer = _client(cast.finance).post("/costs/rerate/", values)
    assert answer.status_code == 422
    assert "the first day first" in answer.content.decode()
