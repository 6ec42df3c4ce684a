"""A stdio server written by hand, with the bad habits of servers in the wild.

It speaks 2025-11-25 with `initialize` only, and keeps a file of its starts.
"""

import json
import os
import sys
import time
from typing import Any

GOOD = {"type": "object", "properties": {"n": {"type": "integer"}}}


def tool(name: object, schema: object = GOOD, **more: object) -> dict[str, Any]:
    return {"name": name, "inputSchema": schema, **more}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


def obj(inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": inner}}


TOOLS = [
    tool("good", annotations={"readOnlyHint": True}, title="Good"),
    tool("bad_type", obj({"type": "integr"})),
    tool("bad_pattern", obj({"type": "string", "pattern": "("})),
    tool("remote", obj({"$ref": "http://127.0.0.1:9/schema.json"})),
    tool("relative", obj({"$ref": "other.json"})),
    tool("dangling", obj({"$ref": "#/$defs/nowhere"})),
    tool("loop", obj({"$ref": "#/properties/x"})),
    tool("deep", deep(200)),
    tool("huge", {"type": "object", "description": "x" * 300_000}),
    tool(
        "wide", {"type": "object", "properties": {f"p{i}": {} for i in range(25_000)}}
    ),
    tool("no_object", {"type": "array"}),
    tool("no_schema", None),
    tool("bad_output", outputSchema={"type": 7}),
    tool("bad_hint", annotations={"readOnlyHint": "perhaps"}),
    tool("bell\x07"),
    tool("n" * 129),
    tool(""),
    tool(17),
    "not an object",
    tool("good"),
    tool("tree", {"type": "object", "properties": {"kids": {"items": {"$ref": "#"}}}}),
    tool("named_ref", {"type": "object", "properties": {"$ref": {"type": "string"}}}),
    tool("data_ref", obj({"default": {"$ref": "http://127.0.0.1:9/x"}})),
]


def send(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def frame_of(request: dict[str, Any]) -> str:
    return f'{{"jsonrpc":"2.0","id":{request["id"]},"result":'


def text(body: str, *, error: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": body}], "isError": error}


def call(request: dict[str, Any]) -> dict[str, Any] | None:
    name = request["params"]["name"]
    arguments = request["params"].get("arguments") or {}
    if name == "crash":
        sys.stderr.write(
            "warning: low on memory\nfatal: out of luck, key hunter-two-2\n"
        )
        sys.stderr.flush()
        os._exit(3)
    if name == "mute":
        os.close(1)
        time.sleep(30)
    if name == "hang":
        time.sleep(30)
    if name == "garbage":
        sys.stdout.write(frame_of(request) + "{oops\n")
        sys.stdout.flush()
        return None
    if name == "nan":
        body = '{"content":[],"structuredContent":{"x":NaN}}}'
        sys.stdout.write(f"{frame_of(request)}{body}\n")
        sys.stdout.flush()
        return None
    if name == "chatty":
        print("Listening for fun and profit")  # noqa: T201
        send({"jsonrpc": "2.0", "method": "notifications/message", "params": {}})
        send({"jsonrpc": "2.0", "id": "p1", "method": "ping"})
        pong = json.loads(sys.stdin.readline())
        return text(json.dumps(pong))
    results: dict[str, dict[str, Any]] = {
        "good": text(json.dumps(arguments)),
        "environment": text(json.dumps(dict(os.environ))),
        "pid": text(str(os.getpid())),
        "nan_text": text('{"a": NaN}'),
        "prose": text("[draft] not JSON"),
        "big": text("x" * int(arguments.get("n", 0))),
        "several": {
            "content": [
                {"type": "text", "text": '{"a": 1}'},
                {"type": "image", "mimeType": "image/png", "data": "AAAA"},
                {"type": "resource_link", "uri": "file:///a", "name": "a"},
            ]
        },
        "leak": text("Bad key hunter-two-2!", error=True),
        "wrong": {"content": "this should be a list"},
        "nothing": {"content": []},
        "wide_integer": {"content": [], "structuredContent": {"n": 2**70}},
    }
    if name not in results:
        return {"error": {"code": -32602, "message": f"Unknown tool: {name}"}}
    return results[name]


def reply(request: dict[str, Any]) -> dict[str, Any] | None:
    method = request["method"]
    if method == "initialize":
        return {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "rough", "version": "0.1"},
            "instructions": "Mind the edges.",
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        cursor = (request.get("params") or {}).get("cursor")
        if cursor is None:
            return {"tools": TOOLS[:10], "nextCursor": "more"}
        return {"tools": TOOLS[10:]}
    if method == "tools/call":
        return call(request)
    return {"error": {"code": -32601, "message": "Method not found"}}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request or "method" not in request:
            continue
        answer = reply(request)
        if answer is None:
            continue
        frame: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        if "error" in answer and "content" not in answer:
            send({**frame, "error": answer["error"]})
        else:
            send({**frame, "result": answer})


if __name__ == "__main__":
    main()
