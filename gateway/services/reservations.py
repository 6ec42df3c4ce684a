"""What a run asks of its quotas before it begins, and what bounds it then."""

from collections.abc import Mapping
from decimal import Decimal

from finops.services import budgets
from finops.services.metering import Payer
from gateway.catalog import Usable, sandboxing_for
from gateway.codemode import tokens
from gateway.models import Run
from policy.principal import Principal
from policy.quota import CONCURRENT, CPU, RUNS, TOKENS, Want
from policy.sandbox import LIMITS
from policy.services.quotas import cpu_held, reserve_run

# What an agent is shown of a result at most, in tokens: a run that returns more is
# counted with all of it when it ends.
RESULT_TOKENS = 10_000
# With less than this left a script would only be started to be stopped.
LEAST_CPU = Decimal(1)


def reserve(run: Run, payer: Payer, principal: Principal, usable: Usable) -> None:
    """Count a run that was just queued. Raises QuotaExceeded, BudgetExceeded."""
    reserve_run(
        limits=usable.limits,
        key_id=principal.key_id,
        holder=run.uid,
        wants=wants_of(run, principal, usable),
        at=run.queued_at,
    )
    budgets.reserve(
        payer=payer,
        key=run.key,
        model=run.model,
        holder=run.uid,
        amount=None,
        at=run.queued_at,
        covers=usable.budgets,
    )


def wants_of(run: Run, principal: Principal, usable: Usable) -> list[Want]:
    """A run, its tokens and its CPU time, as far as a quota limits them."""
    limited = {limit.metric for limit in usable.limits}
    found = [Want(RUNS), Want(CONCURRENT)]
    if TOKENS in limited:
        sent = tokens.count(sent_by(run))
        found.append(
            Want(TOKENS, Decimal(sent + RESULT_TOKENS), least=Decimal(sent + 1))
        )
    if CPU in limited and run.mode == Run.Mode.SCRIPT:
        rules = sandboxing_for(principal, usable.policy_revision)
        seconds = rules.limits.get("cpu_seconds", LIMITS["cpu_seconds"].default)
        most = Decimal(str(seconds))
        found.append(Want(CPU, most, least=min(LEAST_CPU, most)))
    return found


def payer_of(run: Run, task: str) -> Payer:
    """Whom a run's costs are booked to."""
    return Payer(
        team=run.team,
        cost_centre=run.cost_centre,
        project=run.project,
        environment=run.environment,
        principal=run.principal,
        run=run.uid,
        task=task,
        key=run.key,
    )


def sent_by(run: Run) -> str:
    """The text that the agent sent, which counts as tokens."""
    return run.code or str(run.direct_arguments or "")


def bounded(
    limits: Mapping[str, float], *, run: Run, usable: Usable
) -> dict[str, float]:
    """The sandbox's limits, with no more CPU time than the run holds."""
    found = dict(limits)
    if any(limit.metric == CPU for limit in usable.limits):
        held = cpu_held(holder=run.uid)
        if held is not None:
            default = LIMITS["cpu_seconds"].default
            found["cpu_seconds"] = min(found.get("cpu_seconds", default), held)
    return found
