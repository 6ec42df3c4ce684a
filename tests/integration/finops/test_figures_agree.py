"""One month, one figure: costs by cost centre, statements and files agree."""

import csv
import io
import json
import zipfile
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import cast as typed

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from pytest_django import Settings

from core.money import total
from finops.exports.bundle import COST_AND_USAGE
from finops.models import BillingPeriod
from tests.builders.chargeback import AFTER_NOVEMBER, NOVEMBER, make_closed
from tests.builders.finops import make_usage
from tests.builders.identity import Cast

pytestmark = pytest.mark.django_db
SEPTEMBER = date(2026, 9, 1)
LATE = datetime(2026, 10, 20, tzinfo=UTC)
Sums = dict[str, Decimal]


@pytest.fixture
def finance(cast: Cast, settings: Settings) -> Client:
    """The controller, before an October in Auckland with usage at both its edges."""
    settings.REPORT_TIME_ZONE = "Pacific/Auckland"
    for at, cost, centre in (
        (datetime(2026, 9, 30, 10, 59, tzinfo=UTC), "1000", "CC-1"),
        (datetime(2026, 9, 30, 11, 0, tzinfo=UTC), "0.005", "CC-1"),
        (datetime(2026, 10, 12, tzinfo=UTC), "7.000000000001", "CC-2"),
        (datetime(2026, 10, 31, 10, 59, tzinfo=UTC), "0.0049", ""),
        (datetime(2026, 10, 31, 11, 0, tzinfo=UTC), "2000", "CC-2"),
    ):
        make_usage(cost=cost, at=at, cost_centre=centre)
    make_closed(SEPTEMBER, at=datetime(2026, 10, 3, tzinfo=UTC))
    client = Client()
    client.force_login(cast.finance)
    return client


def body(client: Client, path: str) -> bytes:
    response = client.get(path)
    assert response.status_code == 200, path
    if isinstance(response, StreamingHttpResponse):
        return b"".join(typed(Iterable[bytes], response.streaming_content))
    return response.content


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def by_centre(rows: Iterable[tuple[str, str]]) -> Sums:
    found: Sums = {}
    for centre, cost in rows:
        name = centre or "unallocated"
        found[name] = found.get(name, Decimal(0)) + Decimal(cost)
    return found


def of_costs(client: Client, first: str, last: str) -> Sums:
    """What the cost report says of these days."""
    path = f"/costs/?first={first}&last={last}&by=cost_centre&export=csv"
    rows = read(body(client, path))
    return by_centre((row["cost_centre"], row["cost"]) for row in rows)


def of_lines(client: Client, month: str) -> Sums:
    """What the file of a month's lines says."""
    rows = read(body(client, f"/chargeback/{month}/export/csv/"))
    return by_centre((row["cost_centre"], row["cost"]) for row in rows)


def of_focus(client: Client, month: str) -> Sums:
    """What FOCUS says without rounding."""
    file = io.BytesIO(body(client, f"/chargeback/{month}/export/focus/"))
    with zipfile.ZipFile(file) as whole:
        rows = read(whole.read(COST_AND_USAGE))
    return by_centre(
        (row["SubAccountId"], row["BilledCost"])
        for row in rows
        if not row["x_Rounding"]
    )


def of_documents(client: Client, month: str) -> Sums:
    """What the digests cover."""
    found = json.loads(body(client, f"/chargeback/{month}/export/json/"))
    return {
        one["cost_centre"]: Decimal(one["cost"])
        for one in (each["content"] for each in found["statements"])
    }


def test_a_month_is_the_same_in_every_report(finance: Client) -> None:
    october = {
        "CC-1": Decimal("0.005"),
        "CC-2": Decimal("7.000000000001"),
        "unallocated": Decimal("0.0049"),
    }
    closed = make_closed(at=datetime(2026, 11, 3, tzinfo=UTC))

    assert closed.ledger_cost == total(october.values())
    assert of_costs(finance, "2026-10-01", "2026-10-31") == october
    assert of_lines(finance, "2026-10") == october
    assert of_focus(finance, "2026-10") == october
    assert of_documents(finance, "2026-10") == october


def test_what_comes_late_is_in_the_costs_of_its_month_and_billed_with_the_next(
    finance: Client,
) -> None:
    make_closed(at=datetime(2026, 11, 3, tzinfo=UTC))
    make_usage(cost="-0.25", at=LATE, cost_centre="CC-2")
    make_closed(NOVEMBER, at=AFTER_NOVEMBER)

    costs = total(of_costs(finance, "2026-09-01", "2026-11-30").values())
    months = ("2026-09", "2026-10", "2026-11")
    for said in (of_lines, of_focus, of_documents):
        assert total(total(said(finance, one).values()) for one in months) == costs
    closed = BillingPeriod.objects.filter(closed_at__isnull=False)
    assert total(one.ledger_cost for one in closed) == costs
    assert of_lines(finance, "2026-11")["CC-2"] == Decimal("1999.75")
