"""Closed months of a ledger in PostgreSQL as FOCUS files."""

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from core.money import multiply, total
from finops.exports.bundle import COST_AND_USAGE, INVOICE_DETAIL, write
from finops.exports.invoices import Unreconciled
from finops.exports.reconcile import differences
from finops.models import BillingPeriod, StatementLine
from finops.selectors.charges import content_of
from finops.services import adjustments, closing, rerating
from finops.services.fx import set_rate
from finops.services.metering import Payer, Usage, book
from tests.builders.chargeback import (
    AFTER_NOVEMBER,
    AFTER_OCTOBER,
    CONTROLLER,
    IN_OCTOBER,
    NOVEMBER,
    OCTOBER,
    make_built,
    make_centre,
    make_closed,
    make_rule,
)
from tests.builders.finops import make_price, make_usage

pytestmark = pytest.mark.django_db
MODEL = "model/openai/gpt-5/input"


def read(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def exported(period: BillingPeriod, folder: Path) -> list[str]:
    """Write a month, and say what is wrong with what was written."""
    content = content_of(period)
    write(content, folder)
    cost = total((period.ledger_cost, period.platform_cost, period.adjusted))
    return differences(folder, content.documents, cost=cost)


def make_model_usage(quantity: str, at: datetime, **fields: Any) -> None:
    """Model tokens booked at the price that stands in the book for them."""
    price = make_price(MODEL, "0.00000125") if "price" not in fields else None
    cost = multiply(Decimal(quantity), Decimal("0.00000125"))
    make_usage(
        MODEL,
        quantity,
        cost=str(cost),
        at=at,
        kind="model_tokens",
        unit="Tokens",
        token_kind="input",
        model="gpt-5",
        **({"price": price} | fields),
    )


def test_a_closed_month_agrees_with_its_files(tmp_path: Path) -> None:
    make_model_usage("123456789", IN_OCTOBER, team="sales")
    make_usage("tool/crm.read", "3", cost="0.333333333333", at=IN_OCTOBER)
    make_centre("CC-support", name="Customer support")
    make_centre("CC-sales")
    make_centre("CC-show", charged=False)
    make_rule(
        sku="model/*",
        method="fixed",
        receivers=[("CC-support", "33.3"), ("CC-sales", "33.3"), ("CC-show", "33.4")],
    )

    assert exported(make_closed(), tmp_path) == []

    rows = read(tmp_path, COST_AND_USAGE)
    shared = [row for row in rows if row["AllocatedMethodId"]]
    assert {row["SubAccountId"] for row in shared} == {"CC-sales"}
    assert [row["AllocatedResourceId"] for row in shared] == [
        *("CC-sales", "CC-show", "CC-support"),
    ]
    assert {row["SkuId"] for row in shared} == {MODEL}
    assert {row["PricingUnit"] for row in shared} == {"1000000 Tokens"}
    assert {row["ListUnitPrice"] for row in shared} == {"1.25"}
    assert total(Decimal(row["ConsumedQuantity"]) for row in shared) == 123456789
    assert {row["InvoiceId"] == "" for row in shared if row["x_Showback"]} == {True}
    names = {row["SubAccountId"]: row["SubAccountName"] for row in rows}
    assert names["CC-support"] == "Customer support"


def test_late_usage_and_credits_are_corrections_of_their_month(tmp_path: Path) -> None:
    make_model_usage("1000000", IN_OCTOBER)
    make_closed()
    closing.issue(month=OCTOBER, actor=CONTROLLER, at=AFTER_OCTOBER)
    first = tmp_path / "october"
    assert exported(BillingPeriod.objects.get(month=OCTOBER), first) == []
    make_model_usage("2000000", IN_OCTOBER, price=None)
    make_usage(cost="1", at=datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
    adjustments.adjust(
        month=NOVEMBER,
        centre="CC-support",
        kind="credit",
        amount=Decimal("-1.5"),
        charge_month=OCTOBER,
        reason="=made good",
        actor=CONTROLLER,
        at=AFTER_NOVEMBER,
    )

    assert exported(make_closed(NOVEMBER, at=AFTER_NOVEMBER), tmp_path) == []

    (number,) = {row["InvoiceId"] for row in read(first, COST_AND_USAGE)}
    rows = read(tmp_path, COST_AND_USAGE)
    corrected = [row for row in rows if row["ChargeClass"]]
    assert [row["ChargeCategory"] for row in corrected] == ["Usage", "Credit"]
    assert corrected[0]["ChargePeriodStart"] == "2026-10-12T00:00:00Z"
    assert {row["BillingPeriodStart"] for row in rows} == {"2026-11-01T00:00:00Z"}
    assert number not in {row["InvoiceId"] for row in rows}
    referenced = {
        row["ReferenceInvoiceId"]
        for row in read(tmp_path, INVOICE_DETAIL)
        if row["InvoiceDetailId"] in {one["InvoiceDetailId"] for one in corrected}
    }
    assert referenced == {number}


def test_pricing_anew_leaves_no_trace_within_the_month(tmp_path: Path) -> None:
    make_usage(cost="5", at=IN_OCTOBER, quantity="100")
    make_price("tokens/result", "0.07")
    wanted = rerating.Wanted(IN_OCTOBER, IN_OCTOBER + timedelta(hours=1))
    rerating.rerate(
        wanted=wanted, reason="a better price", actor=CONTROLLER, at=AFTER_OCTOBER
    )

    assert exported(make_closed(), tmp_path) == []

    (row,) = read(tmp_path, COST_AND_USAGE)
    assert (row["BilledCost"], row["ConsumedQuantity"]) == ("7", "100")


def test_usage_without_a_price_is_in_no_file(tmp_path: Path) -> None:
    make_usage(cost=None, at=IN_OCTOBER)
    make_usage("tool/crm.read", "1", cost="0", at=IN_OCTOBER)

    assert exported(make_closed(reason="to be priced later"), tmp_path) == []

    (row,) = read(tmp_path, COST_AND_USAGE)
    assert (row["SkuId"], row["BilledCost"]) == ("tool/crm.read", "0")


def test_a_line_that_is_not_what_the_ledger_says_stops_the_export(
    tmp_path: Path,
) -> None:
    make_usage(cost="5", at=IN_OCTOBER)
    period = make_built()
    StatementLine.objects.update(cost=Decimal("5.000000000001"))

    with pytest.raises(Unreconciled, match=r"costs 5\.000000000001"):
        write(content_of(period), tmp_path)


@pytest.mark.parametrize("days", [2, 20])
def test_the_number_of_queries_stays(
    tmp_path: Path, days: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for day in range(1, days):
        make_usage(cost="1", at=IN_OCTOBER + timedelta(days=day), team=f"team-{day}")
    period = make_built()

    with django_assert_num_queries(7):
        write(content_of(period), tmp_path)


@pytest.mark.parametrize(
    "zone", ["Pacific/Auckland", "America/New_York", "Asia/Kathmandu"]
)
@pytest.mark.parametrize(
    "month", [date(2024, 2, 1), date(2026, 3, 1), date(2026, 4, 1), date(2026, 11, 1)]
)
def test_days_are_those_of_the_zone(
    settings: Settings, tmp_path: Path, zone: str, month: date
) -> None:
    settings.REPORT_TIME_ZONE = zone
    start = datetime(month.year, month.month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = datetime(month.year, month.month + 1, 1, tzinfo=ZoneInfo(zone))
    end = end.astimezone(UTC)
    last = timedelta(microseconds=1)
    for at in (start, end - last, start + (end - start) / 2):
        make_usage(cost="1", at=at)
    make_usage(cost="8", at=end)
    period = make_built(month, at=end + timedelta(days=1))

    assert exported(period, tmp_path) == []

    rows = read(tmp_path, COST_AND_USAGE)
    assert total(Decimal(row["BilledCost"]) for row in rows) == 3
    assert rows[0]["ChargePeriodStart"] == f"{start:%Y-%m-%dT%H:%M:%SZ}"
    assert rows[-1]["ChargePeriodEnd"] == f"{end:%Y-%m-%dT%H:%M:%SZ}"
    assert {row["BillingPeriodEnd"] for row in rows} == {f"{end:%Y-%m-%dT%H:%M:%SZ}"}


def test_prices_in_another_currency_are_told_at_the_rate_of_the_month(
    tmp_path: Path,
) -> None:
    set_rate(
        month=OCTOBER,
        currency="EUR",
        rate=Decimal("1.1"),
        source="ECB",
        reason="the month's rate",
        actor=CONTROLLER,
        at=AFTER_OCTOBER,
    )
    make_price(MODEL, "0.000003333333", currency="EUR")
    book(
        payer=Payer("sales", "CC-sales", "default", "prod", "sa:sales/agent"),
        usages=[
            Usage(
                *("u1", "model_tokens", MODEL, "Tokens", Decimal(7), "reported"),
                token_kind="input",
            )
        ],
        at=IN_OCTOBER,
    )

    assert exported(make_closed(), tmp_path) == []

    row = read(tmp_path, COST_AND_USAGE)[0]
    assert row["ListUnitPrice"] == "3.6666663"
    assert row["ListCost"] == "0.0000256666641"
    assert row["BilledCost"] == "0.000025666664"
    assert row["BillingCurrency"] == "USD"
    assert row["PricingCurrency"] == "EUR"
    assert row["PricingCurrencyListUnitPrice"] == "3.333333"
    assert row["PricingCurrencyEffectiveCost"] == "0.000023333331"
