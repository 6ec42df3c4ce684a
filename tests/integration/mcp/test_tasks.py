"""Runs as the protocol's tasks: only for clients that have them, in both eras."""

import asyncio
from typing import Any, ClassVar, Literal

import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client

from audit.models import Event
from gateway.models import Run
from policy.models import Approval
from tests.integration.mcp.tasks import (
    EXTENSION,
    SLOW,
    approve,
    ask,
    gated,
    get,
    held,
    start,
    until,
)
from tests.integration.mcp.wire import CALL
from tests.integration.mcp.world import World
from tests.stack import ERAS, LEGACY, MODERN


class Handle(types.Result):
    """A task in place of a result, as the extension has it."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str


class GetParams(types.RequestParams):
    task_id: str


class GetTask(types.Request[GetParams, Literal["tasks/get"]]):
    name_param: ClassVar[str | None] = "taskId"
    method: Literal["tasks/get"] = "tasks/get"
    params: GetParams


class Detailed(types.Result):
    status: str
    result: dict[str, Any] | None = None


class TasksOfClient(ClientExtension):
    """Follows each task to its result, as a client with the extension does."""

    identifier = EXTENSION

    def __init__(self) -> None:
        self.seen: list[str] = []

    def claims(self) -> list[ResultClaim[Any]]:
        claim = ResultClaim(result_type="task", model=Handle, resolve=self._follow)
        return [claim]

    async def _follow(self, handle: Handle, ctx: ClaimContext) -> types.CallToolResult:
        self.seen.append(handle.status)
        asked = GetTask(params=GetParams(task_id=handle.task_id))
        while True:
            task = await ctx.session.send_request(asked, Detailed)
            self.seen.append(task.status)
            if task.result is not None:
                return types.CallToolResult.model_validate(task.result)
            await asyncio.sleep(0.1)


def test_a_client_of_the_sdk_follows_a_held_run_to_its_end(world: World) -> None:
    extension, code = TasksOfClient(), gated(world)

    async def run_it() -> types.CallToolResult:
        headers = {"Authorization": f"Bearer {world.sales}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            wire = streamable_http_client(world.stack.mcp_url, http_client=http)
            async with Client(wire, mode=MODERN, extensions=[extension]) as client:
                task = asyncio.create_task(client.call_tool("execute", {"code": code}))
                await asyncio.to_thread(decide)
                return await task

    def decide() -> None:
        def asked() -> bool:
            with world.stack.database():
                return Approval.objects.filter(state="pending").exists()

        world.stack.wait_for(asked, "the approval to be asked for", 30)
        with world.stack.database():
            approval = Approval.objects.get(state="pending")
        held(world, approval.run)
        approve(world, approval)

    envelope = asyncio.run(run_it()).structured_content

    assert extension.seen[0] == "working"
    assert set(extension.seen) == {"working", "completed"}
    assert envelope is not None
    assert envelope["value"] == "tagged"
    assert envelope == world.stack.ask(world.sales, "get_run", {"run": envelope["run"]})


@pytest.mark.parametrize("era", ERAS)
def test_a_held_run_is_a_task_that_goes_on_by_itself(world: World, era: str) -> None:
    uid = start(world, era, gated(world))["taskId"]
    approval = held(world, uid)

    waiting = get(world, era, uid)
    approve(world, approval)
    task = until(world, era, uid, "completed")

    assert waiting["status"] == "working"
    assert waiting["statusMessage"].startswith("A person has to approve a call")
    assert waiting["pollIntervalMs" if era == MODERN else "pollInterval"] == 10_000
    assert waiting["ttlMs" if era == MODERN else "ttl"] is None
    assert task["ttlMs" if era == MODERN else "ttl"] > 30 * 86_400_000
    if era == LEGACY:
        task = ask(world, era, "tasks/result", {"taskId": uid}).json()
        related = task["result"]["_meta"]["io.modelcontextprotocol/related-task"]
        assert related == {"taskId": uid}
    envelope = task["result"]["structuredContent"]
    assert envelope["value"] == "tagged"
    assert envelope == world.stack.ask(world.sales, "get_run", {"run": uid}, era)


def test_the_result_of_2025_is_waited_for(world: World) -> None:
    task = start(world, LEGACY, SLOW.format(seconds=1.5))

    body = ask(world, LEGACY, "tasks/result", {"taskId": task["taskId"]}).json()

    assert task["status"] == "working"
    assert body["result"]["structuredContent"]["value"] == "done"


def test_a_run_that_ends_in_time_needs_no_task(world: World) -> None:
    params = {"name": "execute", "arguments": {"code": "return 1"}}

    result = ask(world, MODERN, CALL, params).json()["result"]

    assert result["resultType"] == "complete"
    assert result["structuredContent"]["value"] == 1


@pytest.mark.parametrize("era", ERAS)
def test_a_client_without_tasks_sees_none(world: World, era: str) -> None:
    code = SLOW.format(seconds=2)
    params = {"name": "execute", "arguments": {"code": code, "wait": 0}}

    result = ask(world, era, CALL, params, able=False).json()["result"]

    assert result["structuredContent"]["status"] in ("queued", "running")
    assert "task" not in result
    assert result.get("resultType", "complete") == "complete"


def test_what_is_offered_is_declared(world: World) -> None:
    client = {"name": "test", "version": "1"}

    def initialize(revision: str) -> dict[str, Any]:
        params = {
            "protocolVersion": revision,
            "capabilities": {},
            "clientInfo": client,
        }
        answer = ask(world, LEGACY, "initialize", params).json()["result"]
        capabilities: dict[str, Any] = answer["capabilities"]
        return capabilities

    tools = ask(world, LEGACY, "tools/list", {}).json()["result"]["tools"]
    modern_tools = ask(world, MODERN, "tools/list", {}).json()["result"]["tools"]
    discovered = ask(world, MODERN, "server/discover", {}).json()["result"]

    calls: dict[str, Any] = {"tools": {"call": {}}}
    assert initialize("2025-11-25")["tasks"] == {
        "list": {},
        "cancel": {},
        "requests": calls,
    }
    assert "tasks" not in initialize("2025-06-18")
    assert {tool["name"] for tool in tools if tool.get("execution") is not None} == {
        "execute",
        "trivial.add",
    }
    assert not any("execution" in tool for tool in modern_tools)
    assert discovered["capabilities"]["extensions"] == {EXTENSION: {}}
    assert "tasks" not in discovered["capabilities"]


@pytest.mark.parametrize("era", ERAS)
def test_a_task_is_cancelled(world: World, era: str) -> None:
    uid = start(world, era, gated(world))["taskId"]
    approval = held(world, uid)

    answer = ask(world, era, "tasks/cancel", {"taskId": uid}).json()["result"]
    task = until(world, era, uid, "cancelled")

    assert answer["resultType" if era == MODERN else "status"] == (
        "complete" if era == MODERN else "cancelled"
    )
    assert "result" not in task
    with world.stack.database():
        approval.refresh_from_db()
        assert approval.state == "withdrawn"
        cancelled = Event.objects.get(name="run.cancelled", run=uid)
        assert cancelled.actor_id == "sa:sales/agent"


def test_a_running_script_is_cancelled_within_the_answer_of_2025(world: World) -> None:
    uid = start(world, LEGACY, SLOW.format(seconds=60))["taskId"]

    def running() -> bool:
        with world.stack.database():
            return Run.objects.get(uid=uid).status == Run.Status.RUNNING

    world.stack.wait_for(running, "the run to start", 30)
    answer = ask(world, LEGACY, "tasks/cancel", {"taskId": uid}).json()

    assert answer["result"]["status"] == "cancelled"


@pytest.mark.parametrize("era", ERAS)
def test_a_script_that_fails_has_its_envelope(world: World, era: str) -> None:
    uid = start(world, era, "import time\ntime.sleep(0.5)\nraise ValueError('no')")
    uid = uid["taskId"]

    task = until(world, era, uid, "completed" if era == MODERN else "failed")
    if era == LEGACY:
        task = ask(world, era, "tasks/result", {"taskId": uid}).json()

    assert task["result"]["isError"] is True
    assert task["result"]["structuredContent"]["error"]["code"] == "script_error"


def test_a_direct_call_of_2025_may_be_a_task(world: World) -> None:
    params = {"name": "trivial.add", "arguments": {"a": 2, "b": 5}, "task": {}}

    task = ask(world, LEGACY, CALL, params).json()["result"]["task"]
    body = ask(world, LEGACY, "tasks/result", {"taskId": task["taskId"]}).json()

    assert body["result"]["content"] == [{"type": "text", "text": "7"}]


def test_tasks_are_listed_newest_first(world: World) -> None:
    first = start(world, LEGACY, "return 1")["taskId"]
    second = start(world, LEGACY, "return 2")["taskId"]

    listed = ask(world, LEGACY, "tasks/list", {}).json()["result"]["tasks"]
    theirs = ask(world, LEGACY, "tasks/list", {}, world.support).json()["result"]

    assert [task["taskId"] for task in listed[:2]] == [second, first]
    assert len(listed) <= 50
    ours = {task["taskId"] for task in listed}
    assert not ours & {task["taskId"] for task in theirs["tasks"]}
