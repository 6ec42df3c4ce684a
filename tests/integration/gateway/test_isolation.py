"""A run has the limits and the level that its environment, team and key set."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import now
from gateway.connectors.pool import UpstreamPool
from gateway.models import Run, Tool, ToolCall
from gateway.sandbox.api import Job, OnCall, Result, Usage
from gateway.sandbox.levels import Levels
from gateway.selectors.limits import limits_used
from gateway.services import catalog, runs
from gateway.services.execute import execute
from gateway.services.leases import Leases
from policy.models import Environment
from policy.principal import Principal
from policy.services.sandbox import Scope, set_sandbox_policy
from tests.builders.identity import ACTOR

NEGATE = "from tools import trivial\nreturn trivial.negate(a=3)"


class Noted:
    """Takes jobs and runs nothing: what matters here is what a job asks for."""

    name = "noted"
    isolated = True

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def run(self, job: Job, on_call: OnCall, cancelled: object = None) -> Result:
        self.jobs.append(job)
        return Result(True, 1, "", False, None, Usage(), 0, "team", "as noted")

    def start(self) -> None: ...

    def close(self) -> None: ...

    def describe(self) -> dict[str, object]:
        return {}


@pytest.fixture
def leases() -> Leases:
    return Leases()


def submit_and_execute(
    agent: Principal,
    code: str,
    sandboxes: Levels | Noted,
    upstream: UpstreamPool,
    leases: Leases,
) -> Run:
    run = runs.submit(principal=agent, code=code, at=now())
    execute(
        uid=run.uid,
        runner="test",
        leases=leases,
        sandboxes=lambda: sandboxes,  # type: ignore[arg-type]
        upstream=upstream,
    )
    run.refresh_from_db()
    return run


def test_a_job_has_what_was_set_and_the_run_says_how_it_was_kept_apart(
    agent: Principal, upstream: UpstreamPool, leases: Leases
) -> None:
    noted = Noted()
    run = submit_and_execute(agent, "1", noted, upstream, leases)
    set_sandbox_policy(
        scope=Scope(environment=Environment.objects.get(slug="dev")),
        level="team",
        require_gvisor=True,
        limits={"calls": 7, "wall_seconds": 3.5},
        reason="r",
        actor=ACTOR,
        at=now(),
    )
    submit_and_execute(agent, "1", noted, upstream, leases)
    before, after = noted.jobs
    assert (before.tenant, before.require_gvisor, before.limits.calls) == (
        "",
        False,
        1_000,
    )
    assert after.tenant == f"{agent.team}/dev"
    assert after.require_gvisor
    assert (after.limits.calls, after.limits.wall_seconds) == (7, 3.5)
    assert after.limits.memory_mb == 256
    assert run.usage["isolation"] == {
        "level": "team",
        "note": "as noted",
        "limits": {},
    }
    second = Run.objects.exclude(pk=run.pk).get()
    assert second.usage["isolation"]["limits"] == {"calls": 7, "wall_seconds": 3.5}
    allowed = {use.label: use.allowed for use in limits_used(second)}
    assert (allowed["Tool calls"], allowed["Wall time"]) == (7, 3.5)
    assert allowed["CPU time"] == 10


@pytest.fixture
def without_runsc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Levels]:
    """A machine whose operator admits Monty alone."""
    monkeypatch.setenv("TOLLGATE_RUNSC", "/nowhere/runsc")
    made = Levels(tmp_path, size=1, allowed=("gvisor", "monty"))
    made.start()
    yield made
    made.close()


def test_without_gvisor_a_tool_that_needs_it_is_denied_on_record(
    agent: Principal, upstream: UpstreamPool, leases: Leases, without_runsc: Levels
) -> None:
    run = submit_and_execute(agent, NEGATE, without_runsc, upstream, leases)
    assert (run.status, run.value) == (Run.Status.SUCCEEDED, -3)
    assert run.usage["isolation"]["level"] == "monty"
    set_sandbox_policy(
        scope=Scope(tool="trivial.neg*"),
        require_gvisor=True,
        limits={},
        reason="r",
        actor=ACTOR,
        at=now(),
    )
    denied = submit_and_execute(agent, NEGATE, without_runsc, upstream, leases)
    assert denied.error is not None
    assert denied.error["code"] == "denied"
    call = ToolCall.objects.get(run=denied)
    assert call.reasons == ["isolation: the tool needs a script in gVisor"]
    other = "from tools import trivial\nreturn trivial.add(a=1, b=2)"
    run = submit_and_execute(agent, other, without_runsc, upstream, leases)
    assert run.value == 3


def test_without_any_provider_a_run_ends_with_the_reason(
    agent: Principal,
    upstream: UpstreamPool,
    leases: Leases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOLLGATE_RUNSC", "/nowhere/runsc")
    strict = Levels(tmp_path, size=1)
    run = submit_and_execute(agent, "1", strict, upstream, leases)
    strict.close()
    assert run.error is not None
    assert run.error["code"] == "sandbox_unavailable"
    assert "/nowhere/runsc" in run.error["message"]
    tool = Tool.objects.get(name="negate")
    catalog.set_direct(tool_id=tool.pk, direct=True, actor=ACTOR, at=now())
    direct = runs.submit_direct(
        principal=agent, tool="trivial.negate", arguments={"a": 3}, at=now()
    )
    execute(
        uid=direct.uid,
        runner="test",
        leases=leases,
        sandboxes=lambda: strict,
        upstream=upstream,
    )
    direct.refresh_from_db()
    assert direct.value == -3
