"""A held run asks the caller, where the caller is a person who may decide."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from audit.models import Event
from gateway.models import Run
from policy.models import Approval
from tests.integration.mcp.forms import (
    filled,
    question,
    reply,
    state_of,
)
from tests.integration.mcp.wire import CALL, send
from tests.integration.mcp.world import People, World
from tests.stack import ERAS, MODERN

Fill = Callable[[types.ElicitRequestParams], types.ElicitResult]


def with_a_form(world: World, key: str, run: str, fill: Fill) -> dict[str, Any]:
    """get_run through the SDK's client, whose person fills forms in by ``fill``."""

    async def on_form(
        context: Any, params: types.ElicitRequestParams
    ) -> types.ElicitResult:
        return fill(params)

    async def once() -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            wire = streamable_http_client(world.stack.mcp_url, http_client=http)
            async with Client(wire, mode=MODERN, elicitation_callback=on_form) as one:
                result = await one.call_tool("get_run", {"run": run})
        return dict(result.structured_content or {})

    return asyncio.run(once())


def test_a_person_approves_in_a_form_and_the_run_goes_on(
    world: World, people: People, asked: Approval
) -> None:
    shown: list[types.ElicitRequestParams] = []

    def fill(params: types.ElicitRequestParams) -> types.ElicitResult:
        shown.append(params)
        return types.ElicitResult.model_validate(filled("approve"))

    with_a_form(world, people.approver, asked.run, fill)

    def ended() -> bool:
        with world.stack.database():
            return Run.objects.get(uid=asked.run).ended

    world.stack.wait_for(ended, "the run to end", 30)
    (form,) = shown
    assert "crm.add_customer_tag (version 1)" in form.message
    assert '"tag": "vip"' in form.message
    assert "sa:sales/agent of sales in dev" in form.message
    with world.stack.database():
        run = Run.objects.get(uid=asked.run)
        assert (run.status, run.value) == ("succeeded", "tagged")
        decided = Event.objects.get(name="approval.decided", run=asked.run)
        assert (decided.actor_kind, decided.actor_id) == ("user", "user:bob")
        assert "tgp_" in decided.body
    assert state_of(world, asked) == "used"


def test_a_person_rejects_in_a_form(
    world: World, people: People, asked: Approval
) -> None:
    given = types.ElicitResult.model_validate(filled("reject", "wrong customer"))

    with_a_form(world, people.approver, asked.run, lambda _: given)

    def failed() -> bool:
        with world.stack.database():
            return Run.objects.get(uid=asked.run).status == Run.Status.FAILED

    world.stack.wait_for(failed, "the run to fail", 30)
    assert state_of(world, asked) == "rejected"


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_form_that_is_put_away_decides_nothing(
    world: World, people: People, asked: Approval, action: Any
) -> None:
    put_away = types.ElicitResult(action=action)

    envelope = with_a_form(world, people.approver, asked.run, lambda _: put_away)

    assert envelope["status"] == "awaiting_approval"
    assert state_of(world, asked) == "pending"


def test_any_web_process_takes_the_answer(
    world: World, people: People, asked: Approval
) -> None:
    # Another process has nothing but the key that all of them are set up with.
    state = question(world, people.approver, asked.run)["requestState"]
    world.stack.kill("web")
    world.stack.start("web")
    world.stack.wait_ready()

    envelope = reply(world, people.approver, asked, state)

    assert envelope["run"] == asked.run
    assert state_of(world, asked) in ("approved", "used")


def test_an_agent_and_a_member_are_told_where_people_decide(
    world: World, people: People, asked: Approval
) -> None:
    for key in (world.sales, people.member):
        answer = question(world, key, asked.run)
        assert answer["resultType"] == "complete"
        (waits,) = answer["structuredContent"]["waiting_for"]["approvals"]
        assert waits["page"].endswith(f"/approvals/{asked.uid}/")


@pytest.mark.parametrize("era", ERAS)
def test_a_client_without_forms_is_told_where_people_decide(
    world: World, people: People, asked: Approval, era: str
) -> None:
    params = {"name": "get_run", "arguments": {"run": asked.run}}
    url: Any = {"elicitation": {"url": {}}} if era == MODERN else None

    answer = send(
        world.stack.mcp_url, people.approver, era, CALL, params, capabilities=url
    ).json()["result"]

    waits = answer["structuredContent"]["waiting_for"]["approvals"][0]
    assert waits["page"].endswith(f"/approvals/{asked.uid}/")


def test_arguments_too_long_for_a_form_are_left_to_the_page(
    world: World, people: People, asked: Approval
) -> None:
    with world.stack.database():
        Approval.objects.filter(pk=asked.pk).update(arguments={"text": "x" * 10_000})

    assert question(world, people.approver, asked.run)["resultType"] == "complete"


@pytest.mark.parametrize("era", ERAS)
def test_a_personal_key_sees_get_run_alone(
    world: World, people: People, era: str
) -> None:
    listed = send(world.stack.mcp_url, people.approver, era, "tools/list").json()

    assert [tool["name"] for tool in listed["result"]["tools"]] == ["get_run"]
