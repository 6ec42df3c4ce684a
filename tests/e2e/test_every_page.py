"""Every page: accessible in both themes, as wide as the window, without complaint."""

from playwright.sync_api import Browser

from tests.builders.identity import Cast
from tests.e2e.conftest import NARROW, WIDE, Visitor, visit
from tests.stack import Stack

_HEIGHT = 900
_SETTLE_MS = 120


def faults_on(visitor: Visitor, path: str) -> list[str]:
    """What is wrong with one page, wide and light, then narrow and dark."""
    page = visitor.page
    page.set_viewport_size({"width": WIDE, "height": _HEIGHT})
    page.emulate_media(color_scheme="light")
    response = visitor.open(path)
    if response is None or response.status != 200:
        return [f"{path} answers {response and response.status}"]
    page.wait_for_timeout(_SETTLE_MS)
    found = [f"light: {fault}" for fault in visitor.axe()]
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": NARROW, "height": _HEIGHT})
    page.wait_for_timeout(_SETTLE_MS)
    found += [f"dark: {fault}" for fault in visitor.axe()]
    if over := visitor.overflow():
        found.append(f"{path} is {over} px too wide for {NARROW} px")
    return found


def test_every_page_is_accessible_fits_and_is_silent(
    browser: Browser, stack: Stack, people: Cast, sights: tuple[str, ...]
) -> None:
    context, visitor = visit(browser, stack)
    visitor.sign_in("erin")
    links = visitor.page.locator("#tg-nav a[data-go]")
    paths = [link.get_attribute("href") or "" for link in links.all()]
    assert len(paths) >= 10
    faults = [fault for path in (*paths, *sights) for fault in faults_on(visitor, path)]
    context.close()
    assert "\n".join(faults + visitor.complaints) == ""
