"""TypeScript is forbidden in production: an agent hits it, and the trail says so."""

import os
from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import Browser, expect

from tests.builders.identity import Cast, make_account, make_key
from tests.e2e.conftest import NARROW, WIDE, visit
from tests.stack import Stack

PATH = "/settings/environments/prod/sandbox/"


def test_typescript_is_forbidden_in_production(
    browser: Browser, stack: Stack, people: Cast
) -> None:
    with stack.database():
        agent = make_account(people.team, name="e2e-prod")
        key = make_key(agent, environment="prod").text
    context, erin = visit(browser, stack)
    erin.sign_in("erin")
    page = erin.page
    erin.open(PATH)
    page.get_by_role("checkbox", name="Python").check()
    page.get_by_label("Reason").fill("Reviewers read Python only.")
    page.get_by_role("button", name="Set sandbox policy").click()
    expect(page.get_by_text("The sandbox policy was set.")).to_be_visible()

    script = {"code": "return 1", "language": "typescript"}
    # Playwright has a loop of its own in this thread.
    with ThreadPoolExecutor() as other:
        refused = other.submit(stack.call, key, "execute", script).result()
        ran = other.submit(stack.call, key, "execute", {"code": "return 1"}).result()
    answer = refused.structured_content or {}
    assert answer["error"]["code"] == "language_not_allowed"
    assert "write it in Python" in answer["error"]["message"]
    assert (ran.structured_content or {})["value"] == 1

    erin.open("/audit/")
    expect(
        page.get_by_text("Scripts in TypeScript are not allowed here").first
    ).to_be_visible()
    erin.open(PATH)
    row = page.locator("#holds tr", has_text="Languages")
    expect(row).to_contain_text("environment prod")
    shots = os.environ.get("SHOTS", "")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (WIDE, NARROW):
            page.set_viewport_size({"width": width, "height": 900})
            assert erin.overflow() == 0
            assert erin.axe() == []
            if shots:
                page.screenshot(path=f"{shots}/{scheme}{width}.png", full_page=True)
    context.close()
    assert erin.complaints == []
