"""A bundle held against its statements: whole, and tampered with."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from core.money import total
from finops.exports.bundle import (
    COST_AND_USAGE,
    INVOICE_DETAIL,
    Content,
    archive,
    write,
)
from finops.exports.reconcile import differences
from tests.builders.focus import MONTHS, ZONES, sample

Rows = list[dict[str, str]]


@pytest.fixture
def content() -> Content:
    return sample(date(2026, 11, 1))


def cost_of(content: Content) -> Decimal:
    return total(one.cost for one in content.charges if not one.is_rounding)


def looked_at(folder: Path, content: Content) -> list[str]:
    return differences(folder, content.documents, cost=cost_of(content))


def change(folder: Path, name: str, act: Callable[[Rows], object]) -> None:
    """Write a file again after ``act`` changed its rows."""
    with (folder / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0])
    act(rows)
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("month", MONTHS)
def test_a_bundle_agrees_with_its_statements(
    tmp_path: Path, month: date, zone: str
) -> None:
    content = sample(month, zone)
    write(content, tmp_path)
    assert looked_at(tmp_path, content) == []


def test_the_same_month_gives_the_same_bytes(tmp_path: Path, content: Content) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write(content, one)
    write(content, two)
    files = sorted(path.name for path in one.iterdir())
    assert len(files) == 4
    for name in files:
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_the_archive_holds_the_files_and_has_the_same_bytes_too(
    tmp_path: Path, content: Content
) -> None:
    write(content, tmp_path)
    made = b"".join(archive(content))
    with zipfile.ZipFile(io.BytesIO(made)) as whole:
        assert whole.testzip() is None
        for name in whole.namelist():
            assert whole.read(name) == (tmp_path / name).read_bytes()
        assert len(whole.namelist()) == 4
    assert made == b"".join(archive(content))


def test_a_cost_that_was_tampered_with_is_found(
    tmp_path: Path, content: Content
) -> None:
    write(content, tmp_path)

    def tamper(rows: Rows) -> None:
        for name in ("BilledCost", "EffectiveCost"):
            rows[0][name] = str(Decimal(rows[0][name]) + Decimal("0.000000000001"))

    change(tmp_path, COST_AND_USAGE, tamper)
    found = " ".join(looked_at(tmp_path, content))
    assert "is not the file that the manifest names" in found
    assert "Cost and Usage has 3.700000000001, the statement 3.7" in found
    assert "Invoice Detail 3.703703673705" in found
    assert "Cost and Usage without rounding is" in found


def test_money_moved_between_two_invoices_is_found(
    tmp_path: Path, content: Content
) -> None:
    write(content, tmp_path)

    def move(rows: Rows) -> None:
        for row, change in ((rows[0], 1), (rows[-1], -1)):
            row["BilledCost"] = str(Decimal(row["BilledCost"]) + change)
        assert rows[0]["InvoiceId"] != rows[-1]["InvoiceId"]

    change(tmp_path, INVOICE_DETAIL, move)
    found = looked_at(tmp_path, content)
    assert sum("Invoice Detail has" in one for one in found) == 2


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("BilledCost", "1/3", "BilledCost is no number"),
        ("BilledCost", "", "BilledCost is empty"),
        ("ListUnitPrice", "-1", "ListUnitPrice is negative"),
        ("ListCost", "7", "ListCost is not price times quantity"),
        ("BillingCurrency", "usd", "is no currency"),
        ("ChargeCategory", "Refund", "ChargeCategory is not allowed"),
        ("ChargePeriodStart", "2026-11-01 00:00", "is no moment in UTC"),
        ("ChargePeriodStart", "2026-12-01T00:00:00Z", "ends before it starts"),
        ("ChargePeriodStart", "2026-01-01T00:00:00Z", "month before is a correction"),
        ("ChargePeriodEnd", "2027-01-01T00:00:00Z", "of a month to come"),
        ("Tags", "team=support", "is no object of JSON"),
        ("ConsumedUnit", "", "ConsumedQuantity and ConsumedUnit go together"),
        ("PricingUnit", "1000", "PricingUnit is no unit"),
        ("SkuPriceId", "", "ListUnitPrice without a price"),
        ("SkuId", "", "a price needs its SKU"),
        ("ServiceSubcategory", "Containers", "is of another category"),
        ("AllocatedMethodId", "r@1", "an allocation needs its method"),
        ("InvoiceId", "", "InvoiceId and InvoiceDetailId go together"),
        ("SubAccountName", "", "SubAccountId and SubAccountName go together"),
        ("ServiceName", "", "ServiceName is empty"),
    ],
)
def test_a_row_against_the_rules_is_found(
    tmp_path: Path, content: Content, column: str, value: str, said: str
) -> None:
    write(content, tmp_path)

    def spoil(rows: Rows) -> None:
        rows[0][column] = value

    change(tmp_path, COST_AND_USAGE, spoil)
    assert any(said in one for one in looked_at(tmp_path, content))
