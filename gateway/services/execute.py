"""Executes a queued run: claim, preflight, sandbox, and the ending on record."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from audit.services.record import DENY, record
from core.clock import now
from core.errors import TollgateError
from gateway import events
from gateway.catalog import sandboxing_for, usable_by
from gateway.codemode import checks
from gateway.codemode.diagnostics import Diagnostic
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
from gateway.services import finish, gate, holds, invoke
from gateway.services.allowance import Allowance
from gateway.services.holder import Holder
from gateway.services.leases import LeaseLost, Leases
from gateway.services.lookup import Upstream
from gateway.services.replay import Replay
from gateway.services.reservations import bounded
from gateway.services.runs import acting, run_target
from gateway.services.tally import Tally
from policy import admission
from policy.sandbox import TEAM, Sandboxing

logger = logging.getLogger(__name__)

_FINISH_ATTEMPTS = 20
_FINISH_PAUSE_SECONDS = 1.0
_REASONS = 10


class Interrupted(TollgateError):
    """The database went away in the middle: the run is left to be replayed."""

    code = "interrupted"


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
    upstream: Upstream,
) -> None:
    """Execute the run if it is waiting; a run that is held or ended is left alone."""
    claimed = time.monotonic()
    run = claim(uid=uid, runner=runner, at=now())
    if run is None:
        return
    principal = acting(run)
    with leases.held(run, claimed=claimed) as lease:
        journalled = list(run.calls.all()) if run.epoch > 1 else []
        usable = usable_by(principal)
        holder = Holder(
            run_id=run.pk,
            run=run.uid,
            epoch=run.epoch,
            principal=principal,
            submitted_by=run.submitted_by,
            usable=usable,
            upstream=upstream,
            replay=Replay.of(journalled),
            lease=lease,
            mode=run.mode,
            language=run.language,
            tally=Tally.of(journalled, usable.catalog.tools),
            allowance=Allowance.of(
                run.uid, journalled, covers=usable.budgets, at=now()
            ),
        )
        attempt = _Attempt(run, holder)
        result = attempt.result(sandboxes)
        if isinstance(attempt.stop, gate.Suspended):
            waiting = attempt.stop.waiting
            _recorded(
                run, lambda: holds.suspend(run, waiting, usage=result.usage, at=now())
            )
        elif not isinstance(attempt.stop, LeaseLost | Interrupted):
            tokens_offered = holder.usable.definition_tokens
            _recorded(
                run,
                lambda: finish.finish(
                    run=run,
                    ending=_ending(result, holder),
                    definition_tokens=tokens_offered,
                    at=now(),
                ),
            )


# A run that was held keeps its first start; the time it waited is kept apart.
_CLAIM = """
UPDATE gateway_run SET status = 'running', epoch = epoch + 1, runner = %s,
  lease_until = %s, started_at = COALESCE(started_at, %s),
  hold_seconds = hold_seconds
    + COALESCE(EXTRACT(EPOCH FROM %s::timestamptz - held_since), 0),
  held_since = NULL
WHERE uid = %s AND status = 'queued' RETURNING *
"""


def claim(*, uid: str, runner: str, at: datetime) -> Run | None:
    """Take a queued run for ``runner``; None when there is nothing to take."""
    until = at + timedelta(seconds=settings.RUN_LEASE_SECONDS)
    rows = Run.objects.raw(_CLAIM, [runner, until, at, at, uid])
    return next(iter(rows), None)


@dataclass(slots=True)
class _Attempt:
    """One execution of a run; ``stop`` is what ended it from the host's side."""

    run: Run
    holder: Holder
    stop: TollgateError | None = None

    def result(self, sandboxes: Sandboxes) -> Result:
        """Execute, whatever happens inside."""
        try:
            result = self._execute(sandboxes)
            if self.stop is None and result.ok:
                self.holder.replay.check_complete()
            if result.error is not None and result.error.code == "cancelled":
                # The sandbox cannot tell a lease that lapsed from a cancelled run.
                self.holder.lease.check()
        except SandboxUnavailable as error:
            return _failed("sandbox_unavailable", str(error), retryable=True)
        except TollgateError as error:
            self.stop = self.stop or error
            result = _failed(error.code, error.message, retryable=False)
        except Exception:
            logger.exception("run %s: failed inside Tollgate", self.run.uid)
            return _failed(
                "internal",
                "Tollgate itself failed while it executed this run; an administrator "
                f"finds the reason in the runner's log under {self.run.uid}.",
                retryable=True,
            )
        if self.stop is not None:
            ended = ScriptError(self.stop.code, self.stop.message, None)
            return replace(result, ok=False, value=None, error=ended)
        return result

    def _execute(self, sandboxes: Sandboxes) -> Result:
        _check_allowed(self.run, self.holder)
        if self.run.mode == Run.Mode.DIRECT:
            return _direct(self.run, self.on_call)
        provider = sandboxes()
        if not provider.isolated:
            rules = _rules(self.holder)
            self.holder = replace(self.holder, needs_gvisor=rules.needs_gvisor)
        return _script(self.run, self.holder, provider, self.on_call)

    def on_call(self, call: Call) -> Reply:
        """Serve one call; what ends the run is kept, since a sandbox sits between."""
        if self.stop is not None:
            raise self.stop
        try:
            return invoke.invoke(self.holder, call)
        except TollgateError as error:
            self.stop = self.stop or error
            raise
        except DatabaseError as error:
            # This thread may be the sandbox's own: nobody else mends its connection.
            close_old_connections()
            self.stop = self.stop or Interrupted(str(error))
            raise


def _failed(code: str, message: str, *, retryable: bool) -> Result:
    error = ScriptError(code, message, None, retryable)
    return Result(False, None, "", False, error, Usage(), 0)


def _rules(holder: Holder) -> Sandboxing:
    return sandboxing_for(holder.principal, holder.usable.policy_revision)


def _script(run: Run, holder: Holder, provider: Provider, on_call: OnCall) -> Result:
    definitions = holder.usable.definitions
    # What ran before passed the check then; a catalog that changed since is a matter
    # for each call.
    if run.epoch == 1:
        checked = checks.check(run.code, run.language, definitions)
        if checked.diagnostics:
            _record_unknown(run, holder, checked.diagnostics)
            return _not_started(checked.diagnostics)
        withheld = [name for name in checked.tools if not definitions[name].scripted]
        if withheld:
            return _withheld(run, holder, withheld)
    tools: dict[str, dict[str, str]] = {}
    for name, tool in definitions.items():
        tools.setdefault(tool.server, {})[tool.name] = name
    principal = holder.principal
    rules = _rules(holder)
    job = Job(
        run=run.uid,
        code=run.code,
        language=run.language,
        seed=run.seed,
        started_at=run.queued_at.timestamp(),
        tools=tools,
        limits=Limits(
            **bounded(rules.limits, run=run, usable=holder.usable)  # type: ignore[arg-type] # checked when set
        ),
        # Nobody else's runs, and none from another environment, share a sandbox. A
        # replay needs the pinned clock and the ordered replies of level run.
        tenant=f"{principal.team}/{principal.environment}"
        if rules.level == TEAM and run.epoch == 1
        else "",
        require_gvisor=rules.require_gvisor,
    )
    return provider.run(job, on_call, holder.lease.cancelled)


def _record_unknown(run: Run, holder: Holder, problems: Sequence[Diagnostic]) -> None:
    """A tool that the key may not call is refused here as it is on the way to it."""
    named = [one.message for one in problems if one.code == "unknown_tool"]
    if named:
        _record_refused(run, holder, named, "unknown_tool")


def _withheld(run: Run, holder: Holder, names: Sequence[str]) -> Result:
    """Nothing ran: some of what the script names is not for scripts."""
    tools = holder.usable.catalog.tools
    told = [
        admission.tool_refusal(tools[name].ways, tool=name, mode=run.mode)
        for name in names
    ]
    _record_refused(run, holder, told, "denied")
    return _failed("denied", "\n".join(told), retryable=True)


def _check_allowed(run: Run, holder: Holder) -> None:
    """Ask again what was asked at the submission: policy may have changed since."""
    refused = admission.refusal(
        _rules(holder).rules, mode=run.mode, language=run.language, model=run.model
    )
    if refused is not None:
        _record_refused(run, holder, [refused.message], refused.code)
        raise refused


def _record_refused(
    run: Run, holder: Holder, reasons: Sequence[str], code: str
) -> None:
    record(
        events.RUN_REFUSED,
        actor=holder.principal.actor,
        at=now(),
        target=run_target(run),
        decision=DENY,
        reasons=list(reasons[:_REASONS]),
        payload={"code": code},
        run=run.uid,
    )


def _not_started(problems: Sequence[Diagnostic]) -> Result:
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


def _direct(run: Run, on_call: OnCall) -> Result:
    started = time.perf_counter()
    call = Call(1, run.direct_tool, run.direct_arguments or {})
    reply = on_call(call)
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
        reply.error.details,
    )
    return Result(False, None, "", False, error, usage, 1)


def _recorded(run: Run, write: Callable[[], object]) -> None:
    """Put an ending on record, waiting out a database that is away for a while."""
    for attempt in range(_FINISH_ATTEMPTS):
        try:
            write()
        except DatabaseError:
            if attempt == _FINISH_ATTEMPTS - 1:
                raise
            logger.warning("run %s: cannot record its end yet", run.uid)
            time.sleep(_FINISH_PAUSE_SECONDS)
            close_old_connections()
        else:
            return


def _ending(result: Result, holder: Holder) -> finish.Ending:
    status = Run.Status.SUCCEEDED if result.ok else Run.Status.FAILED
    if result.error is not None and result.error.code == "cancelled":
        status = Run.Status.CANCELLED
    rules = _rules(holder)
    error: dict[str, Any] | None = asdict(result.error) if result.error else None
    if error and not error["details"]:
        del error["details"]
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
