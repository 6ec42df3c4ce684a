"""Agents whose models are asked through Tollgate, so that their tokens are measured.

``python -m deploy.demo.agents``, once the demo is up. Each errand is run in both ways,
with the same tools: as one script, and call by call with the model asked before each;
each way with a large model and a small one.
"""

import asyncio
import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from mcp import Client
from mcp.types import CallToolResult

from deploy.demo.scripts.errands import ERRANDS, MODELS, SMALL, Errand
from deploy.demo.traffic import AT_ONCE, PROTOCOLS, connected, main

# Enough tasks of each kind and model to compare them.
ROUNDS = 10
HASTY_EVERY = 4
MODEL = "tollgate/model"


@dataclass(slots=True)
class Talk:
    """A conversation with a model; ``work`` are headers that say what it is for."""

    http: httpx2.AsyncClient
    model: str
    work: dict[str, str]
    messages: list[dict[str, str]] = field(default_factory=list)

    async def ask(self, role: str, said: object, *, stream: bool = False) -> None:
        """Add what was said, and what the model answers to all of it."""
        self.messages.append({"role": role, "content": json.dumps(said)})
        body = {"model": self.model, "messages": self.messages, "stream": stream}
        path = "/v1/chat/completions"
        async with self.http.stream(
            "POST", path, json=body, headers=self.work
        ) as answer:
            content = (await answer.aread()).decode()
            answer.raise_for_status()
        chunks = content.split("\n\n") if stream else [content]
        text = "".join(map(_text, chunks))
        self.messages.append({"role": "assistant", "content": text})


def _text(chunk: str) -> str:
    """What a chunk of a stream, or a whole answer, says."""
    data = chunk.removeprefix("data: ")
    if data in ("", "[DONE]"):
        return ""
    choice = json.loads(data)["choices"][0]
    return str((choice.get("message") or choice["delta"]).get("content", ""))


def _meta(talk: Talk) -> Any:
    """What a tool's call says of the model and of the trace."""
    trace = {k: v for k, v in talk.work.items() if k == "traceparent"}
    return {MODEL: talk.model, **trace}


async def by_script(client: Client, talk: Talk, errand: Errand, hasty: bool) -> bool:
    """The model reads what a search finds, and writes one script; then the next try."""
    found = await client.call_tool("search", {"query": errand.task})
    name = f"{errand.task} ({talk.model}, {secrets.token_hex(3)})"
    talk.work["X-Tollgate-Task"] = name
    await talk.ask("user", [errand.task, found.structured_content], stream=True)
    done = False
    for attempt in [errand.spoilt] * hasty + [errand]:
        result = await client.call_tool(
            "execute",
            {"code": attempt.code, "task": name},
            meta=_meta(talk),
        )
        envelope = result.structured_content or {}
        done = envelope.get("status") == "succeeded"
        talk.work = {"X-Tollgate-Run": str(envelope.get("run", ""))}
        await talk.ask("user", envelope)
    return done


async def by_calls(client: Client, talk: Talk, errand: Errand, hasty: bool) -> bool:
    """The model reads all definitions, and every result goes through its context."""
    ids = f"{secrets.token_hex(16)}-{secrets.token_hex(8)}"
    talk.work["traceparent"] = f"00-{ids}-01"
    listed = await client.list_tools()
    tools = [tool.model_dump(mode="json", exclude_none=True) for tool in listed.tools]
    await talk.ask("user", [errand.task, tools])
    calls = errand.spoilt.calls[:1] * hasty + errand.calls
    done: list[bool] = []
    for call in calls:
        result: CallToolResult = await client.call_tool(
            call.tool,
            dict(call.arguments),
            meta=_meta(talk),
        )
        done.append(not result.is_error)
        said = [one.model_dump(mode="json") for one in result.content]
        await talk.ask("user", said, stream=len(done) % 2 == 0)
    return done[-len(errand.calls) :] == [True] * len(errand.calls)


async def play(demo: Mapping[str, Any]) -> int:
    """Run every errand in both ways with each model; how many were not done."""
    limit = asyncio.Semaphore(AT_ONCE)
    done: list[bool] = []

    async def one(errand: Errand, model: str, number: int, way: Any) -> None:
        key = demo["keys"][errand.team]
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            limit,
            httpx2.AsyncClient(
                base_url=demo["url"], headers=headers, timeout=60
            ) as http,
            connected(demo["mcp_url"], key, PROTOCOLS[0]) as client,
        ):
            talk = Talk(http, model, {})
            hasty = model == SMALL and number % HASTY_EVERY == 0
            done.append(await way(client, talk, errand, hasty))

    async with asyncio.TaskGroup() as group:
        for number in range(ROUNDS):
            for errand in ERRANDS:
                for model in MODELS:
                    for way in (by_script, by_calls):
                        group.create_task(one(errand, model, number, way))
    print(f"{len(done)} errands, {done.count(True)} done")
    return done.count(False)


if __name__ == "__main__":
    sys.exit(main(play))
