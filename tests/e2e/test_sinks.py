"""An operator adds a sink in the browser; the trail really arrives in it."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from audit.formats import jsonl
from tests.builders.audit import make_event
from tests.e2e.conftest import Visitor
from tests.integration.audit.sinks.receivers import until
from tests.stack import Stack


def delivered(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_sink_is_added_tested_and_paused(admin: Visitor, stack: Stack) -> None:
    page = admin.page
    with stack.database():
        event = make_event()
    admin.open("/audit/sinks/")
    page.get_by_role("link", name="Add a sink").first.click()
    page.get_by_role("link", name="JSON lines file").click()
    page.get_by_label("Name", exact=True).fill("second archive")
    page.get_by_label("Format").select_option("ocsf")
    page.get_by_label("File name").fill("../escape.jsonl")
    page.get_by_role("button", name="Add the sink").click()
    expect(page.get_by_role("alert")).to_contain_text("without a folder")
    page.get_by_label("File name").fill("second.jsonl")
    page.get_by_role("button", name="Add the sink").click()
    expect(page.get_by_role("heading", name="second archive")).to_be_visible()

    path = stack.data_dir / "sinks" / "second.jsonl"
    until(lambda: any(event.uid in json.dumps(one) for one in delivered(path)), 30)
    until(lambda: any(jsonl.note_in(json.dumps(one)) for one in delivered(path)), 30)

    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("It took the newest sealed event")).to_be_visible()
    expect(page.locator(".tg-badge", has_text="delivering").first).to_be_visible()

    page.get_by_role("link", name="Pause").click()
    page.get_by_label("Reason").fill("The disk is moved")
    page.get_by_role("button", name="Pause the sink").click()
    expect(page.locator(".tg-badge", has_text="paused").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("goes on where it stopped")).to_be_visible()
    assert admin.complaints == []
