"""A person sets a budget; of many runs at once so many get through."""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import expect

from deploy.probes import free_port, is_ready
from deploy.supervisor import tollgate_commands
from finops.models import BudgetUse
from gateway.models import Run
from tests.builders.identity import Cast, make_account, make_key
from tests.e2e.conftest import Visitor
from tests.stack import Stack

AT_ONCE = 64
EXECUTE = {"code": "return 1", "wait": 0}


@pytest.fixture
def key(stack: Stack, people: Cast) -> str:
    """A key of sales with a name of its own."""
    with stack.database():
        return make_key(make_account(people.team, "budget-agent")).text


@pytest.fixture
def second(stack: Stack) -> Stack:
    """The same stack behind a second web process."""
    port = free_port(0)
    stack.spawn("web-2", tollgate_commands(stack.data_dir, port)["web"])
    stack.wait_for(lambda: is_ready(port), "the second web process", pause=0.3)
    return replace(stack, port=port)


async def rush(key: str, *stacks: Stack) -> list[dict[str, Any]]:
    """What each of 64 agents was told who asked the web processes at once."""
    async with AsyncExitStack() as opened:
        clients = [await opened.enter_async_context(one.client(key)) for one in stacks]
        answers = await asyncio.gather(
            *(
                clients[number % len(clients)].call_tool("execute", EXECUTE)
                for number in range(AT_ONCE)
            )
        )
    return [json.loads(getattr(one.content[0], "text", "")) for one in answers]


def test_a_budget_set_by_a_person_lets_so_many_through_at_once(
    admin: Visitor, stack: Stack, second: Stack, key: str
) -> None:
    page = admin.page
    admin.open("/budgets/add/?team=sales")
    page.get_by_label("Name", exact=True).fill("Sales agents")
    page.get_by_label("Amount in USD").fill("10")
    page.locator("#id_key").fill(key[:11])
    page.get_by_label("Hard stop").check()
    page.get_by_label("A run reserves").fill("1")
    page.get_by_label("Reason").fill("agreed with sales")
    page.get_by_role("button", name="Set budget").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sales agents")

    # Nobody executes meanwhile, so that nothing is given back.
    stack.kill("runner")
    with ThreadPoolExecutor(1) as aside:
        told = aside.submit(asyncio.run, rush(key, stack, second)).result()
    passed = [one["run"] for one in told if "run" in one]
    refused = [one["error"] for one in told if "run" not in one]
    assert len(passed) == 10
    assert {error["code"] for error in refused} == {"budget_exceeded"}
    assert {error["details"]["asked"] for error in refused} == {"1"}
    page.reload()
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("budget-agent"))).to_have_count(20)

    stack.start("runner")
    with stack.database():
        mine = Run.objects.filter(uid__in=passed)
        stack.wait_for(
            lambda: mine.filter(status="succeeded").count() == 10, "the runs to end"
        )
        cost = sum((run.cost or Decimal(0) for run in mine), Decimal(0))
        use = BudgetUse.objects.get(budget__name="Sales agents")
    assert 0 < cost < 1
    assert (use.spent, use.held) == (cost, Decimal(0))
    with ThreadPoolExecutor(1) as aside:
        again = aside.submit(stack.execute, key, "return 2").result()
    assert again["value"] == 2

    page.reload()
    refusal = page.get_by_role("row", name=re.compile("budget-agent")).first
    refusal.get_by_role("link", name=re.compile("^evt_")).click()
    expect(page.get_by_text("budget_exceeded").first).to_be_visible()
