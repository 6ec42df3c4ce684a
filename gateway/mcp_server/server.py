"""The MCP server at /mcp: protocol revisions 2026-07-28 and 2025-11-25, no state."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import mcp_types as types
import orjson
from django.conf import settings
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError

from core.errors import Denied, TollgateError
from gateway.catalog import CatalogTool, usable_by
from gateway.codemode.agent_tools import AGENT_TOOLS
from gateway.codemode.definitions import ToolDef
from gateway.codemode.validate import Validators
from gateway.mcp_server import tools
from gateway.mcp_server.auth import (
    NEEDED,
    PRINCIPAL,
    KeyGuard,
    lacks,
    record_refusal,
)
from gateway.mcp_server.threads import in_thread
from gateway.mcp_server.waiting import Completions
from policy import scopes
from policy.principal import Principal

_SCHEMAS: dict[str, Mapping[str, Any]] = {
    tool["name"]: tool["inputSchema"] for tool in AGENT_TOOLS
}
_DEFINITIONS = {
    name: ToolDef(
        server="tollgate",
        name=name,
        original=name,
        title="",
        description="",
        input_schema=schema,
        output_schema=None,
        tags=(),
        effect="read",
        version=1,
        fingerprint=f"tollgate:{name}",
    )
    for name, schema in _SCHEMAS.items()
}
_INSTRUCTIONS = (
    "Search for tools, look at their signatures, then write one Python script that "
    "calls them and returns only what you need; run it with execute."
)


class Endpoint:
    """The ASGI application of /mcp and what lives as long as it does."""

    def __init__(self) -> None:
        self._validators = Validators()
        self._completions = Completions()
        self._server: Server[Any] = Server(
            "tollgate",
            version="1",
            title="Tollgate",
            instructions=_INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            get_tool_input_schema=_SCHEMAS.get,
        )
        self._server.middleware.clear()
        self._manager = StreamableHTTPSessionManager(
            self._server,
            json_response=True,
            stateless=True,
            security_settings=_transport_security(),
        )
        self.app = KeyGuard(self._manager.handle_request)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve requests and hear of ended runs while the context is open."""
        listener = asyncio.create_task(self._completions.listen())
        async with self._manager.run():
            try:
                yield
            finally:
                listener.cancel()
                with suppress(asyncio.CancelledError):
                    await listener

    async def _list_tools(
        self, ctx: Any, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        usable = await in_thread(usable_by, _principal(ctx))
        direct = [
            _direct_tool(usable.catalog.tools[name])
            for name in sorted(usable.names)
            if usable.catalog.tools[name].direct
        ]
        listed = [types.Tool.model_validate(tool) for tool in AGENT_TOOLS]
        return types.ListToolsResult(tools=listed + direct)

    async def _call_tool(
        self, ctx: Any, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        principal = _principal(ctx)
        arguments = params.arguments or {}
        if params.name in _SCHEMAS:
            self._check(params.name, arguments)
        try:
            await _check_scope(principal, params.name)
            if params.name == "execute":
                return await self._execute(principal, arguments)
            if params.name in tools.ANSWERS:
                answer = tools.ANSWERS[params.name]
                return _result(await in_thread(answer, principal, arguments))
            return await self._direct(principal, params.name, arguments)
        except TollgateError as error:
            return _failure(error.code, error.message, error.details)

    def _check(self, name: str, arguments: Mapping[str, Any]) -> None:
        problems = self._validators.check(_DEFINITIONS[name], arguments)
        if problems:
            raise MCPError(
                types.INVALID_PARAMS,
                f"{name}: " + "; ".join(str(problem) for problem in problems[:5]),
            )

    async def _execute(
        self, principal: Principal, arguments: Mapping[str, Any]
    ) -> types.CallToolResult:
        run = await in_thread(tools.submit, principal, arguments)
        seconds = tools.wait_seconds(arguments)
        if seconds > 0:
            await self._completions.wait(run.uid, seconds)
        answer = await in_thread(tools.answer, run.uid)
        return _result(answer, failed=answer["error"] is not None)

    async def _direct(
        self, principal: Principal, name: str, arguments: Mapping[str, Any]
    ) -> types.CallToolResult:
        usable = await in_thread(usable_by, principal)
        tool = usable.catalog.tools.get(name)
        if name in usable.names and tool is not None and not tool.direct:
            raise MCPError(
                types.INVALID_PARAMS,
                f"{name} is not listed for direct calls: call it from a script with "
                "execute.",
            )
        run = await in_thread(tools.submit_direct, principal, name, arguments)
        await self._completions.wait(run.uid, tools.DEFAULT_WAIT_SECONDS)
        value, error = await in_thread(tools.direct_answer, run.uid)
        if error is not None:
            return _failure(error["code"], error["message"], {"run": run.uid})
        if isinstance(value, dict):
            return _result(value)
        return types.CallToolResult(content=[_text(value)])


async def _check_scope(principal: Principal, name: str) -> None:
    # KeyGuard has said so already, with the status that the protocol asks for. This
    # one reads the same name that is about to be called.
    needed = NEEDED.get(name, "")
    if needed and not scopes.covers(principal.scopes, needed):
        await in_thread(record_refusal, principal, name, needed)
        raise Denied(lacks(name, needed))


def _principal(ctx: Any) -> Principal:
    principal: Principal = ctx.request.scope[PRINCIPAL]
    return principal


def _direct_tool(tool: CatalogTool) -> types.Tool:
    definition = tool.definition
    return types.Tool(
        name=tool.full_name,
        title=definition.title or None,
        description=definition.description,
        input_schema=dict(definition.input_schema),
    )


def _text(value: Any) -> types.TextContent:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return types.TextContent(type="text", text=text)


def _result(body: dict[str, Any], *, failed: bool = False) -> types.CallToolResult:
    # The same JSON twice: clients read structured content or text, not all both.
    return types.CallToolResult(
        content=[_text(body)], structured_content=body, is_error=failed
    )


def _failure(
    code: str, message: str, details: Mapping[str, Any]
) -> types.CallToolResult:
    error = {"code": code, "message": message, "details": dict(details)}
    return _result({"error": error}, failed=True)


def _transport_security() -> TransportSecuritySettings:
    hosts = [host for host in settings.ALLOWED_HOSTS if host != "*"]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection="*" not in settings.ALLOWED_HOSTS,
        allowed_hosts=[*hosts, *(f"{host}:*" for host in hosts)],
        allowed_origins=[settings.PUBLIC_URL, *settings.CSRF_TRUSTED_ORIGINS],
    )
