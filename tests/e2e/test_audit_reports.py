"""An auditor reads a report, takes it along, and reviews access, in a real browser."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest
from playwright.sync_api import Browser, expect

from audit.models import Event
from tests.builders.catalog import make_grant, make_server
from tests.builders.identity import Cast
from tests.e2e.conftest import Visitor, visit
from tests.integration.gateway.pages.reporting import deny
from tests.stack import Stack

RULE = "no-night-refunds"


@pytest.fixture
def auditor(browser: Browser, stack: Stack, people: Cast) -> Iterator[Visitor]:
    """Carol, an auditor, signed in; the browser must have had no complaint."""
    context, visitor = visit(browser, stack)
    visitor.sign_in("carol")
    yield visitor
    context.close()
    assert visitor.complaints == []


def downloaded(visitor: Visitor, name: str, folder: Path) -> Path:
    with visitor.page.expect_download() as waiting:
        visitor.page.get_by_role("link", name=name, exact=True).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_denied_calls_are_narrowed_and_taken_along(
    stack: Stack, auditor: Visitor, tmp_path: Path
) -> None:
    with stack.database():
        for amount in (700, 900):
            deny(
                f"rule {RULE}: deny: {amount} at night", rules=(RULE,), run="run_night"
            )
        deny("grant: no grant covers the tool")
    page = auditor.page
    page.locator("#tg-nav").get_by_role("link", name="Reports").last.click()
    page.get_by_role("link", name="Denied calls").click()
    page.get_by_role("link", name=RULE, exact=True).first.click()
    expect(page.locator(".tg-report tbody tr")).to_have_count(2)
    expect(page.get_by_label("Filters in force")).to_contain_text(f"Rule: {RULE}")
    lines = downloaded(auditor, "CSV", tmp_path).read_text().splitlines()
    table = list(csv.DictReader(lines))
    assert [one["rules"] for one in table] == [RULE, RULE]
    paper = downloaded(auditor, "PDF", tmp_path)
    assert re.fullmatch(r"denied-\d{4}-\d\d-\d\d\.pdf", paper.name)
    words = pypdf.PdfReader(paper).pages[0].extract_text()
    for said in (
        "Denied calls",
        f"Filter Rule: {RULE}",
        "by Carol Example (user:carol)",
        "900 at night",
        "Page 1 of 1",
    ):
        assert said in words
    with stack.database():
        forms = Event.objects.filter(name="list.exported", actor_id="user:carol")
        assert forms.count() == 2
    page.get_by_role("link", name="run_night").first.focus()
    page.locator(".tg-report tbody tr").first.get_by_role("link").last.click()
    expect(page.locator("main")).to_contain_text("call.refused")


def test_an_auditor_marks_a_grant_as_reviewed(
    stack: Stack, people: Cast, auditor: Visitor
) -> None:
    with stack.database():
        make_grant(people.team, make_server(name="vault"), environment="prod")
    page = auditor.page
    auditor.open("/audit/reports/access/?subject=server:vault")
    row = page.locator(".tg-report tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Never used")
    expect(row).to_contain_text("Set-up")
    row.get_by_role("checkbox").check()
    page.get_by_label("Reason", exact=True).fill("asked the team")
    page.get_by_role("button", name="Mark what is ticked").click()
    expect(page.get_by_text("1 grant marked as reviewed.")).to_be_visible()
    expect(row).to_contain_text("Carol Example")
    page.get_by_label("Reviewed", exact=True).select_option(label="Not within 90 days")
    expect(page.get_by_text("Nothing to show")).to_be_visible()
