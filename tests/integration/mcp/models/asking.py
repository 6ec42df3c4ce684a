"""Asks models through the stack, and looks at what was metered."""

import json
import time
from typing import Any

import httpx2

from finops.models import UsageReport
from gateway.models import ModelCall
from tests.integration.mcp.world import World

ASKED: list[Any] = [{"role": "user", "content": "How many orders came in May? " * 20}]


def ask(world: World, key: str, body: Any, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx2.post(
        f"{world.stack.url}/v1/chat/completions",
        content=content,
        headers={"Authorization": f"Bearer {key}", **headers},
        timeout=30,
    )


def last_call(world: World) -> ModelCall:
    with world.stack.database():
        return ModelCall.objects.order_by("-pk")[0]


def ended_call(world: World) -> ModelCall:
    deadline = time.monotonic() + 10
    while not (call := last_call(world)).outcome and time.monotonic() < deadline:
        time.sleep(0.05)
    return call


def report_of(world: World, call: ModelCall) -> UsageReport:
    with world.stack.database():
        return UsageReport.objects.get(event=call.uid)
