"""Puts the end of a run on record: status, usage, cost, facts and the trail."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection, transaction

from audit.redact import redact
from audit.services.record import ALLOW, build
from core.prepared import prepared_cursor
from finops.models import RunFact, UsageEvent
from finops.services import budgets
from finops.services.facts import LOCK_RUN, LOCK_TASK, record_run
from finops.services.metering import Booked, Usage, book
from finops.services.prices import current_book
from gateway import completions, events
from gateway.codemode import tokens
from gateway.models import Run, ToolCall
from gateway.models.catalog import Effect
from gateway.sandbox.api import Usage as SandboxUsage
from gateway.services.recorded import write
from gateway.services.reservations import payer_of, sent_by
from gateway.services.runs import principal_of, run_target
from gateway.services.tool_units import usages_by_value
from policy.services import approvals
from policy.services.quotas import settle

_OK = ToolCall.Outcome.OK
_GB = Decimal(1024**3)
Kind = UsageEvent.Kind
Known = UsageEvent.Known
OPEN = (Run.Status.QUEUED, Run.Status.RUNNING)


# The lock that an update takes: calls still being written may refer to the row. What
# models used is booked under the two others.
_HOLD = f"""
SELECT t.uid, t.attempts,
  EXISTS (SELECT 1 FROM policy_quotahold h WHERE h.holder = r.uid),
  EXISTS (SELECT 1 FROM finops_budgethold h WHERE h.holder = r.uid),
  pg_advisory_xact_lock({LOCK_RUN}, hashtext(r.uid)),
  pg_advisory_xact_lock({LOCK_TASK}, hashtext(t.uid))
FROM gateway_run r JOIN gateway_task t ON t.id = r.task_id
WHERE r.id = %s AND r.epoch = %s AND r.status IN (
  'queued', 'running', 'awaiting_approval', 'awaiting_outcome')
FOR NO KEY UPDATE OF r
"""  # noqa: S608 - two numbers
_CALLS = """
SELECT step, tool, decision, outcome, effect, result_tokens
FROM gateway_toolcall WHERE run_id = %s ORDER BY step
"""
_WRITTEN_NAMES = {
    "hold_seconds",
    "status",
    "finished_at",
    "lease_until",
    "direct_arguments",
    "value",
    "error",
    "stdout",
    "stdout_truncated",
    "tool_calls",
    "successful_calls",
    "cost",
    "currency",
    "usage",
}
_WRITTEN = [
    field for field in Run._meta.concrete_fields if field.name in _WRITTEN_NAMES
]
_COLUMNS = ", ".join(
    f"{field.column} = %({field.name})s::{field.db_type(connection)}"
    for field in _WRITTEN
)
_END = f"""
WITH ended AS (UPDATE gateway_run SET {_COLUMNS} WHERE id = %(run)s RETURNING id)
{{event}} RETURNING id
"""  # noqa: S608 - the model's own names


class CallRow(NamedTuple):
    """What the bill needs of a call."""

    step: int
    tool: str
    decision: str
    outcome: str
    effect: str
    result_tokens: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, as the runner saw it."""

    status: str
    value: Any
    stdout: str
    stdout_truncated: bool
    error: dict[str, Any] | None
    usage: SandboxUsage
    isolation: dict[str, Any] = field(default_factory=dict)
    """What kept the run apart, why it was not what was asked for, limits set."""


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
    if run.held_since is not None:
        run.hold_seconds += (at - run.held_since).total_seconds()
    found = _hold(run)
    if found is None:
        return False
    task, submitted, holds_quota, holds_budget = found
    calls = _calls(run)
    _close_calls(run, calls, at)
    approvals.withdraw(run=run.uid)
    script, returned = _tokens(run, ending)
    prices = current_book()
    succeeded = {call.step: call.tool for call in calls if call.outcome == _OK}
    booked = book(
        payer=payer_of(run, task),
        usages=_usages(run, calls, ending.usage, script, returned)
        + usages_by_value(run, succeeded, book=prices, at=at),
        at=at,
        prices=prices,
    )
    run.status, run.finished_at, run.lease_until = ending.status, at, None
    # The runner needed them as they were; from now on they are only shown.
    run.direct_arguments = _shown_arguments(run)
    run.value, run.error = ending.value, ending.error
    run.stdout, run.stdout_truncated = ending.stdout, ending.stdout_truncated
    run.tool_calls = len(calls)
    run.successful_calls = len(succeeded)
    run.cost = (run.cost or Decimal(0)) + booked.added
    run.currency = booked.currency
    run.usage = _shown_usage(run, ending.usage, script, returned, at)
    if run.mode == Run.Mode.SCRIPT:
        run.usage["isolation"] = ending.isolation
    kept = sum(call.result_tokens for call in calls)
    avoided = definition_tokens + kept - script - returned
    fact = _fact(run, task, calls, booked, script + returned, avoided)
    record_run(fact=fact, submitted=submitted)
    _end(run, at)
    if holds_quota:
        # Last, since others wait for the same rows until this is committed.
        cpu_seconds = ending.usage.cpu_seconds
        settle(holder=run.uid, tokens=script + returned, cpu_seconds=cpu_seconds)
    if holds_budget:
        budgets.settle(holder=run.uid, cost=booked.added, at=at)
    return True


def _end(run: Run, at: datetime) -> None:
    """Save the run as it ended, with its event."""
    event = build(
        events.RUN_ENDED,
        actor=principal_of(run).actor,
        at=at,
        target=run_target(run),
        run=run.uid,
        payload={
            "status": run.status,
            "error": (run.error or {}).get("code", ""),
            "tool_calls": run.tool_calls,
            "cost": str(run.cost),
            "currency": run.currency,
        },
    )
    values = {
        field.name: field.get_db_prep_save(getattr(run, field.name), connection)
        for field in _WRITTEN
    }
    write(_END, event, "ended", values | {"run": run.pk})


def _hold(run: Run) -> tuple[str, int, bool, bool] | None:
    """Lock the run against every other ending.

    Its task, how many runs that has, and whether this one holds of quotas and of
    budgets.
    """
    with prepared_cursor() as cursor:
        cursor.execute(_HOLD, [run.pk, run.epoch])
        row = cursor.fetchone()
    return None if row is None else (row[0], row[1], row[2], row[3])


def _calls(run: Run) -> list[CallRow]:
    with prepared_cursor() as cursor:
        cursor.execute(_CALLS, [run.pk])
        return [CallRow(*row) for row in cursor.fetchall()]


def _shown_arguments(run: Run) -> Any:
    """A direct call's arguments as its journal has them, without what rules hide."""
    if not run.direct_tool:
        return None
    kept = run.calls.values_list("arguments", flat=True)[:1]
    return kept[0] if kept else redact(run.direct_arguments)


def _close_calls(run: Run, calls: list[CallRow], at: datetime) -> None:
    """A call whose outcome never came is lost; a write may have happened."""
    if all(call.outcome for call in calls):
        return
    pending = run.calls.filter(outcome="")
    pending.exclude(effect=Effect.READ).update(
        outcome=ToolCall.Outcome.UNKNOWN, outcome_at=at
    )
    pending.update(outcome=ToolCall.Outcome.FAILED, outcome_at=at)


def _tokens(run: Run, ending: Ending) -> tuple[int, int]:
    returned = tokens.estimate(
        {"value": ending.value, "stdout": ending.stdout, "error": ending.error}
    )
    return tokens.count(sent_by(run)), returned


def _usages(
    run: Run,
    calls: list[CallRow],
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
    return found + sandbox_usages(run, usage)


def sandbox_usages(run: Run, usage: SandboxUsage) -> list[Usage]:
    """What this claim of the run used of its sandbox."""
    if run.mode != Run.Mode.SCRIPT:
        return []
    memory = Decimal(usage.peak_memory_bytes) / _GB
    cpu, wall = _exact(usage.cpu_seconds), _exact(usage.wall_seconds)
    return [
        _usage(run, "sandbox/cpu", Kind.SANDBOX_CPU, "Seconds", cpu, f":{run.epoch}"),
        _usage(
            run,
            "sandbox/memory",
            Kind.SANDBOX_MEMORY,
            "GB-Seconds",
            _nine_places(memory * wall),
            f":{run.epoch}",
        ),
    ]


def _usage(
    run: Run, sku: str, kind: str, unit: str, quantity: Decimal, part: str = ""
) -> Usage:
    known = Known.ESTIMATED if kind == Kind.TOKENS else Known.MEASURED
    return Usage(
        uid=f"{run.uid}:{sku}{part}",
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
        "hold_seconds": round(run.hold_seconds, 6),
        "run_seconds": round((at - started).total_seconds() - run.hold_seconds, 6),
        "cpu_seconds": round(usage.cpu_seconds, 6),
        "peak_memory_bytes": usage.peak_memory_bytes,
        "tool_calls": run.tool_calls,
        "tokens": {"script": script, "result": returned, "known": "estimated"},
        "cost": str(run.cost),
        "currency": run.currency,
        "sandbox": {name: round(value, 6) for name, value in asdict(usage).items()},
    }


def _used(calls: list[CallRow]) -> dict[str, int]:
    """The successful calls of each tool that the run was let call, in order of name."""
    found: dict[str, int] = {}
    for call in sorted(calls, key=lambda call: call.tool):
        if call.decision == ALLOW:
            succeeded = call.outcome == _OK
            found[call.tool] = found.get(call.tool, 0) + succeeded
    return found


def _fact(
    run: Run,
    task: str,
    calls: list[CallRow],
    booked: Booked,
    tokens_used: int,
    avoided: int,
) -> RunFact:
    ended = run.finished_at
    assert ended is not None  # noqa: S101 - set by the caller just before
    started = run.started_at or ended
    used = _used(calls)
    return RunFact(
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
        tools=list(used),
        tool_successes=list(used.values()),
        queue_seconds=(started - run.queued_at).total_seconds(),
        hold_seconds=run.hold_seconds,
        run_seconds=(ended - started).total_seconds() - run.hold_seconds,
        total_seconds=(ended - run.queued_at).total_seconds(),
        tokens=tokens_used,
        tokens_avoided=avoided,
        cost=run.cost or Decimal(0),
        unrated=booked.unrated,
        currency=booked.currency,
        started_at=started,
        ended_at=ended,
    )
