"""Executes a queued run: claim, preflight, sandbox, and the ending on record."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from audit.services.record import DENY, record
from core.clock import now
from core.errors import TollgateError
from gateway import events
from gateway.catalog import sandboxing_for, usable_by
from gateway.codemode import preflight
from gateway.models import Run
from gateway.sandbox.api import (
    Call,
    Job,
    Limits,
    OnCall,
    Provider,
    Reply,
    Result,
    ScriptError,
    Usage,
)
from gateway.sandbox.errors import SandboxUnavailable
from gateway.services import finish, invoke
from gateway.services.journal import LeaseLost
from gateway.services.leases import Leases
from gateway.services.runs import principal_of, run_target
from policy.sandbox import TEAM

logger = logging.getLogger(__name__)

_FINISH_ATTEMPTS = 20
_FINISH_PAUSE_SECONDS = 1.0
_REASONS = 10


class IsolatingProvider(Provider, Protocol):
    """A provider that says whether scripts have a kernel of their own."""

    @property
    def isolated(self) -> bool: ...


class Sandboxes(Protocol):
    """Makes the provider when the first script needs one."""

    def __call__(self) -> IsolatingProvider: ...


def execute(
    *,
    uid: str,
    runner: str,
    leases: Leases,
    sandboxes: Sandboxes,
    upstream: invoke.Upstream,
) -> None:
    """Execute the run if it is waiting; a run that is held or ended is left alone."""
    run = claim(uid=uid, runner=runner, at=now())
    if run is None:
        return
    principal = principal_of(run)
    holder = invoke.Holder(
        run_id=run.pk,
        run=run.uid,
        epoch=run.epoch,
        principal=principal,
        usable=usable_by(principal),
        upstream=upstream,
    )
    with leases.held(run) as cancelled:
        _finish(run, holder, _result(run, holder, sandboxes, cancelled))


_CLAIM = """
UPDATE gateway_run SET status = 'running', epoch = epoch + 1, runner = %s,
  lease_until = %s, started_at = %s
WHERE uid = %s AND status = 'queued' RETURNING *
"""


def claim(*, uid: str, runner: str, at: datetime) -> Run | None:
    """Take a queued run for ``runner``; None when there is nothing to take."""
    until = at + timedelta(seconds=settings.RUN_LEASE_SECONDS)
    return next(iter(Run.objects.raw(_CLAIM, [runner, until, at, uid])), None)


def _result(
    run: Run,
    holder: invoke.Holder,
    sandboxes: Sandboxes,
    cancelled: threading.Event,
) -> Result:
    try:
        if run.mode == Run.Mode.DIRECT:
            return _direct(run, holder)
        return _script(run, holder, sandboxes, cancelled)
    except SandboxUnavailable as error:
        return _failed("sandbox_unavailable", str(error), retryable=True)
    except TollgateError as error:
        return _failed(error.code, error.message, retryable=False)
    except Exception:
        logger.exception("run %s: failed inside Tollgate", run.uid)
        return _failed(
            "internal",
            "Tollgate itself failed while it executed this run; an administrator "
            f"finds the reason in the runner's log under {run.uid}.",
            retryable=True,
        )


def _failed(code: str, message: str, *, retryable: bool) -> Result:
    error = ScriptError(code, message, None, retryable)
    return Result(False, None, "", False, error, Usage(), 0)


def _script(
    run: Run,
    holder: invoke.Holder,
    sandboxes: Sandboxes,
    cancelled: threading.Event,
) -> Result:
    definitions = holder.usable.definitions
    checked = preflight.check(run.code, definitions)
    if checked.diagnostics:
        _record_unknown(run, holder, checked.diagnostics)
        return _not_started(checked.diagnostics)
    tools: dict[str, dict[str, str]] = {}
    for name, tool in definitions.items():
        tools.setdefault(tool.server, {})[tool.name] = name
    principal = holder.principal
    rules = sandboxing_for(principal, holder.usable.policy_revision)
    provider = sandboxes()
    if not provider.isolated:
        holder = replace(holder, needs_gvisor=rules.needs_gvisor)
    job = Job(
        run=run.uid,
        code=run.code,
        language=run.language,
        seed=run.seed,
        started_at=run.queued_at.timestamp(),
        tools=tools,
        limits=Limits(**rules.limits),  # type: ignore[arg-type] # checked when set
        # nobody else's runs, and none from another environment, share a sandbox
        tenant=f"{principal.team}/{principal.environment}"
        if rules.level == TEAM
        else "",
        require_gvisor=rules.require_gvisor,
    )
    lost: list[LeaseLost] = []
    result = provider.run(job, _on_call(holder, lost), cancelled)
    if not lost:
        return result
    error = ScriptError(lost[0].code, lost[0].message, None)
    return replace(result, ok=False, value=None, error=error)


def _on_call(holder: invoke.Holder, lost: list[LeaseLost]) -> OnCall:
    def on_call(call: Call) -> Reply:
        try:
            return invoke.invoke(holder, call)
        except LeaseLost as error:
            lost.append(error)
            raise

    return on_call


def _record_unknown(
    run: Run, holder: invoke.Holder, problems: Sequence[preflight.Diagnostic]
) -> None:
    """A tool that the key may not call is refused here as it is on the way to it."""
    named = [one.message for one in problems if one.code == "unknown_tool"]
    if named:
        record(
            events.RUN_REFUSED,
            actor=holder.principal.actor,
            at=now(),
            target=run_target(run),
            decision=DENY,
            reasons=named[:_REASONS],
            payload={"code": "unknown_tool"},
            run=run.uid,
        )


def _not_started(problems: Sequence[preflight.Diagnostic]) -> Result:
    """Nothing ran: every problem at once, so that one repair can mend them all."""
    first, *others = problems
    message = "\n".join(
        [first.message, *(f"Line {other.line}: {other.message}" for other in others)]
    )
    suggestions = tuple(
        dict.fromkeys(text for problem in problems for text in problem.suggestions)
    )
    error = ScriptError(first.code, message, first.line, True, suggestions)
    return Result(False, None, "", False, error, Usage(), 0)


def _direct(run: Run, holder: invoke.Holder) -> Result:
    started = time.perf_counter()
    call = Call(1, run.direct_tool, run.direct_arguments or {})
    reply = invoke.invoke(holder, call)
    seconds = time.perf_counter() - started
    usage = Usage(wall_seconds=seconds, waiting_seconds=seconds)
    if reply.error is None:
        return Result(True, reply.value, "", False, None, usage, 1)
    error = ScriptError(
        reply.error.code,
        reply.error.message,
        None,
        reply.error.retryable,
        reply.error.suggestions,
    )
    return Result(False, None, "", False, error, usage, 1)


def _finish(run: Run, holder: invoke.Holder, result: Result) -> None:
    """Put the ending on record, waiting out a database that is away for a while."""
    for attempt in range(_FINISH_ATTEMPTS):
        try:
            finish.finish(
                run=run,
                ending=_ending(result, holder),
                definition_tokens=holder.usable.definition_tokens,
                at=now(),
            )
        except DatabaseError:
            if attempt == _FINISH_ATTEMPTS - 1:
                raise
            logger.warning("run %s: cannot record its end yet", run.uid)
            time.sleep(_FINISH_PAUSE_SECONDS)
            close_old_connections()
        else:
            return


def _ending(result: Result, holder: invoke.Holder) -> finish.Ending:
    status = Run.Status.SUCCEEDED if result.ok else Run.Status.FAILED
    if result.error is not None and result.error.code == "cancelled":
        status = Run.Status.CANCELLED
    rules = sandboxing_for(holder.principal, holder.usable.policy_revision)
    error: dict[str, Any] | None = asdict(result.error) if result.error else None
    return finish.Ending(
        status=status,
        value=result.value,
        stdout=result.stdout,
        stdout_truncated=result.stdout_truncated,
        error=error,
        usage=result.usage,
        isolation={
            "level": result.level,
            "note": result.note,
            "limits": dict(rules.limits),
        },
    )
