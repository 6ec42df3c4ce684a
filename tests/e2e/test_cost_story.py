"""An analyst finds why last week cost more, down to the runs, and takes it along."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

from core.clock import now
from core.period import preset
from tests.builders.finops import make_fact, make_usage
from tests.builders.identity import Cast, make_team
from tests.builders.reports import make_annotation
from tests.builders.runs import make_run, make_task
from tests.e2e.conftest import ERROR, visit
from tests.stack import Stack

TEAM = "orchard"


def _work(at: datetime, *, dearer: int = 1, status: str = "succeeded") -> None:
    """A run of the team: a call for 1 USD, a thousand output tokens for 1 or more."""
    task = make_task(team=TEAM, at=at)
    failed = status == "failed"
    run = make_run(
        task=task, team=TEAM, status=status, at=at, error=ERROR if failed else None
    )
    make_fact(
        run=run.uid, task=task.uid, team=TEAM, status=status, cost=str(1 + dearer),
        ended_at=at,
    )  # fmt: skip
    booked: dict[str, Any] = {"run": run.uid, "task": task.uid, "team": TEAM, "at": at}
    make_usage("tool/crm.list_orders", "1", cost="1", **booked)
    make_usage(
        "model/acme/gpt-x/output", "1000", cost=str(dearer), kind="model_tokens",
        unit="Tokens", token_kind="output", known="reported", model="gpt-x", **booked,
    )  # fmt: skip


@pytest.fixture
def monday(stack: Stack, people: Cast) -> datetime:
    """The Monday of last week; the week before had two runs, last week six dearer."""
    today = preset("7d", zone=settings.REPORT_TIME_ZONE, at=now()).end.date()
    day = today - timedelta(days=today.weekday() + 7)
    noon = datetime.combine(day, time(12), UTC)
    with stack.database():
        make_team(TEAM, name="Orchard")
        for days in (-6, -3):
            _work(noon + timedelta(days=days))
        for days in range(6):
            status = "failed" if days > 3 else "succeeded"
            _work(noon + timedelta(days=days), dearer=3, status=status)
        make_annotation("gpt-x for every prompt", at=noon, team="")
    return noon


def _takes_a_picture(page: Page) -> None:
    with page.expect_download() as begun:
        page.get_by_role("button", name="PNG").click()
    with begun.value.path().open("rb") as file:
        head = file.read(24)
    assert begun.value.suggested_filename.endswith(".png")
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(head[16:20]) == 2400


def test_an_analyst_finds_why_last_week_rose(
    browser: Browser, stack: Stack, people: Cast, monday: datetime
) -> None:
    context, visitor = visit(browser, stack)
    page = visitor.page
    visitor.sign_in(people.finance.username)

    visitor.open("/costs/")
    page.get_by_label("From", exact=True).fill(f"{monday:%Y-%m-%d}")
    page.get_by_label("To", exact=True).fill(f"{monday + timedelta(days=6):%Y-%m-%d}")
    page.get_by_role("button", name="Apply").click()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=TEAM))
    expect(row.first).to_contain_text("24.00")
    expect(page.get_by_role("cell", name="gpt-x for every prompt")).to_be_visible()
    _takes_a_picture(page)

    page.get_by_role("link", name="Why it changed").click()
    expect(page.get_by_role("heading", name="Why costs changed")).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=TEAM))
    expect(row.first).to_contain_text(
        "+20.00 USD: dearer output tokens of gpt-x (+12.00), 4 more calls (+8.00)"
    )
    _takes_a_picture(page)

    page.get_by_role("link", name=TEAM, exact=True).click()
    expect(page.get_by_role("link", name=f"{TEAM}/default", exact=True)).to_be_visible()
    page.get_by_role("link", name=f"Runs of {TEAM}/default").click()
    expect(page.locator("caption")).to_contain_text("6 runs")
    expect(page.get_by_role("row").filter(has_text="script_error")).to_have_count(2)
    page.locator("tbody a[data-row]").first.click()
    expect(page.get_by_text("KeyError: 'totl'").first).to_be_visible()

    visitor.open(f"/reports/efficiency/?team={TEAM}&first={monday:%Y-%m-%d}")
    page.get_by_role("link", name="Wasted runs").click()
    expect(page.locator("caption")).to_contain_text("2 runs")
    context.close()
    assert visitor.complaints == []
