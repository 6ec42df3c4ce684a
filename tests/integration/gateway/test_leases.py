"""A runner that lost a run, or whose run was cancelled, stops in the right way."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from core.clock import now
from gateway.connectors.api import Outcome, UpstreamError
from gateway.connectors.pool import UpstreamPool
from gateway.models import Run, ToolCall
from gateway.sandbox.api import JSON, Job, OnCall, Result, ScriptError, Usage
from gateway.services import cancel, execute, runs, sweep
from gateway.services.invoke import invoke
from gateway.services.leases import Cancelled, Lease, LeaseLost, Leases
from policy.principal import Principal
from tests.builders.identity import ACTOR
from tests.integration.gateway.conftest import Hold
from tests.integration.gateway.test_durable import ADD


@dataclass
class Stopped:
    """A sandbox that is stopped by the runner while its script waits.

    What happens meanwhile is done in the test's own transaction, which the thread
    that renews leases cannot see.
    """

    leases: Leases
    meanwhile: Callable[[str], object]
    name = "stopped"
    isolated = True

    def run(self, job: Job, on_call: OnCall, cancelled: Any = None) -> Result:
        self.meanwhile(job.run)
        self.leases.renew()
        assert cancelled.is_set()
        error = ScriptError("cancelled", "The run was cancelled", None)
        return Result(False, None, "", False, error, Usage(), 0)

    def start(self) -> None: ...

    def close(self) -> None: ...

    def describe(self) -> dict[str, JSON]:
        return {}


def stopped(
    agent: Principal, upstream: UpstreamPool, meanwhile: Callable[[str], object]
) -> str:
    """The status of a run after its runner was told to stop it."""
    run = runs.submit(principal=agent, code="return 1", at=now())
    leases = Leases()

    def sandboxes() -> execute.IsolatingProvider:
        return Stopped(leases, meanwhile)

    execute.execute(
        uid=run.uid,
        runner="test",
        leases=leases,
        sandboxes=sandboxes,
        upstream=upstream,
    )
    run.refresh_from_db()
    return run.status


@pytest.mark.django_db
def test_a_run_whose_lease_lapsed_was_not_cancelled(
    agent: Principal, upstream: UpstreamPool
) -> None:
    """It is left as it is, so that it is replayed."""

    def lapse(uid: str) -> None:
        past = now() - timedelta(seconds=1)
        Run.objects.filter(uid=uid).update(lease_until=past)

    assert stopped(agent, upstream, lapse) == "running"
    assert sweep.sweep(at=now()).replayed == 1


@pytest.mark.django_db
def test_a_cancelled_run_ends_as_cancelled(
    agent: Principal, upstream: UpstreamPool
) -> None:
    def ask(uid: str) -> None:
        cancel.cancel(uid=uid, actor=ACTOR, at=now())

    assert stopped(agent, upstream, ask) == "cancelled"


def test_a_lease_says_why_nothing_may_be_sent() -> None:
    lease = Lease(1, time.monotonic() + 30)
    lease.check()
    lease.cancelled.set()
    with pytest.raises(Cancelled):
        lease.check()
    lease.lost = True
    with pytest.raises(LeaseLost):
        lease.check()


@pytest.mark.django_db
def test_without_a_lease_no_intent_is_written(agent: Principal, hold: Hold) -> None:
    """It would be an unknown outcome for a person, of a call that was never sent."""
    holder = hold(agent)
    holder.lease.until = time.monotonic() - 1
    with pytest.raises(LeaseLost):
        invoke(holder, ADD)
    assert not ToolCall.objects.filter(run_id=holder.run_id).exists()


@pytest.mark.django_db
def test_a_stall_is_not_taken_for_the_silence_of_a_server(
    agent: Principal, hold: Hold
) -> None:
    holder = hold(agent)

    class Stalled:
        def call(self, *_: Any, **__: Any) -> Outcome:
            holder.lease.until = time.monotonic() - 1
            raise UpstreamError("upstream_timeout", "late", retryable=True, sent=True)

    with pytest.raises(LeaseLost):
        invoke(replace(holder, upstream=Stalled()), ADD)
    assert ToolCall.objects.get(run_id=holder.run_id).outcome == ""
