"""Messages as they go over the wire, for what no good client would send."""

import json
from collections.abc import Mapping
from typing import Any

import httpx2

from tests.stack import MODERN

CALL = "tools/call"
_MEDIA = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
}
_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def message(
    method: str,
    params: Mapping[str, Any] | None,
    era: str,
    capabilities: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A request as the era writes it."""
    meta: dict[str, Any] = {"_meta": dict(_META)} if era == MODERN else {}
    if meta and capabilities:
        meta["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": method,
        "params": {**(params or {}), **meta},
    }


def headers(key: str, era: str, **more: str) -> dict[str, str]:
    """The headers that go with a message; no key where it is empty."""
    found = dict(_MEDIA)
    if key:
        found["authorization"] = f"Bearer {key}"
    found["mcp-protocol-version"] = MODERN if era == MODERN else "2025-11-25"
    return found | {name.replace("_", "-"): value for name, value in more.items()}


def send(
    url: str,
    key: str,
    era: str,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    body: bytes | None = None,
    capabilities: Mapping[str, Any] | None = None,
    **more: str,
) -> httpx2.Response:
    """Send a request, or the raw ``body`` in its place."""
    routing = {"mcp_method": method}
    if params and "name" in params:
        routing["mcp_name"] = str(params["name"])
    if body is None:
        body = json.dumps(message(method, params, era, capabilities)).encode()
    sent = headers(key, era, **(routing | more))
    return httpx2.post(url, content=body, headers=sent, timeout=60)
