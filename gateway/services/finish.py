"""Puts the end of a run on record: status, usage, cost, facts and the trail."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from audit.services.record import ALLOW, record
from finops.models import RunFact, UsageEvent
from finops.services.facts import record_run
from finops.services.metering import Booked, Payer, Usage, book
from gateway import completions, events
from gateway.codemode import tokens
from gateway.models import Run, Task, ToolCall
from gateway.sandbox.api import Usage as SandboxUsage
from gateway.services.invoke import estimate_tokens
from gateway.services.runs import principal_of, run_target

_GB = Decimal(1024**3)
Kind = UsageEvent.Kind
Known = UsageEvent.Known


_WRITTEN = (
    "value",
    "error",
    "stdout",
    "stdout_truncated",
    "tool_calls",
    "successful_calls",
    "cost",
    "currency",
    "usage",
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, as the runner saw it."""

    status: str
    value: Any
    stdout: str
    stdout_truncated: bool
    error: dict[str, Any] | None
    usage: SandboxUsage
    isolation: dict[str, str] = field(default_factory=dict)
    """What kept the run apart, and why it was not what was asked for."""


def finish(*, run: Run, ending: Ending, definition_tokens: int, at: datetime) -> bool:
    """End a run that is held at ``run.epoch``, and wake whoever waits for it.

    False when it is no longer held so: then nothing is changed. Safe to call twice.
    """
    if not _record(run, ending, definition_tokens, at):
        return False
    completions.announce(run.uid)
    return True


@transaction.atomic
def _record(run: Run, ending: Ending, definition_tokens: int, at: datetime) -> bool:
    held = Run.objects.filter(
        pk=run.pk, epoch=run.epoch, status__in=(Run.Status.QUEUED, Run.Status.RUNNING)
    )
    # The first statement takes the row's lock and ends the run for everybody else.
    if not held.update(status=ending.status, finished_at=at, lease_until=None):
        return False
    calls = list(
        run.calls.order_by("step").only(
            "step", "tool", "decision", "outcome", "effect", "result_tokens"
        )
    )
    _close_calls(run, calls, at)
    script, returned = _tokens(run, ending)
    task = Task.objects.values_list("uid", flat=True).get(pk=run.task_id)
    booked = book(
        payer=_payer(run, task),
        usages=_usages(run, calls, ending.usage, script, returned),
        at=at,
    )
    run.status, run.finished_at = ending.status, at
    run.value, run.error = ending.value, ending.error
    run.stdout, run.stdout_truncated = ending.stdout, ending.stdout_truncated
    run.tool_calls = len(calls)
    run.successful_calls = sum(call.outcome == ToolCall.Outcome.OK for call in calls)
    run.cost, run.currency = booked.cost, booked.currency
    run.usage = _shown_usage(run, ending.usage, script, returned, at)
    if run.mode == Run.Mode.SCRIPT:
        run.usage["isolation"] = ending.isolation
    run.save(update_fields=_WRITTEN)
    kept = sum(call.result_tokens for call in calls)
    avoided = definition_tokens + kept - script - returned
    _count(run, task, booked, script + returned, avoided)
    record(
        events.RUN_ENDED,
        actor=principal_of(run).actor,
        at=at,
        target=run_target(run),
        run=run.uid,
        payload={
            "status": run.status,
            "error": (run.error or {}).get("code", ""),
            "tool_calls": run.tool_calls,
            "cost": str(booked.cost),
            "currency": booked.currency,
        },
    )
    return True


def _close_calls(run: Run, calls: list[ToolCall], at: datetime) -> None:
    """A call whose outcome never came is lost; an unsafe write may have happened."""
    if all(call.outcome for call in calls):
        return
    pending = run.calls.filter(outcome="")
    pending.filter(effect="write").update(
        outcome=ToolCall.Outcome.UNKNOWN, outcome_at=at
    )
    pending.update(outcome=ToolCall.Outcome.FAILED, outcome_at=at)


def _tokens(run: Run, ending: Ending) -> tuple[int, int]:
    sent = run.code or str(run.direct_arguments or "")
    returned = estimate_tokens(
        {"value": ending.value, "stdout": ending.stdout, "error": ending.error}
    )
    return tokens.count(sent), returned


def _payer(run: Run, task: str) -> Payer:
    return Payer(
        team=run.team,
        cost_centre=run.cost_centre,
        project=run.project,
        environment=run.environment,
        principal=run.principal,
        run=run.uid,
        task=task,
    )


def _usages(
    run: Run,
    calls: list[ToolCall],
    usage: SandboxUsage,
    script: int,
    returned: int,
) -> list[Usage]:
    found = [
        Usage(
            uid=f"{run.uid}:{call.step}",
            kind=Kind.TOOL_CALL,
            sku=f"tool/{call.tool}",
            unit="Requests",
            quantity=Decimal(1),
            known=Known.MEASURED,
            server=call.tool.partition(".")[0],
            tool=call.tool,
            model=run.model,
            step=call.step,
        )
        for call in calls
        if call.decision == ALLOW
    ]
    for part, count in (("script", script), ("result", returned)):
        found.append(
            _usage(run, f"tokens/{part}", Kind.TOKENS, "Tokens", Decimal(count))
        )
    if run.mode == Run.Mode.SCRIPT:
        memory = Decimal(usage.peak_memory_bytes) / _GB
        found += [
            _usage(
                run,
                "sandbox/cpu",
                Kind.SANDBOX_CPU,
                "Seconds",
                _exact(usage.cpu_seconds),
            ),
            _usage(
                run,
                "sandbox/memory",
                Kind.SANDBOX_MEMORY,
                "GB-Seconds",
                _nine_places(memory * _exact(usage.wall_seconds)),
            ),
        ]
    return found


def _usage(run: Run, sku: str, kind: str, unit: str, quantity: Decimal) -> Usage:
    known = Known.ESTIMATED if kind == Kind.TOKENS else Known.MEASURED
    return Usage(
        uid=f"{run.uid}:{sku}",
        kind=kind,
        sku=sku,
        unit=unit,
        quantity=quantity,
        known=known,
        model=run.model,
    )


def _exact(seconds: float) -> Decimal:
    return Decimal(f"{seconds:.6f}")


def _nine_places(quantity: Decimal) -> Decimal:
    return quantity.quantize(Decimal("1e-9"))


def _shown_usage(
    run: Run, usage: SandboxUsage, script: int, returned: int, at: datetime
) -> dict[str, Any]:
    started = run.started_at or at
    return {
        "queue_seconds": round((started - run.queued_at).total_seconds(), 6),
        "run_seconds": round((at - started).total_seconds(), 6),
        "cpu_seconds": round(usage.cpu_seconds, 6),
        "peak_memory_bytes": usage.peak_memory_bytes,
        "tool_calls": run.tool_calls,
        "tokens": {"script": script, "result": returned, "known": "estimated"},
        "cost": str(run.cost),
        "currency": run.currency,
        "sandbox": {name: round(value, 6) for name, value in asdict(usage).items()},
    }


def _count(run: Run, task: str, booked: Booked, tokens_used: int, avoided: int) -> None:
    ended = run.finished_at
    assert ended is not None  # noqa: S101 - set by the caller just before
    started = run.started_at or ended
    record_run(
        fact=RunFact(
            team=run.team,
            cost_centre=run.cost_centre,
            project=run.project,
            environment=run.environment,
            principal=run.principal,
            run=run.uid,
            task=task,
            attempt=run.attempt,
            mode=run.mode,
            language=run.language,
            model=run.model,
            succeeded=run.status == Run.Status.SUCCEEDED,
            status=run.status,
            error_code=(run.error or {}).get("code", ""),
            tool_calls=run.tool_calls,
            successful_calls=run.successful_calls,
            queue_seconds=(started - run.queued_at).total_seconds(),
            run_seconds=(ended - started).total_seconds(),
            total_seconds=(ended - run.queued_at).total_seconds(),
            tokens=tokens_used,
            tokens_avoided=avoided,
            cost=booked.cost,
            unrated=booked.unrated,
            currency=booked.currency,
            started_at=started,
            ended_at=ended,
        )
    )
