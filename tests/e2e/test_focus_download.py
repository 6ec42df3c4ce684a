"""A controller takes a closed month along as FOCUS, and validators accept it."""

import json
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser

from core.clock import now
from finops.chargeback.months import bounds, month_at, month_before
from finops.exports.bundle import (
    BILLING_PERIOD,
    COST_AND_USAGE,
    INVOICE_DETAIL,
    MANIFEST,
)
from finops.exports.reconcile import differences
from finops.models import BillingPeriod
from finops.selectors.statements import documents_of
from tests.builders.chargeback import make_closed
from tests.builders.finops import make_price, make_usage
from tests.builders.identity import Cast
from tests.e2e.conftest import visit
from tests.stack import Stack

DATASETS = {
    COST_AND_USAGE: "cost-and-usage",
    INVOICE_DETAIL: "invoice-detail",
    BILLING_PERIOD: "billing-period",
}


@pytest.fixture
def closed(stack: Stack, people: Cast) -> date:
    """A closed month, whatever other tests have left: one before all that are open."""
    with stack.database():
        months = BillingPeriod.objects.order_by("month")
        if done := months.exclude(closed_at=None).last():
            return done.month
        zone = settings.REPORT_TIME_ZONE
        first = months.first()
        month = month_before(first.month if first else month_at(now(), zone))
        months.create(month=month, zone=zone, currency=settings.CURRENCY)
        start, end = bounds(month, zone)
        price = make_price("model/openai/gpt-5/input", "0.00000125")
        make_usage(
            "model/openai/gpt-5/input",
            "1234567",
            cost="1.54320875",
            at=start,
            kind="model_tokens",
            token_kind="input",
            unit="Tokens",
            price=price,
        )
        return make_closed(month, at=end, reason="for the export").month


def toolkit(*arguments: str | Path) -> str:
    """What focus-toolkit says; it fails where a file is not valid."""
    program = shutil.which("focus-toolkit") or Path(sys.executable).with_name(
        "focus-toolkit"
    )
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_controller_downloads_a_month_that_validates(
    browser: Browser, stack: Stack, people: Cast, closed: date, tmp_path: Path
) -> None:
    context, visitor = visit(browser, stack)
    visitor.sign_in(people.finance.username)
    visitor.open(f"/chargeback/{closed:%Y-%m}/export/")
    with visitor.page.expect_download() as begun:
        visitor.page.get_by_role("link", name="Download FOCUS 1.4").click()
    file = tmp_path / begun.value.suggested_filename
    begun.value.save_as(file)
    context.close()
    assert file.name == f"chargeback-{closed:%Y-%m}-focus-1.4.zip"

    folder = tmp_path / "bundle"
    with zipfile.ZipFile(file) as whole:
        whole.extractall(folder)

    for name, dataset in DATASETS.items():
        assert "lint OK" in toolkit("validate", folder / name, "--dataset", dataset)
    assert "bundle validation: OK" in toolkit("validate-bundle", "--directory", folder)
    assert not json.loads((folder / MANIFEST).read_text())["draft"]
    with stack.database():
        period = BillingPeriod.objects.get(month=closed)
        cost: Decimal = period.ledger_cost + period.platform_cost + period.adjusted
        assert differences(folder, documents_of(period), cost=cost) == []
    assert visitor.complaints == []
