"""The MCP server at /mcp: protocol revisions 2026-07-28 and 2025-11-25, no state."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import mcp_types as types
from django.conf import settings
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types import methods

from core.errors import TollgateError
from gateway.catalog import CatalogTool, sandboxing_for, usable_by
from gateway.codemode.agent_tools import AGENT_TOOLS, EXECUTE, GET_RUN, REPORT_USAGE
from gateway.codemode.definitions import ToolDef
from gateway.codemode.validate import Validators
from gateway.mcp_server import asking, handles, results, task_methods, tools
from gateway.mcp_server.auth import KeyGuard, check_scope, principal_of
from gateway.mcp_server.threads import in_thread
from gateway.mcp_server.waiting import Completions
from gateway.models import Run
from policy import admission, scopes
from policy.principal import PERSON, Principal
from policy.sandbox import DIRECT, SCRIPT

CALL = "tools/call"
_SCHEMAS: dict[str, Mapping[str, Any]] = {
    tool["name"]: tool["inputSchema"] for tool in (*AGENT_TOOLS, REPORT_USAGE)
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
        task_methods.register(self._server)
        self._server.middleware[:] = [self._tasks_of_2025]
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
        principal = principal_of(ctx)
        if principal.kind == PERSON:
            only = types.Tool.model_validate(GET_RUN)
            return types.ListToolsResult(tools=[only])
        listed = await in_thread(_listed, principal)
        return types.ListToolsResult(tools=listed)

    async def _call_tool(self, ctx: Any, params: types.CallToolRequestParams) -> Any:
        principal = principal_of(ctx)
        arguments = params.arguments or {}
        try:
            if params.name in tools.ANSWERS:
                await self._admit(principal, params)
                principal = tools.traced(principal, params.meta)
                return await in_thread(_answer, ctx, principal, params)
            run = await self._submit(principal, params)
            seconds = tools.DEFAULT_WAIT_SECONDS
            if run.mode == Run.Mode.SCRIPT:
                seconds = tools.wait_seconds(arguments)
            if seconds > 0:
                await self._completions.wait(run.uid, seconds)
            run = await in_thread(Run.objects.get, uid=run.uid)
            if not run.ended and handles.takes_tasks(ctx):
                return handles.created(run)
            return await in_thread(results.answer_of, run)
        except TollgateError as error:
            return results.failure(error.code, error.message, error.details)

    async def _tasks_of_2025(self, ctx: Any, call_next: CallNext) -> HandlerResult:
        """Offer tasks as revision 2025-11-25 has them: asked for call by call."""
        given = ctx.params or {}
        if ctx.method == "initialize":
            answer = await call_next(ctx)
            if isinstance(answer, dict):
                return answer | _with_tasks(answer)
            return answer
        asked = ctx.method == CALL and given.get("task") is not None
        if not asked or ctx.protocol_version != handles.REVISION_OF_2025:
            return await call_next(ctx)
        methods.validate_client_request(ctx.method, ctx.protocol_version, given)
        params = types.CallToolRequestParams.model_validate(given, by_name=False)
        if params.name in tools.ANSWERS:
            raise MCPError(
                types.METHOD_NOT_FOUND, f"{params.name} does not run as a task."
            )
        try:
            run = await self._submit(principal_of(ctx), params)
        except TollgateError as error:
            data = {"code": error.code, **error.details}
            raise MCPError(types.INVALID_REQUEST, error.message, data=data) from None
        return {"task": handles.of_2025(run)}

    async def _admit(
        self, principal: Principal, params: types.CallToolRequestParams
    ) -> None:
        """Refuse arguments that do not fit and keys that lack the scope."""
        if params.name in _SCHEMAS:
            definition = _DEFINITIONS[params.name]
            problems = self._validators.check(definition, params.arguments or {})
            if problems:
                raise MCPError(
                    types.INVALID_PARAMS,
                    f"{params.name}: "
                    + "; ".join(str(problem) for problem in problems[:5]),
                )
        await check_scope(principal, params.name)

    async def _submit(
        self, principal: Principal, params: types.CallToolRequestParams
    ) -> Run:
        """Queue the script, or the direct call of a tool."""
        await self._admit(principal, params)
        principal = tools.traced(principal, params.meta)
        name, arguments = params.name, params.arguments or {}
        model = tools.model_in(params.meta)
        if name == EXECUTE["name"]:
            return await in_thread(tools.submit, principal, arguments, model)
        return await in_thread(tools.submit_direct, principal, name, arguments, model)


def _answer(
    ctx: Any, principal: Principal, params: types.CallToolRequestParams
) -> types.CallToolResult | types.InputRequiredResult:
    """The answer of a tool that runs nothing, or a question to the person who asks."""
    arguments = params.arguments or {}
    if params.name == GET_RUN["name"]:
        run = tools.own_run(principal, arguments["run"])
        if params.request_state is not None or params.input_responses:
            asking.answer(principal, run, params)
        elif asking.can_fill_forms(ctx) and arguments.keys() == {"run"}:
            asked = asking.ask(principal, run.uid)
            if asked is not None:
                return asked
    return results.result(tools.ANSWERS[params.name](principal, arguments))


def _with_tasks(initialized: dict[str, Any]) -> dict[str, Any]:
    if initialized["protocolVersion"] != handles.REVISION_OF_2025:
        return {}
    tasks = {"tasks": handles.CAPABILITY_OF_2025}
    return {"capabilities": initialized["capabilities"] | tasks}


def _listed(principal: Principal) -> list[types.Tool]:
    """What this key may call at all: the agent tools, and tools called directly."""
    usable = usable_by(principal)
    rules = sandboxing_for(principal, usable.policy_revision).rules
    scripts = admission.mode_refusal(rules, SCRIPT) is None
    listed = [
        types.Tool.model_validate(tool)
        for tool in AGENT_TOOLS
        if scripts or tool is not EXECUTE
    ]
    if scopes.covers(principal.scopes, scopes.COSTS_WRITE):
        listed.append(types.Tool.model_validate(REPORT_USAGE))
    if admission.mode_refusal(rules, DIRECT) is not None:
        return listed
    found = (usable.catalog.tools[name] for name in sorted(usable.names))
    return listed + [_direct_tool(tool) for tool in found if tool.direct]


def _direct_tool(tool: CatalogTool) -> types.Tool:
    definition = tool.definition
    return types.Tool(
        name=tool.full_name,
        title=definition.title or None,
        description=definition.description,
        input_schema=dict(definition.input_schema),
        execution=types.ToolExecution(task_support="optional"),
    )


def _transport_security() -> TransportSecuritySettings:
    hosts = [host for host in settings.ALLOWED_HOSTS if host != "*"]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection="*" not in settings.ALLOWED_HOSTS,
        allowed_hosts=[*hosts, *(f"{host}:*" for host in hosts)],
        allowed_origins=[settings.PUBLIC_URL, *settings.CSRF_TRUSTED_ORIGINS],
    )
