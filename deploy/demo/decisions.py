"""Makes what people decide on: calls that wait for finance, and some that are refused.

``python -m deploy.demo.decisions``, once the demo is up. Agents run the scripts through
``/mcp``; the person of finance signs in and decides through the REST API. The last
request is left waiting.
"""

import sys
from collections.abc import Mapping
from typing import Any

import httpx2

from deploy.demo.scripts.watched import WATCHED, WatchedScript
from deploy.demo.traffic import PROTOCOLS, connected, main


async def submit(demo: Mapping[str, Any], script: WatchedScript) -> Mapping[str, Any]:
    """Run it as its team's agent does; the envelope it is answered."""
    key = demo["keys"][script.team]
    async with connected(demo["mcp_url"], key, PROTOCOLS[0]) as client:
        result = await client.call_tool(
            "execute", {"code": script.code, "task": script.task}
        )
    return result.structured_content or {}


async def sign_in(client: httpx2.AsyncClient, person: Mapping[str, str]) -> None:
    """Sign in by the form, and prove it with each request from now on."""
    path = "/sign-in/"
    (await client.get(path)).raise_for_status()
    token = client.cookies["csrftoken"]
    form = {key: person[key] for key in ("username", "password")}
    answer = await client.post(path, data=form | {"csrfmiddlewaretoken": token})
    if not answer.is_redirect:
        raise RuntimeError(f"{person['username']} could not sign in: {answer}")
    client.headers["X-CSRFToken"] = client.cookies["csrftoken"]


async def decide(
    client: httpx2.AsyncClient, waiting: Mapping[str, Any], script: WatchedScript
) -> None:
    """Say what finance thinks of the call that a run waits with."""
    (asked,) = waiting["approvals"]
    answer = await client.post(
        f"/api/v1/approvals/{asked['approval']}/decide/",
        json={"approve": script.approve, "reason": script.because},
    )
    answer.raise_for_status()


async def play(demo: Mapping[str, Any]) -> int:
    """Submit them all, decide on most; how many went otherwise than they should."""
    wrong = 0
    finance = next(user for user in demo["users"] if user["role"] == "finance")
    async with httpx2.AsyncClient(base_url=demo["url"], timeout=60) as client:
        await sign_in(client, finance)
        for script in WATCHED:
            envelope = await submit(demo, script)
            status = envelope.get("status")
            print(f"{script.task} {status}")
            wrong += status != script.status
            if status == "awaiting_approval" and script.approve is not None:
                await decide(client, envelope["waiting_for"], script)
    return wrong


if __name__ == "__main__":
    sys.exit(main(play))
