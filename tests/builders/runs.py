"""Tasks, runs and their calls, as they stand once recorded."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.ids import new_id
from gateway.models import Run, Task, ToolCall

AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)

SCRIPT = """from tools import crm

orders = crm.list_orders(since="2026-11-01")
big = [o for o in orders if o["total"] > 100]
print(len(orders), "orders")
return big[:3]
"""


def make_task(
    *, label: str = "", team: str = "support", principal: str = "", at: datetime = AT
) -> Task:
    """A task of a team's agent."""
    return Task.objects.create(
        uid=new_id("task"),
        label=label,
        principal=principal or f"sa:{team}/agent",
        team=team,
        created_at=at,
    )


def make_run(
    *,
    task: Task | None = None,
    team: str = "support",
    environment: str = "dev",
    status: str = Run.Status.SUCCEEDED,
    code: str = SCRIPT,
    value: Any = None,
    stdout: str = "",
    error: Mapping[str, Any] | None = None,
    model: str = "",
    cost: Decimal | None = Decimal("0.0042"),
    queue_seconds: float = 0.02,
    run_seconds: float = 1.5,
    at: datetime = AT,
    **fields: Any,
) -> Run:
    """A run queued at ``at``; one that ended took the given seconds."""
    task = task or make_task(team=team, at=at)
    task.attempts += 1
    task.save(update_fields=["attempts"])
    started = at + timedelta(seconds=queue_seconds)
    ended = status in Run.ENDED
    values: dict[str, Any] = {
        "uid": new_id("run"),
        "task": task,
        "attempt": task.attempts,
        "mode": Run.Mode.SCRIPT,
        "team_id_at": 1,
        "team": team,
        "cost_centre": f"CC-{team}",
        "project": "default",
        "environment": environment,
        "principal_kind": "service_account",
        "principal": task.principal,
        "principal_label": task.principal.rpartition("/")[2],
        "key": "tg_abcd2345",
        "scopes": ["tools:*", "runs:execute"],
        "model": model,
        "language": "python",
        "code": code,
        "code_sha256": hashlib.sha256(code.encode()).hexdigest(),
        "catalog_revision": 1,
        "policy_revision": 1,
        "seed": 7,
        "status": status,
        "epoch": 0 if status == Run.Status.QUEUED else 1,
        "queued_at": at,
        "started_at": None if status == Run.Status.QUEUED else started,
        "finished_at": started + timedelta(seconds=run_seconds) if ended else None,
        "value": value,
        "stdout": stdout,
        "error": dict(error) if error else None,
        "usage": _usage(queue_seconds, run_seconds) if ended else {},
        "cost": cost if ended else None,
        "currency": "USD",
    }
    return Run.objects.create(**(values | fields))


def _usage(queue_seconds: float, run_seconds: float) -> dict[str, Any]:
    return {
        "queue_seconds": queue_seconds,
        "run_seconds": run_seconds,
        "cpu_seconds": 0.2,
        "peak_memory_bytes": 40 * 2**20,
        "tokens": {"script": 90, "result": 40, "known": "estimated"},
        "sandbox": {
            "wall_seconds": run_seconds,
            "cpu_seconds": 0.2,
            "peak_memory_bytes": 40 * 2**20,
            "dispatch_seconds": 0.004,
            "waiting_seconds": 0.3,
        },
    }


def make_call(
    run: Run,
    *,
    tool: str = "crm.list_orders",
    outcome: str = ToolCall.Outcome.OK,
    decision: str = "allow",
    arguments: Mapping[str, Any] | None = None,
    result: Any = None,
    error: Mapping[str, Any] | None = None,
    effect: str = "read",
    after_seconds: float = 0.1,
    seconds: float | None = 0.25,
    **fields: Any,
) -> ToolCall:
    """The run's next step; ``outcome=""`` is a call still under way."""
    intent_at = (run.started_at or run.queued_at) + timedelta(seconds=after_seconds)
    held = {"since": "2026-11-01"} if arguments is None else dict(arguments)
    ended = outcome != "" and seconds is not None
    values: dict[str, Any] = {
        "run": run,
        "step": run.calls.count() + 1,
        "epoch": run.epoch,
        "tool": tool,
        "tool_version": 1,
        "effect": effect,
        "arguments": held,
        "arguments_digest": hashlib.sha256(repr(held).encode()).hexdigest(),
        "decision": decision,
        "reasons": ["granted: server crm"] if decision == "allow" else ["no grant"],
        "intent_at": intent_at,
        "outcome": outcome,
        "outcome_at": intent_at + timedelta(seconds=seconds or 0) if ended else None,
        "seconds": seconds if ended else None,
        "error": dict(error) if error else None,
        "result": result,
        "result_bytes": 2048 if outcome == ToolCall.Outcome.OK else 0,
        "result_tokens": 512 if outcome == ToolCall.Outcome.OK else 0,
    }
    call = ToolCall.objects.create(**(values | fields))
    run.tool_calls += 1
    run.successful_calls += outcome == ToolCall.Outcome.OK
    run.save(update_fields=["tool_calls", "successful_calls"])
    return call
