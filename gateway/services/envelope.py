"""The one answer an agent gets about a run, and paging through what was cut."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from gateway.codemode import truncate
from gateway.models import Run
from policy.models import Approval

# The largest result that common MCP clients take is 25,000 tokens.
MAX_VALUE_BYTES = 40_000
MAX_CALLS_SHOWN = 200


def envelope(run: Run) -> dict[str, Any]:
    """What the agent sees; a value that is too long is cut structurally."""
    value, cut = truncate.fit(run.value, max_bytes=MAX_VALUE_BYTES)
    # A run that has ended without a call needs no query to say so.
    calls: list[Any] = []
    if run.tool_calls or not run.ended:
        shown = run.calls.order_by("step").values("tool", "outcome")
        calls = list(shown[:MAX_CALLS_SHOWN])
    body: dict[str, Any] = {
        "run": run.uid,
        "status": run.status,
        "value": value,
        "stdout": run.stdout,
        "error": run.error,
        "calls": calls,
        "usage": run.usage,
    }
    if run.status in Run.WAITING:
        body["waiting_for"] = waiting_for(run)
    if cut is not None:
        body["truncated"] = {
            "message": cut.message,
            "page_with": f"get_run(run={run.uid!r}, path=..., offset=..., limit=...)",
        }
    if run.stdout_truncated:
        body["stdout_truncated"] = True
    if run.tool_calls > MAX_CALLS_SHOWN:
        body["calls_not_shown"] = run.tool_calls - MAX_CALLS_SHOWN
    return body


def page_of(approval: str) -> str:
    """Where people decide on an approval."""
    return f"{settings.PUBLIC_URL}{reverse('approval', args=[approval])}"


def waiting_for(run: Run) -> dict[str, Any]:
    """What a held run waits for, and that it goes on by itself."""
    if run.status == Run.Status.AWAITING_OUTCOME:
        return {
            "what": "outcome",
            "message": "A write was interrupted and nobody knows whether it happened. "
            "It is looked up or sent again where that is safe, else a person decides; "
            "the run then goes on by itself. Ask get_run later, and do not send the "
            "script again.",
        }
    asked = Approval.objects.filter(run=run.uid, state=Approval.State.PENDING)
    approvals = [
        {
            "approval": approval.uid,
            "tool": approval.tool,
            "step": approval.step,
            "expires_at": approval.expires_at.isoformat(),
            "page": page_of(approval.uid),
        }
        for approval in asked.order_by("step")[:MAX_CALLS_SHOWN]
    ]
    return {
        "what": "approval",
        "approvals": approvals,
        "message": "A person has to approve this call; the run then goes on by itself. "
        "Ask get_run later, and do not send the script again.",
    }
