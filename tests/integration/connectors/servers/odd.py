"""HTTP servers that answer in odd ways, one on each path, and a legacy one.

`/legacy` is the SDK's own server, made to refuse what came after 2025-11-25.
"""

import asyncio
import json
import sys
from typing import Any

import uvicorn
from mcp.server import MCPServer

server = MCPServer("legacy", version="1.0", log_level="ERROR")
inner = server.streamable_http_app(streamable_http_path="/legacy")


@server.tool()
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def wait(seconds: float) -> str:
    """Wait a while."""
    await asyncio.sleep(seconds)
    return "done"


async def answer(
    send: Any, status: int, content_type: str, body: bytes, **headers: str
) -> None:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    raw.append((b"content-type", content_type.encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def read(receive: Any) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def seen(scope: Any) -> dict[str, str]:
    return {k.decode(): v.decode() for k, v in scope["headers"]}


async def modern(scope: Any, send: Any, request: dict[str, Any], path: str) -> None:
    """Just enough of 2026-07-28, with a bad answer to `tools/call`."""
    base = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    method = request["method"]
    result: dict[str, Any] = {}
    if method == "server/discover":
        result = {
            **base,
            "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}},
        }
    elif method == "tools/call" and path == "/leak":
        token = seen(scope)["authorization"]
        message = f"Rejected {token} for you"
        body = {"code": -32603, "message": message}
        frame = {"jsonrpc": "2.0", "id": request["id"], "error": body}
        await answer(send, 200, "application/json", json.dumps(frame).encode())
        return
    elif method == "tools/call" and path == "/question":
        result = {
            "resultType": "input_required",
            "inputRequests": {},
            "requestState": "x",
        }
    elif method == "tools/call":
        size = int(request["params"]["arguments"].get("n", 1))
        result = {**base, "content": [{"type": "text", "text": "x" * size}]}
    frame = {"jsonrpc": "2.0", "id": request["id"], "result": result}
    if path == "/events":
        data = json.dumps(frame).encode()
        noise = b": hello\r\n\r\nid: 1\r\ndata:\r\n\r\n"
        event = noise + b"event: message\r\ndata: " + data + b"\r\n\r\n"
        await answer(send, 200, "text/event-stream", event)
        return
    await answer(send, 200, "application/json", json.dumps(frame).encode())


async def app(scope: Any, receive: Any, send: Any) -> None:
    path = scope.get("path", "")
    if scope["type"] != "http":
        await inner(scope, receive, send)
        return
    body = await read(receive)
    if path == "/legacy" and b'"server/discover"' not in body:
        given = [{"type": "http.request", "body": body}]

        async def replay() -> Any:
            return given.pop() if given else await receive()

        await inner(scope, replay, send)
    elif path == "/legacy":
        await answer(send, 400, "text/plain", b"Bad request")
    elif path == "/html":
        await answer(send, 200, "text/html", b"<html>Welcome</html>")
    elif path == "/denied":
        await answer(send, 401, "text/plain", b"no")
    elif path == "/busy":
        await answer(send, 503, "text/plain", b"later")
    elif path == "/moved":
        await answer(send, 307, "text/plain", b"", location="/events")
    elif path == "/away":
        await answer(send, 307, "text/plain", b"", location="http://127.0.0.1:9/mcp")
    elif path == "/not-json":
        await answer(send, 200, "application/json", b"{oops")
    elif path in ("/leak", "/question", "/events", "/large"):
        await modern(scope, send, json.loads(body), path)
    else:
        await answer(send, 404, "text/html", b"<html>Not here</html>")


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
