"""Usage, facts and prices, as they stand once booked."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.ids import new_id
from finops.models import Price, RunFact, UsageEvent
from finops.services.facts import record_run

AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def make_price(
    sku: str,
    amount: str,
    *,
    unit: str = "Tokens",
    valid_from: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    valid_to: datetime | None = None,
    known_from: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    known_to: datetime | None = None,
    currency: str = "USD",
    source: str = "test",
) -> Price:
    """A row of the price book."""
    return Price.objects.create(
        sku=sku,
        unit=unit,
        amount=Decimal(amount),
        currency=currency,
        valid_from=valid_from,
        valid_to=valid_to,
        known_from=known_from,
        known_to=known_to,
        source=source,
    )


def make_usage(
    sku: str = "tokens/result",
    quantity: str = "100",
    *,
    cost: str | None = "0.0003",
    at: datetime = AT,
    run: str = "",
    task: str = "",
    team: str = "support",
    project: str = "default",
    environment: str = "dev",
    principal: str = "",
    model: str = "",
    **fields: Any,
) -> UsageEvent:
    """A booked quantity; kind, unit, server and tool follow from the SKU."""
    area, _, rest = sku.partition("/")
    kind, unit, known = {
        "tokens": ("tokens", "Tokens", "estimated"),
        "tool": ("tool_call", "Requests", "measured"),
    }.get(area, ("sandbox_cpu", "Seconds", "measured"))
    if sku == "sandbox/memory":
        kind, unit = "sandbox_memory", "GB-Seconds"
    values: dict[str, Any] = {
        "uid": new_id("use"),
        "at": at,
        "kind": kind,
        "sku": sku,
        "unit": unit,
        "quantity": Decimal(quantity),
        "known": known,
        "cost": None if cost is None else Decimal(cost),
        "currency": "USD",
        "run": run,
        "task": task,
        "server": rest.partition(".")[0] if area == "tool" else "",
        "tool": rest if area == "tool" else "",
        "model": model,
        "team": team,
        "cost_centre": f"CC-{team}",
        "project": project,
        "environment": environment,
        "principal": principal or f"sa:{team}/agent",
    }
    return UsageEvent.objects.create(**(values | fields))


def make_fact(
    *,
    task: str = "",
    attempt: int = 1,
    run: str = "",
    team: str = "support",
    project: str = "default",
    environment: str = "dev",
    status: str = "succeeded",
    tool_calls: int = 3,
    successful_calls: int | None = None,
    queue_seconds: float = 0.5,
    hold_seconds: float = 0.0,
    run_seconds: float = 1.5,
    tokens: int = 1000,
    tokens_avoided: int = 0,
    cost: str = "0.01",
    ended_at: datetime = AT,
    submitted: int | None = None,
    **fields: Any,
) -> RunFact:
    """A finished run as the reports see it; all calls of a success succeed.

    ``submitted`` counts the runs of its task, those up to this one where not given.
    """
    total = queue_seconds + hold_seconds + run_seconds
    succeeded = status == "succeeded"
    if successful_calls is None:
        successful_calls = tool_calls if succeeded else max(tool_calls - 1, 0)
    values: dict[str, Any] = {
        "run": run or new_id("run"),
        "task": task or new_id("task"),
        "attempt": attempt,
        "mode": "script",
        "language": "python",
        "model": "",
        "team": team,
        "cost_centre": f"CC-{team}",
        "project": project,
        "environment": environment,
        "principal": f"sa:{team}/agent",
        "succeeded": succeeded,
        "status": status,
        "error_code": "" if succeeded else "script_error",
        "tool_calls": tool_calls,
        "successful_calls": successful_calls,
        "tools": [],
        "tool_successes": [],
        "queue_seconds": queue_seconds,
        "hold_seconds": hold_seconds,
        "run_seconds": run_seconds,
        "total_seconds": total,
        "tokens": tokens,
        "tokens_avoided": tokens_avoided,
        "cost": Decimal(cost),
        "currency": "USD",
        "started_at": ended_at - timedelta(seconds=run_seconds + hold_seconds),
        "ended_at": ended_at,
    }
    fact = RunFact(**(values | fields))
    record_run(fact=fact, submitted=submitted or fact.attempt)
    return RunFact.objects.get(run=fact.run)


def make_metered_run(
    *,
    tool: str = "crm.list_orders",
    calls: int = 2,
    tokens: int = 1000,
    at: datetime = AT,
    team: str = "support",
    project: str = "default",
    environment: str = "dev",
    status: str = "succeeded",
    model: str = "",
    **fields: Any,
) -> RunFact:
    """A finished run with its ledger: a call costs 0.001, a token 0.000003."""
    shared: dict[str, Any] = {
        "team": team,
        "project": project,
        "environment": environment,
        "model": model,
    }
    cost = calls * Decimal("0.001") + tokens * Decimal("0.000003")
    fact = make_fact(
        status=status,
        tool_calls=calls,
        tools=[tool] if calls else [],
        tool_successes=[calls if status == "succeeded" else calls - 1] if calls else [],
        tokens=tokens,
        cost=str(cost),
        ended_at=at,
        **shared,
        **fields,
    )
    booked: dict[str, Any] = {**shared, "run": fact.run, "task": fact.task, "at": at}
    for step in range(calls):
        make_usage(f"tool/{tool}", "1", cost="0.001", step=step + 1, **booked)
    spent = str(tokens * Decimal("0.000003"))
    make_usage("tokens/result", str(tokens), cost=spent, **booked)
    return fact
