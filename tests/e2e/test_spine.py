"""From an empty catalog to a run with its trail and its cost, in a real browser."""

import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from playwright.sync_api import Browser, Page, expect

from gateway.codemode.checks import LANGUAGES
from gateway.connectors.pool import UpstreamPool
from gateway.snippets import SNIPPETS
from tests.builders.identity import Cast, make_account, make_key
from tests.e2e.conftest import Visitor
from tests.integration.mcp.conftest import add
from tests.stack import Stack

SCRIPT = """from tools import shop

page = shop.list_orders(limit=5)
print(len(page["orders"]), "orders")
return [order["id"] for order in page["orders"]]
"""
MISTAKEN = """from tools import shop

return shop.list_orders(limt=5)
"""


def fact(page: Page, name: str) -> str:
    """The text beside a name among a page's facts."""
    return page.locator(f"dl div:has(> dt:text-is('{name}')) > dd").first.inner_text()


def add_shop(visitor: Visitor, url: str) -> None:
    page = visitor.page
    visitor.open("/catalog/servers/add/")
    page.get_by_label("Name").fill("shop")
    page.get_by_label("URL").fill(url)
    page.get_by_role("button", name="Add and sync").click()
    expect(page.get_by_role("heading", name="shop", exact=True)).to_be_visible()
    expect(page.locator("aside").get_by_text("Active")).to_be_visible()


def review_and_grant(visitor: Visitor) -> None:
    page = visitor.page
    page.locator("th a", has_text=re.compile("^list_orders$")).click()
    expect(page.get_by_text("every call counts as a write")).to_be_visible()
    page.get_by_role("button", name="Confirm effect").click()
    expect(page.get_by_text("Erin Example confirmed read")).to_be_visible()
    page.get_by_role("checkbox", name="dev").check()
    page.get_by_role("button", name="Set environments").click()
    expect(page.get_by_role("checkbox", name="dev")).to_be_checked()
    visitor.open("/catalog/servers/shop/")
    page.get_by_label("Team or role").select_option(label="Sales")
    page.locator("#grant-reason").fill("the sales agent needs it")
    page.get_by_role("button", name="Grant", exact=True).click()
    expect(page.get_by_text("Sales may call every tool of shop now.")).to_be_visible()


def create_key(visitor: Visitor) -> str:
    page = visitor.page
    visitor.open("/settings/keys/create/?team=sales")
    page.get_by_label("Name", exact=True).fill("playground")
    page.get_by_label("New service account").fill("agent")
    page.get_by_label("Environment").select_option(label="dev")
    page.get_by_role("button", name="Create key").click()
    text = page.locator("#key-text").inner_text()
    assert text.startswith("tg_")
    return text


def play(visitor: Visitor) -> str:
    """Make a mistake, mend it, run; returns the run's id."""
    page = visitor.page
    visitor.open("/playground/")
    expect(page.locator("#tools")).to_contain_text("shop.list_orders")
    editor = page.get_by_label("Script")
    editor.fill(MISTAKEN)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".tg-line-marked")).to_contain_text("limt=5")
    expect(page.get_by_text("Nothing ran")).to_be_visible()
    editor.fill(SCRIPT)
    editor.press("Control+Enter")
    outcome = page.locator("#outcome")
    expect(outcome.get_by_role("status").first).to_have_text("Succeeded")
    expect(outcome).to_contain_text("5 orders")
    return outcome.get_by_role("link", name=re.compile("^run_")).inner_text()


def look_into_run(visitor: Visitor, uid: str) -> None:
    page = visitor.page
    page.get_by_role("link", name="Open the run").click()
    expect(page.get_by_role("heading", name=uid)).to_be_visible()
    bars = page.locator(".tg-timeline li")
    expect(bars).to_have_count(3)
    expect(bars.nth(2)).to_contain_text("shop.list_orders")
    journal = page.locator("#journal tbody tr")
    expect(journal).to_have_count(1)
    expect(journal).to_contain_text("allow")
    cost = page.locator("#cost tfoot td").inner_text()
    assert re.match(r"0\.0*[1-9]", cost), cost
    for sku in ("sandbox/cpu", "sandbox/memory", "tokens/script"):
        expect(page.locator("#cost")).to_contain_text(sku)
    assert fact(page, "Principal") == "sa:sales/agent"


def find_in_audit(visitor: Visitor, uid: str) -> None:
    page = visitor.page
    page.get_by_role("link", name="Audit events").click()
    page.wait_for_url(f"**/audit/?run={uid}")
    table = page.locator("main")
    expect(table).to_contain_text("run.submitted")
    expect(table).to_contain_text("call.intended")
    expect(table).to_contain_text("run.ended")
    expect(table).to_contain_text("Erin Example")


def test_from_a_server_to_the_cost_of_a_run(stack: Stack, admin: Visitor) -> None:
    url = stack.sample_server("shop")
    add_shop(admin, url)
    review_and_grant(admin)
    key = create_key(admin)
    uid = play(admin)
    look_into_run(admin, uid)
    find_in_audit(admin, uid)
    admin.open("/costs/")
    expect(admin.page.locator("main")).to_contain_text(re.compile("sales", re.I))
    assert key not in admin.page.content()


def test_a_dead_server_stays_a_draft_with_its_error(admin: Visitor) -> None:
    page = admin.page
    admin.open("/catalog/servers/add/")
    page.get_by_label("Name").fill("dead")
    page.get_by_label("URL").fill("http://127.0.0.1:9/mcp")
    page.get_by_role("button", name="Add and sync").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("still a draft")
    expect(alert).to_contain_text("sync again")


def test_the_playground_works_without_javascript(
    browser: Browser, stack: Stack, people: Cast
) -> None:
    context = browser.new_context(java_script_enabled=False)
    visitor = Visitor(context.new_page(), stack.url)
    visitor.sign_in("erin")
    page = visitor.page
    visitor.open("/playground/")
    page.get_by_label("Script").fill("return 6 * 7")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile(r"run=run_"))
    for _ in range(40):
        if page.locator("#outcome").get_by_text("Succeeded").count():
            break
        page.wait_for_timeout(250)
        page.get_by_role("link", name="Look again").click()
    expect(page.locator("#outcome")).to_contain_text('"value": 42')
    context.close()


def test_each_snippet_of_the_playground_runs(stack: Stack, people: Cast) -> None:
    url = stack.sample_server("crm")
    with stack.database():
        pool = UpstreamPool()
        try:
            add("crm", pool, people.team, url=url)
        finally:
            pool.close()
        key = make_key(make_account(people.team, "snippets")).text
    # Playwright's loop runs in this thread; the client brings one of its own.
    with ThreadPoolExecutor(1) as pool_of_one:
        for snippet in SNIPPETS.values():
            values = []
            for language in LANGUAGES:
                run = partial(stack.execute, key, language=language)
                envelope = pool_of_one.submit(run, snippet.script(language)).result()
                assert envelope["error"] is None, (snippet.title, language)
                values.append(envelope["value"])
            assert values[0], snippet.title
            assert values[0] == values[1], snippet.title
