"""Reads a server's list of tools page by page and refuses the bad ones alone."""

from typing import Any

import mcp_types as types
from mcp import ClientSession
from mcp_types import methods
from pydantic import ValidationError

from gateway.connectors.api import PROTOCOL, RefusedTool, UpstreamError, UpstreamTool
from gateway.connectors.schemas import name_problem, schema_problem
from gateway.connectors.values import is_wrapper, value_schema
from gateway.connectors.wire import WireDispatcher

MAX_PAGES = 200
MAX_TOOLS = 20_000
MAX_TEXT = 32 * 1024
_REFUSED = "tollgate/refused"
_NO_NAME = "(no name)"


async def read_pages(
    session: ClientSession, dispatcher: WireDispatcher, server: str
) -> tuple[list[UpstreamTool], list[RefusedTool], dict[str, bool]]:
    """All usable tools, the refused ones, and which tools wrap their results.

    Raises UpstreamError, MCPError.
    """
    version = session.protocol_version or ""
    dispatcher.sift = lambda page: sift(page, version)
    tools: dict[str, UpstreamTool] = {}
    refused: list[RefusedTool] = []
    wrapped: dict[str, bool] = {}
    cursor: str | None = None
    cursors: set[str] = set()
    for _ in range(MAX_PAGES):
        params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
        page = await session.list_tools(params=params)
        listed, dropped = _take(page)
        refused.extend(dropped)
        for tool in listed:
            if tool.name in tools:
                refused.append(RefusedTool(tool.name, "The name is listed twice."))
                continue
            tools[tool.name] = _imported(tool)
            wrapped[tool.name] = is_wrapper(tool.output_schema)
        cursor = page.next_cursor
        if not cursor:
            return list(tools.values()), refused, wrapped
        if cursor in cursors or len(tools) > MAX_TOOLS:
            break
        cursors.add(cursor)
    raise UpstreamError(
        PROTOCOL,
        f"The list of tools of server {server!r} does not end "
        f"(more than {MAX_PAGES} pages or {MAX_TOOLS:,} tools, or a repeated cursor).",
        sent=True,
    )


def sift(page: dict[str, Any], version: str) -> None:
    """Move the tools of a raw page that cannot be used aside, with the reason.

    The SDK checks a page as a whole, so one bad tool would lose all others.
    """
    tools = page.get("tools")
    if not isinstance(tools, list):
        return
    kept: list[Any] = []
    refused: list[list[str]] = []
    names: list[str] = []
    for tool in tools:
        name = _name(tool)
        problem = _problem(tool, page, version)
        if problem is None:
            kept.append(tool)
            names.append(name)
        else:
            refused.append([name, problem])
    page["tools"] = kept
    meta = page.get("_meta")
    page["_meta"] = {
        **(meta if isinstance(meta, dict) else {}),
        _REFUSED: {"refused": refused, "kept": names},
    }


def _take(page: types.ListToolsResult) -> tuple[list[types.Tool], list[RefusedTool]]:
    found = (page.meta or {}).get(_REFUSED) or {"refused": [], "kept": []}
    refused = [RefusedTool(name, reason) for name, reason in found["refused"]]
    usable = {tool.name for tool in page.tools}
    # The session itself drops tools with bad header annotations (2026-07-28).
    refused += [
        RefusedTool(name, "Its x-mcp-header annotations are not valid.")
        for name in found["kept"]
        if name not in usable
    ]
    return page.tools, refused


def _name(tool: object) -> str:
    name = tool.get("name") if isinstance(tool, dict) else None
    if not isinstance(name, str):
        return _NO_NAME
    shown = "".join(c if c.isprintable() else "�" for c in name[:128])
    return shown or _NO_NAME


def _problem(tool: object, page: dict[str, Any], version: str) -> str | None:
    if not isinstance(tool, dict):
        return "The definition is not an object."
    problem = name_problem(tool.get("name"))
    if problem is None:
        problem = schema_problem(tool.get("inputSchema"), kind="input")
    if problem is None and tool.get("outputSchema") is not None:
        problem = schema_problem(tool["outputSchema"], kind="output")
    if problem is None and len(str(tool.get("description") or "")) > MAX_TEXT:
        problem = f"The description is longer than {MAX_TEXT:,} characters."
    if problem is not None:
        return problem
    try:
        methods.validate_server_result("tools/list", version, {**page, "tools": [tool]})
        types.Tool.model_validate(tool, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"The definition is not valid: {where}: {first['msg']}"
    except KeyError:
        return None
    return None


def _imported(tool: types.Tool) -> UpstreamTool:
    annotations = tool.annotations
    return UpstreamTool(
        name=tool.name,
        title=_text(tool.title),
        description=_text(tool.description),
        input_schema=tool.input_schema,
        output_schema=value_schema(tool.output_schema),
        annotations=annotations.model_dump(
            by_alias=True, mode="json", exclude_none=True
        )
        if annotations
        else {},
        meta=dict(tool.meta or {}),
    )


def _text(text: str | None) -> str:
    # PostgreSQL has no NUL in its texts.
    return (text or "").replace("\x00", "")
