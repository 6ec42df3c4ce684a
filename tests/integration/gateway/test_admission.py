"""What environment, team and key allow at all, where runs and calls are made."""

import json
from typing import Any

import pytest

from audit.models import Event
from core.clock import now
from core.errors import Denied, Invalid
from gateway.connectors.pool import UpstreamPool
from gateway.models import Run, Tool, ToolCall
from gateway.sandbox.api import Call
from gateway.services import catalog, runs
from gateway.services.execute import execute
from gateway.services.invoke import invoke
from gateway.services.leases import Leases
from policy.models import ApiKey, Environment, Team
from policy.principal import Principal
from policy.services.sandbox import Scope, set_sandbox_policy
from tests.builders.identity import ACTOR
from tests.integration.gateway.conftest import Hold
from tests.integration.gateway.test_isolation import Noted


def put(scope: Scope, **asked: Any) -> None:
    asked.setdefault("limits", {})
    set_sandbox_policy(scope=scope, reason="r", actor=ACTOR, at=now(), **asked)


def dev() -> Scope:
    return Scope(environment=Environment.objects.get(slug="dev"))


def refused(agent: Principal, **asked: Any) -> Denied:
    with pytest.raises(Denied) as caught:
        runs.submit(principal=agent, code="return 1", at=now(), **asked)
    assert not Run.objects.exists()
    return caught.value


def last(name: str) -> tuple[Event, dict[str, Any]]:
    event = Event.objects.filter(name=name).order_by("-pk")[0]
    return event, json.loads(event.body)


def test_a_language_is_refused_at_submission_and_on_record(agent: Principal) -> None:
    put(dev(), languages=["python"])
    error = refused(agent, language="typescript")
    assert (error.code, error.status) == ("language_not_allowed", 403)
    assert "environment dev" in error.message
    event, body = last("run.refused")
    assert event.decision == "deny"
    assert body["payload"]["code"] == "language_not_allowed"
    assert body["payload"]["details"]["set_by"] == ["environment dev"]
    assert error.message in event.summary
    assert runs.submit(principal=agent, code="return 1", at=now()).language == "python"


def test_what_team_and_key_ask_for_adds_up(agent: Principal) -> None:
    put(Scope(team=Team.objects.get(pk=agent.team_id)), languages=["python"])
    put(Scope(key=ApiKey.objects.get(prefix=agent.key)), modes=["direct"])
    assert refused(agent).code == "mode_not_allowed"
    assert "by key " in last("run.refused")[0].summary
    runs.submit_direct(principal=agent, tool="trivial.add", arguments={}, at=now())


def test_a_model_has_to_be_named_and_allowed(agent: Principal) -> None:
    put(dev(), models=["gpt-5*"], require_model=True)
    assert refused(agent).code == "model_required"
    assert refused(agent, model="gpt-4o").code == "model_not_allowed"
    with pytest.raises(Denied) as caught:
        runs.submit_direct(principal=agent, tool="trivial.add", arguments={}, at=now())
    assert caught.value.code == "model_required"
    with pytest.raises(Invalid, match="at most 100"):
        runs.submit(principal=agent, code="return 1", model="x" * 101, at=now())
    run = runs.submit(principal=agent, code="return 1", model="gpt-5-mini", at=now())
    assert run.model == "gpt-5-mini"
    direct = runs.submit_direct(
        principal=agent, tool="trivial.add", arguments={}, model="gpt-5", at=now()
    )
    assert direct.model == "gpt-5"


def test_policy_is_asked_again_when_a_run_starts(
    agent: Principal, upstream: UpstreamPool
) -> None:
    run = runs.submit(principal=agent, code="return 1", language="typescript", at=now())
    put(dev(), languages=["python"])
    noted = Noted()
    carry_out(run, upstream, noted)
    assert (run.status, run.error and run.error["code"]) == (
        Run.Status.FAILED,
        "language_not_allowed",
    )
    assert noted.jobs == []
    event, _ = last("run.refused")
    assert event.run == run.uid


def carry_out(run: Run, upstream: UpstreamPool, noted: Noted) -> None:
    execute(
        uid=run.uid,
        runner="test",
        leases=Leases(),
        sandboxes=lambda: noted,  # type: ignore[arg-type]
        upstream=upstream,
    )
    run.refresh_from_db()


def set_ways(name: str, *, script: bool, direct: bool) -> None:
    tool = Tool.objects.get(name=name)
    catalog.set_ways(
        tool_id=tool.pk, script=script, direct=direct, actor=ACTOR, at=now()
    )


def test_a_tool_called_directly_only_is_denied_to_a_script_on_record(
    agent: Principal, hold: Hold
) -> None:
    set_ways("negate", script=False, direct=True)
    reply = invoke(hold(agent), Call(1, "trivial.negate", {"a": 3}))
    assert reply.error is not None
    assert reply.error.code == "denied"
    assert "call it directly, as the MCP tool trivial.negate" in reply.error.message
    call = ToolCall.objects.get()
    assert call.outcome == ToolCall.Outcome.DENIED
    assert call.reasons[-1] == f"way: {reply.error.message}"
    event, _ = last("call.refused")
    assert "may not be called from scripts" in json.dumps(json.loads(event.body))


def test_a_script_that_names_such_a_tool_does_not_start(
    agent: Principal, upstream: UpstreamPool
) -> None:
    set_ways("negate", script=False, direct=True)
    code = "from tools import trivial\nif False:\n    trivial.negate(a=1)\nreturn 1"
    run = runs.submit(principal=agent, code=code, at=now())
    noted = Noted()
    carry_out(run, upstream, noted)
    assert run.error is not None
    assert run.error["code"] == "denied"
    assert "trivial.negate may not be called from scripts" in run.error["message"]
    assert noted.jobs == []
    assert last("run.refused")[0].run == run.uid


@pytest.mark.parametrize(("direct", "value"), [(False, None), (True, -3)])
def test_a_tool_for_scripts_only_is_denied_to_a_direct_call(
    agent: Principal, upstream: UpstreamPool, direct: bool, value: int | None
) -> None:
    set_ways("negate", script=True, direct=direct)
    run = runs.submit_direct(
        principal=agent, tool="trivial.negate", arguments={"a": 3}, at=now()
    )
    carry_out(run, upstream, Noted())
    assert run.value == value
    if not direct:
        assert run.error is not None
        assert "call it from a script with execute" in run.error["message"]
        assert ToolCall.objects.get().outcome == ToolCall.Outcome.DENIED


def test_a_tool_keeps_one_way_at_least(agent: Principal) -> None:
    with pytest.raises(Invalid, match="at least one way"):
        set_ways("negate", script=False, direct=False)
    set_ways("negate", script=False, direct=True)
    tool = Tool.objects.get(name="negate")
    with pytest.raises(Invalid, match="at least one way"):
        catalog.set_direct(tool_id=tool.pk, direct=False, actor=ACTOR, at=now())
    event, body = last("tool.reviewed")
    assert body["before"] == {"ways": "from scripts only"}
    assert body["after"] == {"ways": "directly only"}
    assert "ways directly only" in event.summary
