"""By keyboard an administrator grants a server, sees who can call it, and revokes."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from gateway.connectors.pool import UpstreamPool
from tests.builders.identity import Cast, make_account, make_key
from tests.e2e.conftest import Visitor
from tests.integration.mcp.conftest import add
from tests.stack import Stack

_MOST_TABS = 300
_CELL = re.compile("^Sales, ledger: ")


@pytest.fixture
def key(stack: Stack, people: Cast) -> str:
    """A key of sales, while nobody may call the ledger that dev offers."""
    command = [sys.executable, "-m", "deploy.demo.servers.trivial"]
    with stack.database():
        pool = UpstreamPool()
        try:
            add("ledger", pool, command=command)
        finally:
            pool.close()
        return make_key(make_account(people.team, "ledger-agent")).text


def called(stack: Stack, key: str) -> dict[str, Any]:
    """What an agent is answered that calls the ledger from a script."""
    script = "from tools import ledger\n\nreturn ledger.add(a=1, b=2)\n"
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(stack.execute, key, script).result()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has this accessible name has the focus."""
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        label = page.evaluate(
            "(it => it.ariaLabel || it.labels?.[0]?.innerText || it.innerText || '')"
            "(document.activeElement)"
        )
        if label.strip().startswith(name):
            return
    raise AssertionError(f"no Tab leads to {name!r}")


def change_cell(page: Page, reason: str) -> None:
    """Give the reason and press the cell of sales and ledger."""
    tab_to(page, "Reason")
    page.keyboard.type(reason)
    tab_to(page, "Sales, ledger: ")
    page.keyboard.press("Enter")


def test_a_server_is_granted_by_keyboard_called_and_revoked(
    admin: Visitor, stack: Stack, key: str
) -> None:
    page = admin.page
    matrix = "/policy/access/?environment=dev&team=sales"
    assert called(stack, key)["status"] == "failed"

    admin.open(matrix)
    cell = page.get_by_role("button", name=_CELL)
    expect(cell).to_have_accessible_name("Sales, ledger: not granted; grant")
    change_cell(page, "the ledger agent needs it")
    expect(cell).to_have_accessible_name("Sales, ledger: granted; take back")
    expect(page.get_by_text("team sales in dev: server:ledger given.")).to_be_visible()

    tab_to(page, "ledger")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("server=ledger"))
    tab_to(page, "add")
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Who can call ledger.add")
    through = page.get_by_role("row", name=re.compile("Sales"))
    expect(through.first).to_contain_text("server ledger")
    expect(through.first).to_contain_text("dev")
    expect(page.get_by_role("row", name=re.compile("ledger-agent"))).to_be_visible()
    assert called(stack, key)["value"] == 3

    admin.open(matrix)
    change_cell(page, "the ledger is closed")
    expect(cell).to_have_accessible_name("Sales, ledger: not granted; grant")
    refused = called(stack, key)
    assert refused["status"] == "failed"
    assert refused["error"]["code"] in {"unknown_tool", "preflight", "denied"}

    admin.open("/audit/?name=grant.taken")
    expect(page.get_by_text("the ledger is closed").first).to_be_visible()
