"""Tools for tests, and the shared catalogs where they are present."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.codemode.definitions import ToolDef, fingerprint, safe_alias

SHARED = Path(__file__).resolve().parents[4] / "shared"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared catalogs are not on this machine"
)

ORDER = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "total": {"type": "number"}},
    "required": ["id"],
}


def make_tool(
    full_name: str = "crm.list_orders",
    properties: Mapping[str, Any] | None = None,
    *,
    required: tuple[str, ...] = (),
    schema: Mapping[str, Any] | None = None,
    returns: Mapping[str, Any] | None = None,
    description: str = "",
    tags: tuple[str, ...] = (),
    original: str = "",
) -> ToolDef:
    server, _, name = full_name.partition(".")
    if schema is None:
        schema = {"type": "object", "properties": dict(properties or {})}
        schema |= {"required": list(required)} if required else {}
    return ToolDef(
        server=server,
        name=name,
        original=original or name,
        title="",
        description=description,
        input_schema=schema,
        output_schema=returns,
        tags=tags,
        effect="read",
        version=1,
        fingerprint=fingerprint(
            name=full_name,
            description=description,
            input_schema=schema,
            output_schema=returns,
            annotations={},
        ),
    )


def make_list_orders() -> ToolDef:
    return make_tool(
        "crm.list_orders",
        {
            "since": {"type": "string", "description": "ISO date."},
            "limit": {"type": "integer", "default": 50, "minimum": 1, "maximum": 500},
            "status": {"type": "string", "enum": ["open", "paid"]},
        },
        required=("since",),
        returns={"type": "array", "items": {"$ref": "#/$defs/Order"}}
        | {"$defs": {"Order": ORDER}},
        description="List orders since a date. Newest first.",
        tags=("orders",),
    )


def make_catalog(*tools: ToolDef) -> dict[str, ToolDef]:
    return {tool.full_name: tool for tool in tools}


def github_tools() -> list[ToolDef]:
    path = SHARED / "catalogs" / "github-mcp-server.tools.json"
    found: list[ToolDef] = []
    taken: set[str] = set()
    for tool in json.loads(path.read_text()):
        alias = safe_alias(tool["name"], taken)
        taken.add(alias)
        found.append(
            make_tool(
                f"github.{alias}",
                schema=tool["inputSchema"],
                returns=tool.get("outputSchema"),
                description=tool.get("description", ""),
                original=tool["name"],
            )
        )
    return found
