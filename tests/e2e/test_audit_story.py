"""An auditor finds a refused refund, opens its run, takes it along and keeps it."""

import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from audit.models import Event, Leaf
from gateway.connectors.pool import UpstreamPool
from policy.services.rules import live
from tests.builders.audit import make_view
from tests.builders.identity import Cast, make_account, make_key
from tests.builders.policy import make_version
from tests.e2e.conftest import visit
from tests.e2e.test_every_page import faults_on
from tests.integration.mcp.conftest import add
from tests.stack import Stack

SCRIPT = """from tools import till

return till.create_refund(order_id="ord_1001", amount=900, reason="broken")
"""
RULE = {
    "id": "no-large-refunds",
    "effect": "deny",
    "select": {"tools": ["till.create_refund"]},
    "when": "args.amount > 500",
    "message": "Refunds above 500 need finance",
}


@pytest.fixture(scope="module")
def refused(stack: Stack, people: Cast) -> dict[str, Any]:
    """The envelope of a run whose refund a rule refused."""
    command = [sys.executable, "-m", "deploy.demo.servers.shop"]
    with stack.database():
        pool = UpstreamPool()
        try:
            add("till", pool, people.team, command=command)
        finally:
            pool.close()
        make_version(*map(dict, live().rules), RULE)
        key = make_key(make_account(people.team, "till-agent")).text
    with ThreadPoolExecutor(1) as threads:
        envelope = threads.submit(stack.execute, key, SCRIPT).result()
    assert envelope["status"] == "failed"
    return envelope


def test_an_auditor_follows_a_refusal_from_the_overview_to_the_evidence(
    browser: Browser, stack: Stack, refused: dict[str, Any], tmp_path: Path
) -> None:
    run = refused["run"]
    context, carol = visit(browser, stack)
    carol.sign_in("carol")
    page = carol.page
    page.get_by_role("link", name="in the last 24 hours").filter(
        has_text="refusal"
    ).click()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("decision:deny")
    find_the_refund(page)
    page.get_by_role("row", name="till.create_refund").get_by_role(
        "link", name=run
    ).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(run)
    history = page.get_by_role("region", name="History")
    expect(history).to_contain_text("was refused till.create_refund")
    history.get_by_role("link", name="call.refused").click()
    expect(page.get_by_role("region", name="Why it was refused")).to_contain_text(
        "no-large-refunds"
    )
    page.go_back()
    prove_it(stack, page, run, tmp_path)
    page.get_by_role("link", name="All of it in the audit trail").click()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value(f"run:{run}")
    page.get_by_role("searchbox", name="Search").fill(f"run:{run} decision:deny")
    page.get_by_role("searchbox", name="Search").press("Enter")
    take_it_along(stack, page, run, tmp_path)
    keep_it(page)
    context.close()
    assert carol.complaints == []


def find_the_refund(page: Page) -> None:
    """By a click on the tool, and by keyboard with a word."""
    tools = page.get_by_role("region", name="Tool")
    tools.get_by_role("link", name="till.create_refund", exact=True).click()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value(
        "decision:deny tool:till.create_refund"
    )
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    page.keyboard.type("tema:sales")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Did you mean team:?")
    page.keyboard.press("/")
    page.keyboard.type('decision:deny -env:prod "create refund" large*')
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("row", name="till.create_refund")).to_have_count(1)


def prove_it(stack: Stack, page: Page, run: str, folder: Path) -> None:
    """The run's evidence, verified where nothing of ours can be imported."""
    with stack.database():
        found = list(Event.objects.filter(run=run).values_list("pk", flat=True))
        stack.wait_for(
            lambda: Leaf.objects.filter(event_id__in=found).count() == len(found),
            "the sealer",
        )
    with page.expect_download() as download:
        page.get_by_role("link", name="Evidence").click()
    download.value.save_as(folder / "evidence.zip")
    with zipfile.ZipFile(folder / "evidence.zip") as packed:
        packed.extractall(folder)
    verified = subprocess.run(
        [sys.executable, "-I", str(folder / "evidence/verify.py")],
        capture_output=True,
        text=True,
        cwd="/",
        env={},
        timeout=60,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.splitlines()[-1] == "ALL OF IT HOLDS"
    bodies = map(
        json.loads, (folder / "evidence/events.jsonl").read_text().splitlines()
    )
    refused = [body for body in bodies if body["name"] == "call.refused"]
    assert [body["target"]["id"] for body in refused] == ["till.create_refund"]


def take_it_along(stack: Stack, page: Page, run: str, folder: Path) -> None:
    """The filtered list as JSON lines; that is on record with the query."""
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    download.value.save_as(folder / "events.jsonl")
    (row,) = map(json.loads, (folder / "events.jsonl").read_text().splitlines())
    assert (row["run"], row["decision"]) == (run, "deny")
    assert row["body"]["target"]["id"] == "till.create_refund"
    with stack.database():
        event = Event.objects.filter(name="audit.exported").latest("pk")
    asked = json.loads(event.body)["payload"]["filters"]["q"]
    assert (event.actor_id, asked) == ("user:carol", [f"run:{run} decision:deny"])


def keep_it(page: Page) -> None:
    """A view that all may use, and that is there again on a plain page."""
    page.get_by_text("Save this view").click()
    page.get_by_label("Name of the view").fill("The refused refund")
    page.get_by_label("Share with everybody").check()
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_text("The view “The refused refund” was saved.")).to_be_visible()
    query = page.get_by_role("searchbox", name="Search").input_value()
    page.get_by_role("link", name="Events", exact=True).click()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("")
    page.get_by_role("link", name="The refused refund").click()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value(query)


def test_the_explorer_is_accessible_in_every_state(
    browser: Browser, stack: Stack, refused: dict[str, Any]
) -> None:
    with stack.database():
        make_view("For everybody")
        event = Event.objects.filter(name="policy.published").latest("pk")
    context, carol = visit(browser, stack)
    carol.sign_in("carol")
    paths = (
        "/audit/?period=30d",
        "/audit/?q=decision:deny+-team:x&period=all",
        "/audit/?group=run",
        "/audit/?group=request",
        "/audit/?q=nosuchword",
        f"/audit/{event.uid}/",
    )
    faults = [fault for path in paths for fault in faults_on(carol, path)]
    context.close()
    assert "\n".join(faults + carol.complaints) == ""
