"""Approvals in a browser: by keyboard, by two people, and identical calls at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect

from gateway.models import Run
from policy.models import Approval
from policy.routing import Audience, Route
from tests.builders.holds import make_approval, make_group
from tests.builders.identity import Cast
from tests.e2e.conftest import Visitor, visit
from tests.stack import Stack

FINANCE = Route(Audience("role", "finance")).asked_by(
    "big-refunds", version="7", because="Refunds above 500 need finance"
)


@contextmanager
def signed_in(browser: Browser, stack: Stack, name: str) -> Iterator[Visitor]:
    """Somebody's window; the browser must have had no complaint."""
    context, visitor = visit(browser, stack)
    visitor.sign_in(name)
    yield visitor
    context.close()
    assert visitor.complaints == []


def states(stack: Stack, *approvals: Approval) -> list[str]:
    with stack.database():
        found = dict(Approval.objects.values_list("uid", "state"))
    return [found[one.uid] for one in approvals]


def test_a_finance_approver_decides_by_keyboard(
    browser: Browser, stack: Stack, people: Cast
) -> None:
    with stack.database():
        first = make_approval(tool="shop.refund", routes=[FINANCE])
        second = make_approval(tool="shop.charge", routes=[FINANCE])
    with signed_in(browser, stack, "dan") as dan:
        page = dan.page
        page.keyboard.press("g")
        page.keyboard.press("v")
        page.wait_for_url("**/approvals/")
        expect(page.get_by_text("Refunds above 500 need finance")).to_have_count(2)
        page.keyboard.press("j")
        expect(page.get_by_role("link", name="shop.charge")).to_be_focused()
        page.keyboard.press("j")
        expect(page.get_by_role("link", name="shop.refund")).to_be_focused()
        page.keyboard.press("a")
        page.keyboard.type("within the budget, ar")
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("is approved; the run goes on")).to_be_visible()
        page.keyboard.press("j")
        page.keyboard.press("r")
        page.keyboard.type("no such order")
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("is rejected; the run goes on")).to_be_visible()
        expect(page.get_by_text("Nothing waits for you")).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_text("Approve or reject the chosen request")).to_be_visible()
        page.keyboard.press("Escape")
        # After g the same letter goes elsewhere, and is no decision.
        page.keyboard.press("g")
        page.keyboard.press("r")
        page.wait_for_url("**/runs/")
    assert states(stack, first, second) == ["approved", "rejected"]
    with stack.database():
        first.refresh_from_db()
        assert (first.decided_by, first.reason) == ("user:dan", "within the budget, ar")
        assert Run.objects.get(uid=first.run).status != "awaiting_approval"


def test_a_quorum_of_two_takes_two_people(
    browser: Browser, stack: Stack, people: Cast
) -> None:
    with stack.database():
        make_group("pair", people.member, people.finance)
        route = Route(Audience("group", "pair"), quorum=2)
        approval = make_approval(tool="shop.wipe", routes=[route])
    with signed_in(browser, stack, "alice") as alice:
        alice.open("/approvals/")
        alice.page.get_by_label("Reason").fill("I looked at it")
        alice.page.get_by_role("button", name="Approve this call").click()
        waits = alice.page.get_by_text("it waits for others to agree too")
        expect(waits).to_be_visible()
        alice.open(f"/approvals/{approval.uid}/")
        expect(alice.page.get_by_text("You have voted.")).to_be_visible()
    assert states(stack, approval) == ["pending"]
    with signed_in(browser, stack, "dan") as dan:
        dan.open(f"/approvals/{approval.uid}/")
        expect(dan.page.get_by_text("1 of 2")).to_be_visible()
        expect(dan.page.get_by_text("I looked at it")).to_be_visible()
        dan.page.get_by_label("Reason").fill("So did I")
        dan.page.get_by_role("button", name="Approve this call").click()
        expect(dan.page.get_by_text("is approved; the run goes on")).to_be_visible()
    assert states(stack, approval) == ["approved"]


def test_identical_calls_are_decided_at_once_but_for_ones_own(
    browser: Browser, stack: Stack, people: Cast
) -> None:
    with stack.database():
        same = [make_approval(tool="shop.resend", routes=[FINANCE]) for _ in range(3)]
        own = make_approval(
            tool="shop.resend", routes=[FINANCE], requesters=["user:dan"]
        )
    with signed_in(browser, stack, "dan") as dan:
        dan.open("/approvals/")
        expect(dan.page.get_by_text("4 identical calls")).to_be_visible()
        expect(dan.page.get_by_text("yours: skipped")).to_be_visible()
        dan.page.get_by_label(f"Decide on {same[1].uid}").uncheck()
        dan.page.get_by_label("Reason for all of them").fill("batch 12")
        dan.page.get_by_role("button", name="Approve these calls").click()
        expect(dan.page.get_by_text("You approved 2 calls")).to_be_visible()
    assert states(stack, *same, own) == ["approved", "pending", "approved", "pending"]
