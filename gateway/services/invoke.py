"""The only way to a tool: for scripts and for direct calls alike.

Replay, decision, schema validation, approval, quota, intent on record, the call,
outcome on record, reply. What cannot be recorded is not done.
"""

import time
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import transaction

from audit.digests import digests_of
from audit.models import Event
from audit.services.record import build
from core.canonical import keyed_digest
from core.clock import now
from core.errors import BudgetExceeded, QuotaExceeded, TollgateError
from finops.services import budgets
from gateway import events
from gateway.catalog import CatalogTool
from gateway.codemode import tokens
from gateway.codemode.validate import Validators, without_omitted
from gateway.connectors.api import Outcome, UpstreamError
from gateway.models import ToolCall
from gateway.models.catalog import Effect
from gateway.sandbox.api import Call, CallError, Reply
from gateway.selectors.outcomes import safe_from
from gateway.services import gate, idempotency, journal, lookup
from gateway.services.call_events import intended, target_of
from gateway.services.deciding import (
    decision_on,
    handed_on,
    in_the_trail,
    on_record,
    refreshed,
    refusal,
    shown,
    without_hidden,
)
from gateway.services.holder import Answer, Holder, Step, Unanswered
from gateway.services.leases import MOST_CLAIMS
from policy.decision import ALLOW, DENY
from policy.results import ResultDecision
from policy.services.quotas import note_refusal, reserve_call

_validators = Validators()
_STOPS = {QuotaExceeded: "quota", BudgetExceeded: "budget"}


def invoke(holder: Holder, call: Call) -> Reply:
    """Make one call for a run, or refuse it, or answer it from the journal.

    Never raises for what a tool or its arguments do. Raises LeaseLost, Cancelled,
    KeyRevoked, Nondeterministic, gate.Suspended, and whatever the database raises:
    then nothing was sent, but for a read that may have left while its intent was being
    refused.
    """
    holder = refreshed(holder)
    digest = keyed_digest(call.arguments, purpose="arguments")
    known = holder.replay.recorded(call, digest)
    if known is not None and known.outcome == ToolCall.Outcome.UNKNOWN:
        # Its runner died before it could let the run wait.
        raise gate.Suspended(gate.AWAITING_OUTCOME, call.tool)
    if known is not None and known.outcome:
        return holder.replay.reply(known)
    holder.lease.check()
    tool = holder.usable.catalog.tools.get(call.tool)
    if tool is not None:
        call = replace(call, arguments=without_omitted(tool.definition, call.arguments))
    step = Step(call, digest, tool, now())
    step = replace(step, decision=decision_on(holder, step))
    if tool is None or step.decision.denied:
        return _refuse(holder, step, known)
    if known is not None:
        return _again(holder, step, tool, known)
    if problems := _validators.check(tool.definition, call.arguments):
        return _invalid(holder, step, [str(problem) for problem in problems])
    try:
        call_id, answer = _intend(holder, step, tool)
    except (QuotaExceeded, BudgetExceeded, gate.NotApproved) as error:
        return _stopped(holder, step, error)
    if answer is None:
        return _send(holder, step, tool, call_id)
    return _answered(holder, step, tool, call_id, answer)


def _intend(holder: Holder, step: Step, tool: CatalogTool) -> tuple[int, Answer | None]:
    """Put the intent on record; for some reads the answer comes meanwhile."""
    arguments = shown(step)
    intent = _intent(holder, step, ALLOW, step.decision.reasons, arguments)
    event = intended(holder, step, tool, arguments)
    approval = None
    if routes := gate.demands(tool, step.decision.routes):
        binding = gate.binding_of(
            run=holder.run,
            step=step.call.step,
            tool=tool,
            digest=step.digest,
            policy_revision=holder.usable.policy_revision,
            routes=routes,
        )
        approval = gate.pass_or_wait(
            binding=binding,
            arguments=arguments,
            principal=holder.principal,
            submitted_by=holder.submitted_by,
            at=step.at,
            routes=routes,
        )
    # The outcome's commit, which a read waits for, makes its intent durable too. Until
    # then a crash of PostgreSQL or of its host could lose it, together with a result
    # that nobody was given.
    durable = tool.effect != Effect.READ
    limits = holder.usable.limits_of_call(holder.principal.key_id, step.call.tool)
    began = time.monotonic()
    with holder.allowance.taken(step.call.tool, step.at) as needed:
        if limits or approval is not None or needed is not None:
            with transaction.atomic():
                if approval is not None:
                    gate.use(approval=approval, binding=binding, at=step.at)
                reserve_call(limits=limits, at=step.at)
                if needed is not None:
                    holder.allowance.grow(
                        needed,
                        run=holder.run,
                        covers=holder.usable.budgets,
                        at=step.at,
                    )
                return journal.intend(intent, event=event, durable=durable), None
        if durable or not holder.lease.is_clear:
            call_id, answer = journal.intend(intent, event=event, durable=durable), None
        else:
            call_id, answer = _ask_meanwhile(holder, step, tool, intent, event)
    holder.lease.seen_clear(began)
    return call_id, answer


def _ask_meanwhile(
    holder: Holder,
    step: Step,
    tool: CatalogTool,
    intent: journal.Intent,
    event: Event,
) -> tuple[int, Answer]:
    """Send a read while the database writes its intent, which it has by then.

    Run and key were found good a moment ago. The answer is of no use until the intent
    is on record.
    """
    begun = journal.Begun(intent, event=event)
    try:
        answer = _ask(holder, step, tool)
    finally:
        call_id = begun.ended()
    return call_id, answer


def _again(holder: Holder, step: Step, tool: CatalogTool, known: ToolCall) -> Reply:
    """A step whose intent is on record without an outcome: an earlier claim's."""

    def take_over() -> None:
        journal.take_over(
            known.pk, run_id=holder.run_id, epoch=holder.epoch, at=step.at
        )

    cleared = known.resolution == ToolCall.Resolution.DID_NOT
    if known.effect != Effect.WRITE or cleared:
        take_over()
        return _send(holder, step, tool, known.pk)
    reader = lookup.reader_of(tool, holder.usable.catalog)
    if reader is not None and step.at < safe_from(known):
        # A worker that stalls may still be sending it: "it did not" means nothing yet.
        raise gate.Suspended(gate.AWAITING_OUTCOME, step.call.tool)
    if reader is not None and (found := _look_up(holder, step, tool, reader)):
        take_over()
        if found.value is None:
            return _send(holder, step, tool, known.pk)
        answer = Outcome(found.value, False, "", 0.0, 0)
        return _answered(holder, step, tool, known.pk, answer)
    journal.lose(known.pk, run_id=holder.run_id, epoch=holder.epoch, at=step.at)
    raise gate.Suspended(gate.AWAITING_OUTCOME, step.call.tool)


def _look_up(
    holder: Holder, step: Step, tool: CatalogTool, reader: CatalogTool
) -> Reply | None:
    holder.lease.check()
    return lookup.ask(
        reader=reader,
        tool=tool,
        run=holder.run,
        step=step.call.step,
        spec=holder.usable.catalog.specs[tool.server_id],
        upstream=holder.upstream,
        actor=holder.principal.actor,
        at=step.at,
    )


def _send(holder: Holder, step: Step, tool: CatalogTool, call_id: int) -> Reply:
    return _answered(holder, step, tool, call_id, _ask(holder, step, tool))


def _ask(holder: Holder, step: Step, tool: CatalogTool) -> Answer:
    spec = holder.usable.catalog.specs[tool.server_id]
    sent = idempotency.keyed(
        tool, step.call.arguments, run=holder.run, step=step.call.step
    )
    # A worker that was stopped and comes back has lost its lease to another one.
    holder.lease.check()
    started = time.perf_counter()
    try:
        return holder.upstream.call(
            spec,
            tool.definition.original,
            sent.arguments,
            timeout=min(spec.timeout_seconds, settings.CALL_LONGEST_SECONDS),
            meta=sent.meta,
        )
    except UpstreamError as error:
        return Unanswered(error, time.perf_counter() - started)


def _answered(
    holder: Holder, step: Step, tool: CatalogTool, call_id: int, answer: Answer
) -> Reply:
    if isinstance(answer, Unanswered):
        return _not_answered(holder, step, tool, call_id, answer)
    kind, reply, ruled = handed_on(step, answer)
    seconds, size = answer.seconds, answer.bytes
    return _settle(holder, step, call_id, kind, reply, seconds, size, ruled)


def _not_answered(
    holder: Holder,
    step: Step,
    tool: CatalogTool,
    call_id: int,
    answer: Unanswered,
) -> Reply:
    error = answer.error
    # A process that was stopped takes its own delay for the server's.
    holder.lease.check()
    if idempotency.leaves_unknown(tool, error):
        by_itself = holder.epoch < MOST_CLAIMS and (
            tool.effect == Effect.IDEMPOTENT_WRITE
            or lookup.reader_of(tool, holder.usable.catalog) is not None
        )
        if not by_itself:
            journal.lose(call_id, run_id=holder.run_id, epoch=holder.epoch, at=now())
        raise gate.Suspended(gate.AWAITING_OUTCOME, step.call.tool)
    reply = Reply(error=CallError(error.code, error.message, retryable=error.retryable))
    failed = ToolCall.Outcome.FAILED
    return _settle(holder, step, call_id, failed, reply, answer.seconds, 0)


def _settle(
    holder: Holder,
    step: Step,
    call_id: int,
    outcome: str,
    reply: Reply,
    seconds: float,
    size: int,
    ruled: ResultDecision | None = None,
) -> Reply:
    at = now()
    error = _error_dict(reply.error)
    position, turn = holder.replay.next()
    ending = journal.Ending(
        outcome=outcome,
        at=at,
        seconds=seconds,
        position=position,
        error=error,
        result=reply.value,
        result_bytes=size,
        result_tokens=tokens.estimate(reply.value) if error is None else 0,
        rules=on_record(step.decision, ruled) if ruled else None,
    )
    event = build(
        events.CALL_ENDED,
        actor=holder.principal.actor,
        at=at,
        target=target_of(step.call.tool),
        payload={
            "outcome": outcome,
            "seconds": f"{seconds:.6f}",
            "bytes": size,
            "error": error,
            **(ruled.in_the_trail if ruled else {}),
        },
        tool=step.call.tool,
        run=holder.run,
        step=step.call.step,
    )
    journal.settle(call_id, ending, epoch=holder.epoch, event=event)
    return replace(reply, turn=turn)


def _refuse(holder: Holder, step: Step, known: ToolCall | None) -> Reply:
    error, reasons = refusal(step), step.decision.reasons
    if known is not None:
        # Its intent was allowed once; the grant was taken back in between.
        return _settle(
            holder, step, known.pk, ToolCall.Outcome.DENIED, Reply(error=error), 0, 0
        )
    denied = ToolCall.Outcome.DENIED
    return _turned_down(holder, step, denied, reasons, error)


def _invalid(holder: Holder, step: Step, problems: list[str]) -> Reply:
    told = tuple(without_hidden(step, problem) for problem in problems[:5])
    error = CallError("invalid_arguments", f"{step.call.tool}: " + "; ".join(told))
    return _turned_down(holder, step, ToolCall.Outcome.INVALID, told, error)


def _stopped(holder: Holder, step: Step, error: TollgateError) -> Reply:
    retryable = isinstance(error, QuotaExceeded)
    kind = _STOPS.get(type(error), "approval")
    return _turned_down(
        holder,
        step,
        ToolCall.Outcome.DENIED,
        (f"{kind}: {error.message}",),
        CallError(error.code, error.message, retryable, details=error.details),
    )


def _turned_down(
    holder: Holder,
    step: Step,
    outcome: str,
    reasons: tuple[str, ...],
    error: CallError,
) -> Reply:
    arguments = shown(step)
    event = build(
        events.CALL_REFUSED,
        actor=holder.principal.actor,
        at=step.at,
        target=target_of(step.call.tool),
        decision=DENY,
        reasons=reasons,
        payload={
            "arguments": arguments,
            "digests": digests_of(step.call.arguments),
            "code": error.code,
            "details": error.details,
            "effect": step.tool.effect if step.tool else "",
            **in_the_trail(step.decision),
        },
        tool=step.call.tool,
        run=holder.run,
        step=step.call.step,
        policy_version=step.decision.policy_version,
    )
    position, turn = holder.replay.next()
    ending = journal.Ending(
        outcome, step.at, 0.0, position=position, error=_error_dict(error)
    )
    intent = _intent(holder, step, DENY, reasons, arguments)
    journal.intend(intent, event=event, durable=True, refusal=ending)
    note_refusal(error.details, principal=holder.principal, event=event)
    budgets.note_refusal(error.details, principal=holder.principal, event=event)
    return Reply(error=error, turn=turn)


def _intent(
    holder: Holder, step: Step, decision: str, reasons: tuple[str, ...], arguments: Any
) -> journal.Intent:
    tool = step.tool
    return journal.Intent(
        run_id=holder.run_id,
        epoch=holder.epoch,
        step=step.call.step,
        tool=step.call.tool[:200],
        version=tool.definition.version if tool else None,
        effect=tool.effect if tool else "",
        arguments=arguments,
        digest=step.digest,
        decision=decision,
        reasons=reasons,
        at=step.at,
        policy_version=step.decision.policy_version,
        rules=on_record(step.decision),
    )


def _error_dict(error: CallError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        **({"details": dict(error.details)} if error.details else {}),
    }
