"""The methods ``tasks/*`` of both eras, over runs and under the checks of get_run."""

import asyncio
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import decode_header_value
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from core.clock import now
from core.errors import NotFound
from gateway.mcp_server import handles, tools
from gateway.mcp_server.auth import check_scope, principal_of
from gateway.mcp_server.threads import in_thread
from gateway.models import Run
from gateway.services.cancel import cancel
from policy.principal import Principal

NOT_ENDED = -32000
_LOOK_SECONDS = 0.5
_CANCEL_SECONDS = 5.0
_MODERN = frozenset(MODERN_PROTOCOL_VERSIONS)
_OF_2025 = frozenset({handles.REVISION_OF_2025})


class UpdateParams(types.RequestParams):
    """Answers to what a task asks of its client."""

    task_id: str
    input_responses: dict[str, Any]


def register(server: Server[Any]) -> None:
    """Serve the methods."""
    task, page = types.GetTaskRequestParams, types.PaginatedRequestParams
    server.add_request_handler("tasks/get", task, _get)
    server.add_request_handler("tasks/result", task, _result)
    server.add_request_handler("tasks/cancel", task, _cancel)
    server.add_request_handler("tasks/update", UpdateParams, _update)
    server.add_request_handler("tasks/list", page, _list)
    server.extensions[handles.EXTENSION] = {}


async def _get(ctx: Any, params: types.GetTaskRequestParams) -> dict[str, Any]:
    principal = await _admitted(ctx, _MODERN | _OF_2025)
    run = await _run(ctx, principal, params.task_id)
    shown = handles.detailed if ctx.protocol_version in _MODERN else handles.of_2025
    return await in_thread(shown, run)


async def _update(ctx: Any, params: UpdateParams) -> dict[str, Any]:
    """Nothing is ever asked of the task's own client, so there is nothing to take."""
    principal = await _admitted(ctx, _MODERN)
    await _run(ctx, principal, params.task_id)
    return {}


async def _cancel(ctx: Any, params: types.GetTaskRequestParams) -> dict[str, Any]:
    principal = await _admitted(ctx, _MODERN | _OF_2025)
    run = await _run(ctx, principal, params.task_id)
    if ctx.protocol_version in _OF_2025 and run.ended:
        raise MCPError(types.INVALID_PARAMS, f"The task is {run.status} already.")
    await in_thread(cancel, uid=run.uid, actor=principal.actor, at=now())
    if ctx.protocol_version in _MODERN:
        return {}
    return handles.of_2025(await _ended(ctx, principal, run.uid, _CANCEL_SECONDS))


async def _result(ctx: Any, params: types.GetTaskRequestParams) -> dict[str, Any]:
    principal = await _admitted(ctx, _OF_2025)
    seconds = tools.DEFAULT_WAIT_SECONDS
    run = await _ended(ctx, principal, params.task_id, seconds)
    if not run.ended:
        raise MCPError(
            NOT_ENDED, f"The task is still {run.status}: poll tasks/get, then ask anew."
        )
    return await in_thread(handles.result_of_2025, run)


async def _list(ctx: Any, params: types.PaginatedRequestParams) -> dict[str, Any]:
    principal = await _admitted(ctx, _OF_2025)
    cursor = params.cursor or ""
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise MCPError(types.INVALID_PARAMS, "This is no cursor of tasks/list.")
    runs, following = await in_thread(tools.own_runs, principal, int(cursor or 0))
    page: dict[str, Any] = {"tasks": [handles.of_2025(run) for run in runs]}
    return page | ({"nextCursor": following} if following else {})


async def _admitted(ctx: Any, versions: frozenset[str]) -> Principal:
    """The caller, once method, revision, capability and scope fit."""
    if ctx.protocol_version not in versions:
        raise MCPError(types.METHOD_NOT_FOUND, "Method not found", data=ctx.method)
    if ctx.protocol_version in _MODERN and not handles.takes_tasks(ctx):
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            f"Declare the extension {handles.EXTENSION} in the client capabilities.",
            data={"requiredCapabilities": {"extensions": {handles.EXTENSION: {}}}},
        )
    principal = principal_of(ctx)
    await check_scope(principal, ctx.method)
    return principal


async def _run(ctx: Any, principal: Principal, uid: str) -> Run:
    named = decode_header_value(ctx.request.headers.get("mcp-name"))
    if ctx.protocol_version in _MODERN and named != uid:
        raise MCPError(types.HEADER_MISMATCH, "Mcp-Name is not the task of the body.")
    try:
        return await in_thread(tools.own_run, principal, uid)
    except NotFound as error:
        raise MCPError(types.INVALID_PARAMS, error.message) from None


async def _ended(ctx: Any, principal: Principal, uid: str, seconds: float) -> Run:
    """The run as it is when it has ended, or after ``seconds``."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    run = await _run(ctx, principal, uid)
    while not run.ended and loop.time() < deadline:
        await asyncio.sleep(_LOOK_SECONDS)
        run = await in_thread(tools.own_run, principal, uid)
    return run
