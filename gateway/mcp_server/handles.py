"""Runs as the protocol's tasks: a task's id is the id of its run.

Revision 2026-07-28 has tasks in the extension ``io.modelcontextprotocol/tasks``,
2025-11-25 has them in its core; the fields are named differently.
"""

from datetime import datetime, timedelta
from typing import Any

import mcp_types as types
from django.conf import settings
from mcp_types import methods
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gateway.mcp_server.results import answer_of
from gateway.models import Run

EXTENSION = "io.modelcontextprotocol/tasks"
REVISION_OF_2025 = "2025-11-25"
CAPABILITY_OF_2025: dict[str, Any] = {
    "list": {},
    "cancel": {},
    "requests": {"tools": {"call": {}}},
}
_RELATED = "io.modelcontextprotocol/related-task"
_REVISION_OF_2026 = "2026-07-28"
_POLL_MS, _POLL_HELD_MS = 1_000, 10_000
_ENDED = {
    Run.Status.SUCCEEDED: "completed",
    Run.Status.FAILED: "failed",
    Run.Status.CANCELLED: "cancelled",
}
_MESSAGES = {
    Run.Status.QUEUED: "The run is queued.",
    Run.Status.RUNNING: "The run goes on.",
    Run.Status.AWAITING_APPROVAL: "A person has to approve a call; the run then goes "
    "on by itself.",
    Run.Status.AWAITING_OUTCOME: "A write was interrupted and a person has to say "
    "whether it happened; the run then goes on by itself.",
}


def takes_tasks(ctx: Any) -> bool:
    """Whether this request's client has declared the extension."""
    found = ctx.session.client_capabilities
    return (
        ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        and found is not None
        and EXTENSION in (found.extensions or {})
    )


def created(run: Run) -> dict[str, Any]:
    """The handle in place of a result, to a client that has the extension."""
    return {"resultType": "task", **_task(run)}


def detailed(run: Run) -> dict[str, Any]:
    """The answer of ``tasks/get`` in the extension; an ended one holds its result."""
    task = _task(run)
    if task["status"] == "completed":
        task["result"] = _dumped(run, _REVISION_OF_2026)
    return task


def of_2025(run: Run) -> dict[str, Any]:
    """The task as revision 2025-11-25 names its fields."""
    task = _task(run)
    task["ttl"], task["pollInterval"] = task.pop("ttlMs"), task.pop("pollIntervalMs")
    # That revision calls a tool's own error a failed task; the extension does not.
    task["status"] = _ENDED.get(Run.Status(run.status), "working")
    return task


def result_of_2025(run: Run) -> dict[str, Any]:
    """The answer of ``tasks/result``: what the call itself would have returned."""
    meta = {"_meta": {_RELATED: {"taskId": run.uid}}}
    return _dumped(run, REVISION_OF_2025) | meta


def _task(run: Run) -> dict[str, Any]:
    status = _ENDED.get(Run.Status(run.status), "working")
    ttl = None
    if run.finished_at:
        ttl = run.finished_at - run.queued_at + timedelta(days=settings.RESULT_DAYS)
    message = (run.error or {}).get("message") or _MESSAGES.get(Run.Status(run.status))
    task = {
        "taskId": run.uid,
        "status": "completed" if status == "failed" else status,
        "createdAt": run.queued_at.isoformat(),
        "lastUpdatedAt": _changed_at(run).isoformat(),
        "ttlMs": ttl and int(ttl.total_seconds() * 1_000),
        "pollIntervalMs": _POLL_HELD_MS if run.status in Run.WAITING else _POLL_MS,
    }
    return task | ({"statusMessage": message} if message else {})


def _changed_at(run: Run) -> datetime:
    times = (run.queued_at, run.started_at, run.held_since, run.finished_at)
    return max(time for time in times if time)


def _dumped(run: Run, revision: str) -> dict[str, Any]:
    result: types.CallToolResult = answer_of(run)
    body = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return methods.serialize_server_result("tools/call", revision, body)
