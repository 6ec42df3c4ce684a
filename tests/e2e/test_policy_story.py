"""A rule from draft to revert: replayed, published, met, approved, on record."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from gateway.connectors.pool import UpstreamPool
from policy.services.rules import live
from tests.builders.identity import Cast, make_account, make_key
from tests.builders.policy import make_version
from tests.e2e.conftest import Visitor
from tests.e2e.test_approvals import signed_in
from tests.e2e.test_every_page import faults_on
from tests.integration.mcp.conftest import add
from tests.stack import Stack

RULE = "refunds-above-500"
TITLE = "Refunds above 500 need approval by finance"
WATCH = {
    "id": "watch-refunds",
    "title": "How many refunds are there?",
    "mode": "monitor",
    "effect": "deny",
    "select": {"tools": ["store.create_refund"]},
}
SCRIPT = """from tools import store

order = store.list_orders(min_total=2000, limit=10)["orders"][{order}]
refund = store.create_refund(order_id=order["id"], amount={amount}, reason="late")
return refund["amount"]
"""

# Events of the story, in this order among others.
STORY = (
    "policy.draft_created", "policy.draft_changed", "policy.replayed",
    "policy.published", "run.submitted", "approval.asked", "run.held",
    "approval.decided", "run.resumed", "approval.used", "call.intended", "call.ended",
    "run.ended", "policy.published", "run.submitted", "call.intended", "run.ended",
)  # fmt: skip

Execute = Callable[[int, int], dict[str, Any]]


@pytest.fixture
def refund(stack: Stack, people: Cast) -> Execute:
    """An agent of sales that refunds (amount, order) in a script over MCP."""
    url = stack.sample_server("shop")
    with stack.database():
        # Others of this folder add the sample server under its own name.
        pool = UpstreamPool()
        try:
            add("store", pool, people.team, url=url)
        finally:
            pool.close()
        make_version(*map(dict, live().rules), WATCH)
        key = make_key(make_account(people.team, "refund-agent")).text

    def execute(amount: int, order: int) -> dict[str, Any]:
        # Playwright's loop runs in this thread; the client brings one of its own.
        code = SCRIPT.format(amount=amount, order=order)
        with ThreadPoolExecutor(1) as one:
            return one.submit(stack.execute, key, code).result()

    return execute


def write_the_rule(admin: Visitor) -> str:
    """Begin a draft and write the rule in the editor; the path of the draft."""
    page = admin.page
    admin.open("/policy/rules/")
    page.get_by_label("Name of the draft").fill("Large refunds")
    page.get_by_role("button", name="Begin a draft").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Large refunds")
    path = page.url.removeprefix(admin.url)
    page.get_by_role("link", name="Add a rule").click()
    page.get_by_label("Short name").fill(RULE)
    page.get_by_label("Title").fill(TITLE)
    page.get_by_label("What it does").select_option("require_approval")
    page.get_by_label("Tools", exact=False).first.fill("store.create_refund")
    page.keyboard.press("Escape")
    page.locator("#id_when").fill("args.amount > 500")
    expect(page.locator("#when-state")).to_contain_text("can be used")
    page.keyboard.press("Escape")
    page.get_by_label("Who has to agree").select_option("role:finance")
    page.get_by_role("button", name="Save in the draft").click()
    expect(page.get_by_text("It was not tried on past calls yet")).to_be_visible()
    return path


def replay_it(admin: Visitor, draft: str, run: str) -> None:
    """Replay the draft over the calls that were made; follow one to its run."""
    page = admin.page
    page.get_by_role("link", name="Replay", exact=True).click()
    expect(page.get_by_text("Not replayed yet")).to_be_visible()
    page.get_by_role("button", name="Replay").click()
    sums = page.get_by_role("heading", name=re.compile("would change$"))
    expect(sums).to_have_text(re.compile(r"^2 of \d+ decisions would change$"))
    moved = page.get_by_role("group", name="What would change, table")
    expect(moved.locator("tbody tr")).to_have_count(1)
    expect(moved).to_contain_text("allowed")
    expect(moved).to_contain_text("needs approval")
    expect(moved).to_contain_text("role finance")
    expect(page.locator("#by-tool + table")).to_contain_text("store.create_refund")
    page.locator("#by-team + table").get_by_role("link", name="sales").click()
    expect(page.locator("#calls tbody tr")).to_have_count(2)
    page.get_by_role("link", name=f"Why? {run} step 2").click()
    expect(page.locator("#outcome")).to_contain_text("waits for an approval")
    page.go_back()
    page.get_by_role("link", name=f"{run} step 2", exact=True).click()
    expect(page.locator("#step-2")).to_contain_text("store.create_refund")
    for path in (f"{draft}replay/", draft, f"/policy/rules/rule/{WATCH['id']}/"):
        assert faults_on(admin, path) == []


def publish_it(admin: Visitor, draft: str) -> int:
    """Publish the draft with a reason; the version that is live."""
    page = admin.page
    admin.open(draft)
    expect(page.get_by_text("past decisions would change")).to_be_visible()
    page.get_by_label("Reason").fill("Finance asked for it")
    page.get_by_role("button", name="Publish").click()
    said = page.get_by_text(re.compile(r"Version \d+ is live"))
    expect(said).to_be_visible()
    expect(page.get_by_role("row", name=RULE)).to_contain_text("enforced")
    watched = page.get_by_role("row", name=re.compile(str(WATCH["id"])))
    expect(watched).to_contain_text("3 would")
    found = re.search(r"Version (\d+)", said.inner_text())
    assert found
    return int(found[1])


def approve_it(browser: Browser, stack: Stack, run: str) -> None:
    """Dan of finance finds the call in the inbox and agrees; the run ends well."""
    with signed_in(browser, stack, "dan") as dan:
        page = dan.page
        page.keyboard.press("g")
        page.keyboard.press("v")
        page.wait_for_url("**/approvals/")
        card = page.get_by_role("article").filter(has_text=run)
        expect(card).to_contain_text("store.create_refund")
        expect(card).to_contain_text("800")
        expect(card).to_contain_text(TITLE)
        card.get_by_label("Reason").fill("The parcel was really late")
        card.get_by_role("button", name="Approve this call").click()
        expect(page.get_by_text("is approved; the run goes on")).to_be_visible()
        dan.open(f"/runs/{run}/")
        expect(page.locator("#live")).to_contain_text(re.compile("succeeded", re.I))
        expect(page.locator("#envelope")).to_contain_text("800")


def revert_it(admin: Visitor, version: int) -> None:
    """Go back to the version before, on its page."""
    page = admin.page
    admin.open(f"/policy/rules/versions/{version - 1}/")
    page.get_by_label("Reason").fill("Too many small ones wait")
    page.get_by_role("button", name="Go back to this version").click()
    expect(page.get_by_text(f"Version {version + 1} is live")).to_be_visible()
    expect(page.get_by_role("row", name=RULE)).to_have_count(0)


def read_the_audit(browser: Browser, stack: Stack, version: int) -> None:
    """Carol reads the whole story, and by which version the call was decided."""
    with signed_in(browser, stack, "carol") as carol:
        page = carol.page
        carol.open("/audit/?q=-name:session.*")
        rows = page.get_by_role("table", name="newest first").locator("tbody tr")
        names = iter(rows.locator("th .tg-mono").all_inner_texts()[::-1])
        missing = [name for name in STORY if name not in names]
        assert missing == []
        for said in (
            "Erin Example replayed Large refunds over 7 days of calls",
            f"published version {version} of the rules: Finance asked for it",
            "Dan Example approved a call of store.create_refund",
            f"published version {version + 1} of the rules: Too many small ones wait",
        ):
            expect(rows.filter(has_text=said)).to_have_count(1)
        call = rows.filter(has_text="refund-agent calls store.create_refund").nth(1)
        call.locator("a[data-row]").click()
        expect(page.locator("main pre")).to_contain_text(
            re.compile(rf'"policy_version": {version}\b')
        )
        expect(page.locator("main pre")).to_contain_text(RULE)


def test_a_rule_is_drafted_replayed_published_met_approved_and_reverted(
    browser: Browser, stack: Stack, admin: Visitor, refund: Execute
) -> None:
    for order, amount in enumerate((40, 600, 700)):
        past = refund(amount, order)
        assert past["value"] == amount, past
    draft = write_the_rule(admin)
    replay_it(admin, draft, past["run"])
    version = publish_it(admin, draft)

    # It holds everywhere within two seconds.
    admin.page.wait_for_timeout(2_000)
    held = refund(800, 3)
    assert held["status"] == "awaiting_approval", held
    approve_it(browser, stack, held["run"])

    revert_it(admin, version)
    admin.page.wait_for_timeout(2_000)
    assert refund(900, 4)["value"] == 900
    read_the_audit(browser, stack, version)
