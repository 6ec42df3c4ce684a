"""The only way to a tool: for scripts and for direct calls alike.

Schema validation, decision, quota, intent on record, the call, outcome on record,
reply. What cannot be recorded is not done.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.db import transaction

from audit.actor import Target
from audit.redact import hide, redact, secrets_in
from audit.services.record import build
from core.canonical import keyed_digest
from core.clock import now
from core.errors import QuotaExceeded
from gateway import events
from gateway.catalog import CatalogTool, Usable
from gateway.codemode import tokens
from gateway.codemode.validate import Validators, without_omitted
from gateway.connectors.api import Outcome, ServerSpec, UpstreamError
from gateway.models import ToolCall
from gateway.models.catalog import Effect
from gateway.sandbox.api import Call, CallError, Reply
from gateway.services import journal
from policy.decision import DENY, Decision, decide
from policy.principal import Principal
from policy.services.quotas import reserve

_validators = Validators()
_TOKENS_COUNTED_CHARACTERS = 16_384
CALLS = "calls"


class Upstream(Protocol):
    """The part of the connection pool that calls need."""

    def call(
        self,
        spec: ServerSpec,
        tool: str,
        arguments: dict[str, Any],
        *,
        timeout: float,
        meta: Mapping[str, Any] | None = None,
    ) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Holder:
    """The run in whose name calls are made, as claimed by this worker."""

    run_id: int
    run: str
    epoch: int
    principal: Principal
    usable: Usable
    upstream: Upstream
    needs_gvisor: Callable[[str], bool] = lambda _: False
    """Tools that are withheld, where the script has no kernel of its own."""


def invoke(holder: Holder, call: Call) -> Reply:
    """Make one call for a run, or refuse it; either way it is on record.

    Never raises for what a tool or its arguments do. Raises LeaseLost, and whatever
    the database raises: then nothing was sent.
    """
    tool = holder.usable.catalog.tools.get(call.tool)
    decision = _decide(holder, call.tool, tool)
    if tool is None or not decision.allowed:
        return _refuse(holder, call, tool, decision.reasons)
    call = replace(call, arguments=without_omitted(tool.definition, call.arguments))
    if problems := _validators.check(tool.definition, call.arguments):
        return _invalid(holder, call, tool, [str(problem) for problem in problems])
    try:
        call_id = _intend(holder, call, tool, decision)
    except QuotaExceeded as error:
        return _over_quota(holder, call, tool, error)
    return _send(holder, call, tool, call_id)


def _decide(holder: Holder, name: str, tool: CatalogTool | None) -> Decision:
    if tool is None:
        return Decision(DENY, ("catalog: there is no such tool",))
    if holder.needs_gvisor(name):
        return Decision(DENY, ("isolation: the tool needs a script in gVisor",))
    return decide(
        tool=name,
        granted=holder.usable.granted(tool),
        enabled=holder.principal.environment in tool.environments,
        scopes_held=holder.principal.scopes,
    )


def _intend(holder: Holder, call: Call, tool: CatalogTool, decision: Decision) -> int:
    at = now()
    shown = redact(call.arguments)
    digest = keyed_digest(call.arguments, purpose="arguments")
    intent = _intent(
        holder, call, tool, decision.effect, decision.reasons, shown, at, digest
    )
    event = build(
        events.CALL_INTENDED,
        actor=holder.principal.actor,
        at=at,
        target=_target(call.tool),
        decision=decision.effect,
        reasons=decision.reasons,
        payload={
            "arguments": shown,
            "arguments_digest": digest,
            "version": tool.definition.version,
            "effect": tool.effect,
            "policy_revision": holder.usable.policy_revision,
        },
        tool=call.tool,
        run=holder.run,
        step=call.step,
    )
    # The outcome's commit, which a read waits for, makes its intent durable too:
    # until then only a crash of the operating system could lose it.
    durable = tool.effect != Effect.READ
    if not any(limit.metric == CALLS for limit in holder.usable.limits):
        return journal.intend(intent, event=event, durable=durable)
    with transaction.atomic():
        reserve(limits=holder.usable.limits, metric=CALLS, at=at)
        return journal.intend(intent, event=event, durable=durable)


def _send(holder: Holder, call: Call, tool: CatalogTool, call_id: int) -> Reply:
    spec = holder.usable.catalog.specs[tool.server_id]
    started = time.perf_counter()
    try:
        outcome = holder.upstream.call(
            spec,
            tool.definition.original,
            call.arguments,
            timeout=spec.timeout_seconds,
        )
    except UpstreamError as error:
        lost = error.sent and tool.effect == Effect.WRITE
        kind = ToolCall.Outcome.UNKNOWN if lost else ToolCall.Outcome.FAILED
        message = hide(error.message, secrets_in(call.arguments))
        reply = Reply(error=CallError(error.code, message, retryable=error.retryable))
        _settle(holder, call, call_id, kind, reply, time.perf_counter() - started, 0)
        return reply
    if outcome.is_error:
        # Tools like to repeat what they were given, passwords too.
        message = hide(outcome.message, secrets_in(call.arguments))
        message = message or "The tool reported an error without a text."
        reply = Reply(error=CallError("tool_error", message, retryable=True))
        kind = ToolCall.Outcome.TOOL_ERROR
    else:
        reply, kind = Reply(value=outcome.value), ToolCall.Outcome.OK
    _settle(holder, call, call_id, kind, reply, outcome.seconds, outcome.bytes)
    return reply


def _settle(
    holder: Holder,
    call: Call,
    call_id: int,
    outcome: str,
    reply: Reply,
    seconds: float,
    size: int,
) -> None:
    at = now()
    error = _error_dict(reply.error)
    ending = journal.Ending(
        outcome=outcome,
        at=at,
        seconds=seconds,
        error=error,
        result=reply.value,
        result_bytes=size,
        result_tokens=estimate_tokens(reply.value) if error is None else 0,
    )
    event = build(
        events.CALL_ENDED,
        actor=holder.principal.actor,
        at=at,
        target=_target(call.tool),
        payload={
            "outcome": outcome,
            "seconds": f"{seconds:.6f}",
            "bytes": size,
            "error": error,
        },
        tool=call.tool,
        run=holder.run,
        step=call.step,
    )
    journal.settle(call_id, ending, event=event)


def estimate_tokens(value: Any) -> int:
    """Tokens of a value as JSON: counted up to 16 kB, scaled from there beyond."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    head = tokens.count(text[:_TOKENS_COUNTED_CHARACTERS])
    if len(text) <= _TOKENS_COUNTED_CHARACTERS:
        return head
    return round(head * len(text) / _TOKENS_COUNTED_CHARACTERS)


def _refuse(
    holder: Holder, call: Call, tool: CatalogTool | None, reasons: tuple[str, ...]
) -> Reply:
    # One answer for "is not there" and "is not for you", so that names cannot be
    # found out by trying.
    error = CallError(
        "denied",
        f"{call.tool} is not available to this key. Use search to see what is, or "
        "ask an administrator for a grant.",
    )
    return _turned_down(holder, call, tool, ToolCall.Outcome.DENIED, reasons, error)


def _invalid(
    holder: Holder, call: Call, tool: CatalogTool, problems: list[str]
) -> Reply:
    error = CallError("invalid_arguments", f"{call.tool}: " + "; ".join(problems[:5]))
    return _turned_down(
        holder, call, tool, ToolCall.Outcome.INVALID, tuple(problems[:5]), error
    )


def _over_quota(
    holder: Holder, call: Call, tool: CatalogTool, exceeded: QuotaExceeded
) -> Reply:
    error = CallError(exceeded.code, exceeded.message, retryable=True)
    return _turned_down(
        holder,
        call,
        tool,
        ToolCall.Outcome.DENIED,
        (f"quota: {exceeded.message}",),
        error,
    )


def _turned_down(
    holder: Holder,
    call: Call,
    tool: CatalogTool | None,
    outcome: str,
    reasons: tuple[str, ...],
    error: CallError,
) -> Reply:
    at = now()
    shown = redact(call.arguments)
    event = build(
        events.CALL_REFUSED,
        actor=holder.principal.actor,
        at=at,
        target=_target(call.tool),
        decision=DENY,
        reasons=reasons,
        payload={"arguments": shown, "code": error.code},
        tool=call.tool,
        run=holder.run,
        step=call.step,
    )
    digest = keyed_digest(call.arguments, purpose="arguments")
    intent = _intent(holder, call, tool, DENY, reasons, shown, at, digest)
    ending = journal.Ending(outcome, at, 0.0, _error_dict(error))
    journal.intend(intent, event=event, durable=True, refusal=ending)
    return Reply(error=error)


def _intent(
    holder: Holder,
    call: Call,
    tool: CatalogTool | None,
    decision: str,
    reasons: tuple[str, ...],
    shown: Any,
    at: Any,
    digest: str,
) -> journal.Intent:
    return journal.Intent(
        run_id=holder.run_id,
        epoch=holder.epoch,
        step=call.step,
        tool=call.tool[:200],
        version=tool.definition.version if tool else None,
        effect=tool.effect if tool else "",
        arguments=shown,
        digest=digest,
        decision=decision,
        reasons=reasons,
        at=at,
    )


def _error_dict(error: CallError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
    }


def _target(tool: str) -> Target:
    return Target("tool", tool[:120], tool[:120])
