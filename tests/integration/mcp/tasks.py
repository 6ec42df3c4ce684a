"""Asks for runs as tasks, as a client of each era does."""

import sys
from collections.abc import Mapping
from typing import Any

import httpx2

from gateway.models import Run
from policy.models import Approval
from tests.integration.mcp.wire import CALL, send
from tests.integration.mcp.world import World
from tests.stack import LEGACY, MODERN

EXTENSION = "io.modelcontextprotocol/tasks"
TAKES_TASKS: dict[str, Any] = {"extensions": {EXTENSION: {}}}
SLOW = "import time\ntime.sleep({seconds})\nreturn 'done'"
METHODS = {
    MODERN: ("tasks/get", "tasks/update", "tasks/cancel"),
    LEGACY: ("tasks/get", "tasks/result", "tasks/cancel"),
}


def ask(
    world: World,
    era: str,
    method: str,
    params: Mapping[str, Any],
    key: str = "",
    *,
    able: bool = True,
    **more: Any,
) -> httpx2.Response:
    """A request of a client that takes tasks, unless it is not ``able``."""
    if isinstance(params.get("taskId"), str):
        more = {"mcp_name": params["taskId"]} | more
    capabilities = TAKES_TASKS if able else None
    more |= {"capabilities": capabilities}
    return send(world.stack.mcp_url, key or world.sales, era, method, params, **more)


def start(world: World, era: str, code: str, key: str = "") -> dict[str, Any]:
    """The handle of a script; the fields as the era names them."""
    arguments = {"code": code, "wait": 0} if era == MODERN else {"code": code}
    params: dict[str, Any] = {"name": "execute", "arguments": arguments}
    if era == LEGACY:
        params["task"] = {"ttl": 60_000}
    result: dict[str, Any] = ask(world, era, CALL, params, key).json()["result"]
    handle: dict[str, Any] = result if era == MODERN else result["task"]
    return handle


def get(world: World, era: str, uid: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(world, era, "tasks/get", {"taskId": uid}).json()
    task: dict[str, Any] = found["result"]
    return task


def until(world: World, era: str, uid: str, status: str) -> dict[str, Any]:
    """The task once it has this status."""
    seen: list[dict[str, Any]] = []

    def reached() -> bool:
        seen.append(get(world, era, uid))
        return bool(seen[-1]["status"] == status)

    world.stack.wait_for(reached, f"{uid} to be {status}", 30, pause=0.1)
    return seen[-1]


def held(world: World, uid: str) -> Approval:
    """The approval that the run waits for."""

    def waits() -> bool:
        with world.stack.database():
            return Run.objects.get(uid=uid).status == Run.Status.AWAITING_APPROVAL

    world.stack.wait_for(waits, "the run to be held", 30)
    with world.stack.database():
        return Approval.objects.get(run=uid)


def approve(world: World, approval: Approval) -> None:
    act = ("approvals", "approve", approval.uid, "--reason", "ticket 4711")
    world.stack.run(sys.executable, "manage.py", *act)


def gated(world: World) -> str:
    """A script whose call needs an approval."""
    answer = world.stack.execute(
        world.sales, "from tools import crm\nreturn crm.list_customers(limit=1)"
    )
    customer = answer["value"]["customers"][0]["id"]
    return (
        "from tools import crm\n"
        f"crm.add_customer_tag(customer_id={customer!r}, tag='vip')\nreturn 'tagged'"
    )
