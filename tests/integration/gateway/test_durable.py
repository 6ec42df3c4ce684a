"""Every cell of the durable-run table: what a crash at each point leads to."""

import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from audit.models import Event
from core.clock import now
from core.errors import Invalid
from gateway.connectors.api import Outcome, UpstreamError
from gateway.models import Run, Tool, ToolCall
from gateway.sandbox.api import Call, Usage
from gateway.services import catalog, gate, holds, sweep
from gateway.services.holder import Holder
from gateway.services.invoke import invoke
from gateway.services.leases import LeaseLost
from gateway.services.replay import Nondeterministic
from policy.principal import Principal
from tests.builders.identity import ACTOR
from tests.integration.gateway.conftest import Hold, held_again, lapse

pytestmark = pytest.mark.django_db

ADD = Call(1, "trivial.add", {"a": 2, "b": 3})


class Crash(BaseException):
    """The worker dies at this point."""


@dataclass
class Upstream:
    """The real connections, with a ledger of effects and a crash where asked for."""

    real: Any
    crash: str = ""
    effects: list[dict[str, Any]] = field(default_factory=list)
    metas: list[Any] = field(default_factory=list)

    def call(
        self,
        spec: Any,
        tool: str,
        arguments: dict[str, Any],
        *,
        timeout: float,
        meta: Any = None,
    ) -> Outcome:
        if self.crash == "before the send":
            raise Crash
        outcome: Outcome = self.real.call(
            spec, tool, arguments, timeout=timeout, meta=meta
        )
        self.effects.append(arguments)
        self.metas.append(meta)
        if self.crash == "after the effect":
            raise Crash
        return outcome


def set_effect(name: str, effect: str) -> None:
    tool = Tool.objects.get(name=name)
    catalog.confirm_effect(tool_id=tool.pk, effect=effect, actor=ACTOR, at=now())


def crashing(holder: Holder, crash: str) -> tuple[Holder, Upstream]:
    upstream = Upstream(holder.upstream, crash)
    return replace(holder, upstream=upstream), upstream


@pytest.mark.parametrize("effect", ["read", "idempotent_write", "write"])
def test_before_the_intent_every_call_runs_once(
    agent: Principal, hold: Hold, effect: str
) -> None:
    set_effect("add", effect)
    holder, upstream = crashing(hold(agent), "")
    again = held_again(holder, upstream)
    assert invoke(again, ADD).value == 5
    assert len(upstream.effects) == 1


@pytest.mark.parametrize("point", ["before the send", "after the effect"])
@pytest.mark.parametrize("effect", ["read", "idempotent_write"])
def test_a_repeatable_call_without_outcome_is_made_again(
    agent: Principal, hold: Hold, effect: str, point: str
) -> None:
    set_effect("add", effect)
    holder, upstream = crashing(hold(agent), point)
    with pytest.raises(Crash):
        invoke(holder, ADD)
    upstream.crash = ""
    again = held_again(holder)
    assert invoke(again, ADD).value == 5
    call = ToolCall.objects.get(run_id=holder.run_id)
    assert (call.outcome, call.epoch, call.result) == ("ok", 2, 5)


@pytest.mark.parametrize("point", ["before the send", "after the effect"])
def test_a_write_without_outcome_waits_for_a_person(
    agent: Principal, hold: Hold, point: str
) -> None:
    set_effect("add", "write")
    holder, upstream = crashing(hold(agent), point)
    with pytest.raises(Crash):
        invoke(holder, ADD)
    sent = len(upstream.effects)
    upstream.crash = ""
    again = held_again(holder)
    with pytest.raises(gate.Suspended) as suspended:
        invoke(again, ADD)
    assert suspended.value.waiting == Run.Status.AWAITING_OUTCOME
    assert len(upstream.effects) == sent
    assert ToolCall.objects.get(run_id=holder.run_id).outcome == "unknown"


def _unknown(agent: Principal, hold: Hold) -> tuple[Holder, Upstream, ToolCall]:
    set_effect("add", "write")
    holder, upstream = crashing(hold(agent), "after the effect")
    with pytest.raises(Crash):
        invoke(holder, ADD)
    upstream.crash = ""
    again = held_again(holder)
    with pytest.raises(gate.Suspended):
        invoke(again, ADD)
    run = Run.objects.get(pk=again.run_id)
    holds.suspend(run, Run.Status.AWAITING_OUTCOME, usage=Usage(), at=now())
    return again, upstream, ToolCall.objects.get(run_id=holder.run_id)


def _resolve(call: ToolCall, resolution: str, **more: Any) -> ToolCall:
    return holds.resolve(
        call_id=call.pk,
        resolution=resolution,
        reason="looked it up in the shop",
        actor=ACTOR,
        at=holds.safe_from(call),
        **more,
    )


def test_it_happened_gives_the_value_and_calls_nothing(
    agent: Principal, hold: Hold
) -> None:
    holder, upstream, call = _unknown(agent, hold)
    _resolve(call, "happened", value=5)
    again = held_again(holder)
    assert invoke(again, ADD).value == 5
    assert len(upstream.effects) == 1
    event = Event.objects.get(name="call.resolved", run=holder.run)
    assert event.actor_id == ACTOR.id


def test_it_did_not_happen_makes_the_call_once_more(
    agent: Principal, hold: Hold
) -> None:
    holder, upstream, call = _unknown(agent, hold)
    _resolve(call, "did_not")
    again = held_again(holder)
    assert invoke(again, ADD).value == 5
    assert len(upstream.effects) == 2


def test_abandoning_ends_the_run(agent: Principal, hold: Hold) -> None:
    holder, upstream, call = _unknown(agent, hold)
    _resolve(call, "abandon")
    run = Run.objects.get(pk=holder.run_id)
    assert (run.status, run.error["code"]) == ("failed", "abandoned")
    assert len(upstream.effects) == 1
    with pytest.raises(Invalid):
        _resolve(call, "happened", value=5)


def test_nobody_decides_while_the_call_may_be_under_way(
    agent: Principal, hold: Hold
) -> None:
    _, _, call = _unknown(agent, hold)
    with pytest.raises(Invalid, match="under way"):
        holds.resolve(
            call_id=call.pk,
            resolution="did_not",
            reason="impatient",
            actor=ACTOR,
            at=call.intent_at + timedelta(seconds=1),
        )
    assert ToolCall.objects.get(pk=call.pk).outcome == "unknown"


@pytest.mark.parametrize("effect", ["read", "idempotent_write", "write"])
def test_after_the_outcome_every_call_is_replayed(
    agent: Principal, hold: Hold, effect: str
) -> None:
    set_effect("add", effect)
    holder, upstream = crashing(hold(agent), "")
    first = invoke(holder, ADD)
    failed = invoke(holder, Call(2, "trivial.add", {"a": "x", "b": 3}))
    again = held_again(holder)
    assert invoke(again, ADD) == first
    replayed = invoke(again, Call(2, "trivial.add", {"a": "x", "b": 3}))
    assert replayed.error is not None
    assert failed.error is not None
    assert replayed.error.code == failed.error.code
    assert len(upstream.effects) == 1
    assert invoke(again, Call(3, "trivial.negate", {"a": 4})).turn == 3


def test_a_script_that_changes_its_mind_calls_nothing(
    agent: Principal, hold: Hold
) -> None:
    holder, upstream = crashing(hold(agent), "")
    invoke(holder, ADD)
    again = held_again(holder)
    for other in (
        Call(1, "trivial.add", {"a": 2, "b": 4}),
        Call(1, "trivial.multiply", {"a": 2, "b": 3}),
    ):
        with pytest.raises(Nondeterministic):
            invoke(again, other)
    assert len(upstream.effects) == 1


def test_a_step_that_is_missing_on_replay_is_noticed(
    agent: Principal, hold: Hold
) -> None:
    holder = hold(agent)
    invoke(holder, ADD)
    with pytest.raises(Nondeterministic, match="missing"):
        held_again(holder).replay.check_complete()


def test_replies_come_back_in_the_order_they_were_given(
    agent: Principal, hold: Hold
) -> None:
    holder = hold(agent)
    second = Call(2, "trivial.negate", {"a": 1})
    turns = [invoke(holder, call).turn for call in (second, ADD)]
    assert turns == [1, 2]
    again = held_again(holder)
    assert [invoke(again, call).turn for call in (ADD, second)] == [2, 1]


def test_a_stalled_worker_that_comes_back_sends_nothing(
    agent: Principal, hold: Hold
) -> None:
    holder, upstream = crashing(hold(agent), "")
    holder.lease.until = time.monotonic() - 1
    with pytest.raises(LeaseLost):
        invoke(holder, ADD)
    assert upstream.effects == []
    again = held_again(holder)
    invoke(again, ADD)
    with pytest.raises(LeaseLost):
        invoke(holder, Call(2, "trivial.negate", {"a": 4}))
    assert len(upstream.effects) == 1


def test_a_write_that_times_out_is_unknown(agent: Principal, hold: Hold) -> None:
    set_effect("add", "write")

    class Silent:
        def call(self, *_: Any, **__: Any) -> Outcome:
            raise UpstreamError("upstream_timeout", "no answer", sent=True)

    holder = replace(hold(agent), upstream=Silent())
    with pytest.raises(gate.Suspended):
        invoke(holder, ADD)
    assert ToolCall.objects.get(run_id=holder.run_id).outcome == "unknown"


def test_a_tool_that_takes_a_key_gets_the_same_one_each_time(
    agent: Principal, hold: Hold
) -> None:
    set_effect("add", "idempotent_write")
    Tool.objects.filter(name="add").update(
        idempotency="meta", idempotency_name="requestKey"
    )
    catalog.set_tags(
        tool_id=Tool.objects.get(name="add").pk, tags=["x"], actor=ACTOR, at=now()
    )
    holder, upstream = crashing(hold(agent), "after the effect")
    with pytest.raises(Crash):
        invoke(holder, ADD)
    upstream.crash = ""
    invoke(held_again(holder), ADD)
    assert upstream.metas == [{"requestKey": f"{holder.run}:1"}] * 2


def test_a_run_that_was_claimed_too_often_ends(agent: Principal, hold: Hold) -> None:
    holder = hold(agent)
    Run.objects.filter(pk=holder.run_id).update(epoch=sweep.MOST_CLAIMS)
    lapse(holder)
    assert sweep.sweep(at=now()).ended == 1
    run = Run.objects.get(pk=holder.run_id)
    assert (run.status, run.error["code"]) == ("failed", "runner_lost")


def test_a_thousand_recorded_calls_are_replayed(agent: Principal, hold: Hold) -> None:
    holder, upstream = crashing(hold(agent), "")
    for step in range(1, 1001):
        invoke(holder, Call(step, "trivial.negate", {"a": step}))
    again = held_again(holder)
    for step in range(1, 1001):
        assert invoke(again, Call(step, "trivial.negate", {"a": step})).value == -step
    assert len(upstream.effects) == 1000
