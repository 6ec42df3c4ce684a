"""Asks a person about a call that waits, and answers as one."""

from typing import Any

import httpx2

from audit.models import Event
from policy.models import Approval
from tests.integration.mcp.wire import CALL, send
from tests.integration.mcp.world import World
from tests.stack import MODERN

FORMS: dict[str, Any] = {"elicitation": {"form": {}}}


def filled(decision: str, reason: str = "ticket 4711") -> dict[str, Any]:
    return {
        "action": "accept",
        "content": {"decision": decision, "reason": reason},
    }


def look(
    world: World, key: str, run: str, era: str = MODERN, **more: Any
) -> httpx2.Response:
    """get_run as a client sends it that shows forms."""
    params = {"name": "get_run", "arguments": {"run": run}, **more}
    return send(world.stack.mcp_url, key, era, CALL, params, capabilities=FORMS)


def question(world: World, key: str, run: str) -> dict[str, Any]:
    result: dict[str, Any] = look(world, key, run).json()["result"]
    return result


def reply(
    world: World, key: str, approval: Approval, state: str, response: Any = None
) -> dict[str, Any]:
    """The structured content of an answer."""
    answer = look(
        world,
        key,
        approval.run,
        requestState=state,
        inputResponses={approval.uid: response or filled("approve")},
    )
    body: dict[str, Any] = answer.json()["result"]["structuredContent"]
    return body


def state_of(world: World, approval: Approval) -> str:
    with world.stack.database():
        return Approval.objects.get(pk=approval.pk).state


def refusals(world: World) -> int:
    with world.stack.database():
        return Event.objects.filter(
            name="approval.answer_refused", decision="deny"
        ).count()
