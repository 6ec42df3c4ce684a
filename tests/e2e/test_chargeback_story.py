"""A month is reviewed, disputed, corrected, accepted, closed, issued, taken along."""

import zipfile
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, expect

from core.clock import now
from finops.chargeback.months import bounds, month_at, month_before
from finops.exports.bundle import COST_AND_USAGE
from finops.models import BillingPeriod, Statement
from finops.services import billing, closing
from finops.services.metering import Payer, Usage, book
from tests.builders.chargeback import CONTROLLER
from tests.builders.finops import make_price, make_usage
from tests.builders.identity import Cast
from tests.builders.runs import make_run
from tests.e2e.conftest import Visitor, visit
from tests.e2e.test_every_page import faults_on
from tests.stack import Stack

SKU = "tool/ledger.post"
MINE = "CC-100"


def middle(month: date) -> datetime:
    """A moment of a month that is over, whatever day it is today."""
    return bounds(month, settings.REPORT_TIME_ZONE)[0] + timedelta(days=10)


def book_calls(run: str, calls: int, *, at: datetime) -> None:
    payer = Payer("sales", MINE, "default", "prod", "sa:sales/agent", run)
    uid = f"story_{calls}"
    usage = Usage(uid, "tool_call", SKU, "Requests", Decimal(calls), "measured")
    book(payer=payer, usages=[usage], at=at)


@pytest.fixture
def run(stack: Stack, people: Cast) -> str:
    """The run that sales' calls of last month are of."""
    last = month_before(month_at(now(), settings.REPORT_TIME_ZONE))
    with stack.database():
        return make_run(team="sales", at=middle(last), status="succeeded").uid


@pytest.fixture
def month(stack: Stack, run: str) -> date:
    """Last month, with usage of two cost centres; whatever lies before is closed."""
    last = month_before(month_at(now(), settings.REPORT_TIME_ZONE))
    with stack.database():
        make_price(SKU, "0.5", unit="Requests")
        book_calls(run, 20, at=middle(last))
        make_usage(cost="3", at=middle(last), team="support", cost_centre="CC-200")
        billing.ensure_periods(at=now())
        before = BillingPeriod.objects.filter(month__lt=last, closed_at=None)
        for period in before.order_by("month"):
            _close_unseen(period)
    return last


def _close_unseen(period: BillingPeriod) -> None:
    """Close what another test has left open."""
    billing.build(month=period.month, actor=CONTROLLER, at=now())
    if period.state == period.State.DRAFT:
        closing.start_review(month=period.month, actor=CONTROLLER, at=now())
    closing.close(month=period.month, reason="before", actor=CONTROLLER, at=now())


def press(visitor: Visitor, name: str) -> None:
    visitor.page.get_by_role("main").get_by_role("button", name=name).click()


def test_a_month_is_disputed_corrected_closed_and_taken_along(
    browser: Browser,
    stack: Stack,
    people: Cast,
    month: date,
    run: str,
    tmp_path: Path,
) -> None:
    controller_context, controller = visit(browser, stack)
    controller.sign_in(people.finance.username)
    lead_context, lead = visit(browser, stack)
    lead.sign_in(people.member.username)

    _review(controller, month)
    thread = _dispute(lead, month, run)
    _credit(controller)
    _accept(lead, month)
    _close(controller, month)
    with stack.database():
        book_calls(run, 4, at=middle(month))
    _late_usage_is_a_correction(controller, month)
    _take_along(controller, month, tmp_path)
    faults = _look(controller, month, thread)

    controller_context.close()
    lead_context.close()
    assert "\n".join(faults + controller.complaints + lead.complaints) == ""
    with stack.database():
        closed = Statement.objects.get(period__month=month, cost_centre__slug=MINE)
        assert (closed.state, closed.number[-4:]) == ("issued", "0001")
        assert closed.billed == Decimal("7.50")


def _review(controller: Visitor, month: date) -> None:
    controller.open("/chargeback/")
    press(controller, "Build all drafts")
    controller.page.get_by_role("link", name=f"{month:%Y-%m}").click()
    press(controller, "Put up for review")
    expect(controller.page.locator(".tg-lead")).to_contain_text("In review")


def _open_statement(visitor: Visitor, month: date) -> None:
    visitor.open(f"/chargeback/{month:%Y-%m}/")
    visitor.page.get_by_role("main").get_by_role("link", name=MINE).click()


def _dispute(lead: Visitor, month: date, run: str) -> str:
    """Down to the run of a line, back, and against it; the path of the dispute."""
    page = lead.page
    _open_statement(lead, month)
    expect(page.get_by_role("main")).not_to_contain_text("CC-200")
    page.get_by_role("link", name=SKU).first.click()
    expect(page.get_by_text("equal to the statement")).to_be_visible()
    page.get_by_role("link", name=run).click()
    expect(page.get_by_role("main")).to_contain_text(run)
    page.go_back()
    page.get_by_label("What is wrong").fill("Five of these calls were retries.")
    page.get_by_role("textbox", name="Runs").fill(run)
    press(lead, "Dispute")
    expect(page.locator(".tg-lead")).to_contain_text("open")
    expect(page.get_by_role("link", name=run)).to_be_visible()
    page.get_by_label("Comment").fill("The journal shows five timeouts.")
    press(lead, "Comment")
    expect(page.get_by_text("five timeouts")).to_be_visible()
    return page.url.removeprefix(lead.url)


def _credit(controller: Visitor) -> None:
    controller.open("/chargeback/disputes/?state=open")
    controller.page.get_by_role("link", name=SKU).first.click()
    controller.page.get_by_label("Outcome").select_option("credited")
    controller.page.get_by_label("Amount").fill("2.50")
    controller.page.get_by_label("Reason").fill("Retries were our fault")
    press(controller, "Resolve")
    expect(controller.page.locator(".tg-lead")).to_contain_text("credited")


def _accept(lead: Visitor, month: date) -> None:
    _open_statement(lead, month)
    expect(lead.page.get_by_text("Retries were our fault").first).to_be_visible()
    press(lead, "Accept")
    expect(lead.page.locator(".tg-lead")).to_contain_text("Accepted")


def _close(controller: Visitor, month: date) -> None:
    controller.open(f"/chargeback/{month:%Y-%m}/")
    controller.page.get_by_label("Reason").fill("Prices of the rest come later")
    press(controller, "Close the month")
    controller.page.get_by_role("button", name=f"Close {month:%Y-%m}").click()
    expect(controller.page.locator(".tg-lead")).to_contain_text("Closed")
    press(controller, "Issue the statements")
    expect(controller.page.locator(".tg-lead")).to_contain_text("Issued")


def _late_usage_is_a_correction(controller: Visitor, month: date) -> None:
    present = month_at(now(), settings.REPORT_TIME_ZONE)
    controller.open(f"/chargeback/{present:%Y-%m}/")
    press(controller, "Build anew")
    _open_statement(controller, present)
    controller.page.get_by_label("Category").select_option("correction")
    row = controller.page.get_by_role("row").filter(has_text=SKU)
    expect(row).to_contain_text(f"{month:%Y-%m}")
    expect(row).to_contain_text("2.00")
    row.get_by_role("link", name=SKU).click()
    expect(controller.page.get_by_text("equal to the statement")).to_be_visible()


def _take_along(controller: Visitor, month: date, folder: Path) -> None:
    page = controller.page
    controller.open(f"/chargeback/{month:%Y-%m}/")
    page.get_by_role("link", name="FOCUS, XLSX, PDF").click()
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download FOCUS 1.4").click()
    file = folder / begun.value.suggested_filename
    begun.value.save_as(file)
    with zipfile.ZipFile(file) as whole:
        assert SKU in whole.read(COST_AND_USAGE).decode()


def _look(controller: Visitor, month: date, thread: str) -> list[str]:
    """What is wrong with the pages of what has been closed and disputed."""
    paths = ("/chargeback/", f"/chargeback/{month:%Y-%m}/", thread)
    return [fault for path in paths for fault in faults_on(controller, path)]
