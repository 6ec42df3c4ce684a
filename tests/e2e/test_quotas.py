"""An administrator sets a quota; an agent's run meets it; the page shows it full."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import expect

from gateway.connectors.pool import UpstreamPool
from tests.builders.identity import Cast, make_account, make_key
from tests.e2e.conftest import Visitor
from tests.integration.mcp.conftest import add
from tests.stack import Stack

SCRIPT = """from tools import trivial

return [trivial.add(a=number, b=1) for number in range(3)]
"""


def executed(stack: Stack, key: str) -> dict[str, Any]:
    """The envelope of the script, asked for beside Playwright's own loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(stack.execute, key, SCRIPT).result()


@pytest.fixture
def key(stack: Stack, people: Cast) -> str:
    """A key of sales that may call the trivial tools in dev."""
    command = [sys.executable, "-m", "deploy.demo.servers.trivial"]
    with stack.database():
        pool = UpstreamPool()
        try:
            add("trivial", pool, people.team, command=command)
        finally:
            pool.close()
        return make_key(make_account(people.team, "quota-agent")).text


def test_a_quota_is_set_met_and_seen_full(
    admin: Visitor, stack: Stack, key: str
) -> None:
    page = admin.page
    admin.open("/policy/quotas/add/?team=sales")
    page.get_by_label("What").select_option("calls")
    page.get_by_label("At most").fill("2")
    page.get_by_label("In each").select_option("month")
    page.get_by_label("Tools").fill("trivial.*")
    page.get_by_label("Reason").fill("the vendor bills each call")
    page.get_by_role("button", name="Set quota").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 tool calls per month")
    expect(page.get_by_text("Nobody: it has refused nothing")).to_be_visible()

    envelope = executed(stack, key)
    assert envelope["status"] == "failed"
    error = envelope["error"]
    assert error["code"] == "quota_exceeded"
    assert re.search(r"resets at \d{4}-\d\d-01 00:00 UTC", error["message"])
    assert (error["details"]["used"], error["details"]["remaining"]) == (2, 0)
    assert error["line"] == 3

    page.reload()
    expect(page.get_by_text("used up", exact=True)).to_be_visible()
    expect(page.get_by_text("full now")).to_be_visible()
    refusal = page.get_by_role("row", name=re.compile("quota-agent"))
    expect(refusal).to_contain_text("trivial.add")
    refusal.get_by_role("link", name=re.compile("^evt_")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("trivial.add")

    admin.open("/policy/quotas/?state=full")
    page.get_by_role("link", name="Team sales, tool trivial.*").click()
    page.locator("#id_remove_reason").fill("paid for")
    page.get_by_role("button", name="Remove the quota").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove the quota").click()
    expect(page.get_by_text("The quota was removed.")).to_be_visible()
    assert executed(stack, key)["value"] == [1, 2, 3]
