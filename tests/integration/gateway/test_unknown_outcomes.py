"""Calls that nobody saw the end of: sent again with their key, or left to a person."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from core.clock import now
from gateway.connectors.api import Outcome, UpstreamError
from gateway.models import Run, Tool, ToolCall
from gateway.sandbox.api import Call, Usage
from gateway.selectors import outcomes
from gateway.selectors.waiting import waits_of
from gateway.services import catalog, gate, holds, sweep
from gateway.services.holder import Holder
from gateway.services.invoke import invoke
from gateway.services.leases import MOST_CLAIMS
from policy.access import Access
from policy.principal import Principal
from tests.builders.identity import ACTOR
from tests.integration.gateway.conftest import Hold, held_again, lapse
from tests.integration.gateway.test_durable import ADD, set_effect

pytestmark = pytest.mark.django_db

NEXT = Call(2, "trivial.negate", {"a": 4})


class Crash(BaseException):
    """The worker dies at this point."""


@dataclass
class Server:
    """Adds, unless ``says`` breaks it; keeps the ``_meta`` of every request."""

    says: BaseException | None = None
    sent: list[Any] = field(default_factory=list)

    def call(
        self, spec: Any, tool: str, arguments: Any, *, timeout: float, meta: Any = None
    ) -> Outcome:
        self.sent.append(meta)
        if self.says is not None:
            raise self.says
        return Outcome(5, False, "", 0.01, 2)


UNANSWERED = UpstreamError("upstream_timeout", "no answer", retryable=True, sent=True)


def keyed(effect: str) -> None:
    set_effect("add", effect)
    catalog.set_idempotency(
        tool_id=Tool.objects.get(name="add").pk,
        how="meta",
        name="",
        lookup="",
        actor=ACTOR,
        at=now(),
    )


def only_call(holder: Holder) -> ToolCall:
    return ToolCall.objects.get(run_id=holder.run_id)


def suspend(holder: Holder) -> None:
    run = Run.objects.get(pk=holder.run_id)
    assert holds.suspend(run, Run.Status.AWAITING_OUTCOME, usage=Usage(), at=now())


def interrupted(agent: Principal, hold: Hold, server: Server) -> Holder:
    """The next claim of a run whose runner died in a call."""
    holder = replace(hold(agent), upstream=server)
    server.says = Crash()
    with pytest.raises(Crash):
        invoke(holder, ADD)
    server.says = None
    return held_again(holder)


def let_it_be_due(call: ToolCall) -> None:
    """As if the intent lay so far back that the call must be over."""
    earlier = call.intent_at - outcomes.longest_send()
    ToolCall.objects.filter(pk=call.pk).update(intent_at=earlier)


def decide(call: ToolCall, resolution: str, value: Any = None) -> None:
    holds.resolve(
        call_id=call.pk,
        resolution=resolution,
        reason="looked it up",
        actor=ACTOR,
        at=now(),
        value=value,
    )


def test_a_keyed_write_without_answer_is_sent_again_with_its_key(
    agent: Principal, hold: Hold
) -> None:
    """The script is not told of a failure: its next try would have another key."""
    keyed("idempotent_write")
    server = Server(says=UNANSWERED)
    holder = replace(hold(agent), upstream=server)
    with pytest.raises(gate.Suspended):
        invoke(holder, ADD)
    suspend(holder)
    (shown,) = waits_of(Run.objects.get(pk=holder.run_id), Access(1, "ada", {}))
    assert (shown.what, shown.step) == ("lookup", 1)
    sweep.sweep(at=now())
    assert Run.objects.get(pk=holder.run_id).status == "awaiting_outcome"

    let_it_be_due(only_call(holder))
    sweep.sweep(at=now())
    server.says = None
    assert invoke(held_again(holder), ADD).value == 5
    assert server.sent == [{"idempotencyKey": f"{holder.run}:1"}] * 2


def test_a_keyed_write_that_is_never_answered_is_left_to_a_person(
    agent: Principal, hold: Hold
) -> None:
    keyed("idempotent_write")
    holder = replace(hold(agent), upstream=Server(says=UNANSWERED))
    Run.objects.filter(pk=holder.run_id).update(epoch=MOST_CLAIMS)
    with pytest.raises(gate.Suspended):
        invoke(replace(holder, epoch=MOST_CLAIMS), ADD)
    assert only_call(holder).outcome == "unknown"


def test_a_repeatable_write_without_a_key_fails_in_the_script(
    agent: Principal, hold: Hold
) -> None:
    set_effect("add", "idempotent_write")
    holder = replace(hold(agent), upstream=Server(says=UNANSWERED))
    error = invoke(holder, ADD).error
    assert error is not None
    assert (error.code, error.retryable) == ("upstream_timeout", True)


def test_nobody_decides_while_a_second_send_may_be_under_way(
    agent: Principal, hold: Hold
) -> None:
    set_effect("add", "write")
    server = Server(says=UNANSWERED)
    holder = replace(hold(agent), upstream=server)
    with pytest.raises(gate.Suspended):
        invoke(holder, ADD)
    suspend(holder)
    let_it_be_due(only_call(holder))
    decide(only_call(holder), "did_not")
    again = held_again(holder)
    with pytest.raises(gate.Suspended):
        invoke(again, ADD)
    assert len(server.sent) == 2
    assert outcomes.safe_from(only_call(again)) > now()


def test_an_unknown_outcome_is_never_given_to_the_script(
    agent: Principal, hold: Hold
) -> None:
    """The runner died after it wrote the outcome and before it held the run."""
    set_effect("add", "write")
    holder = replace(hold(agent), upstream=Server(says=UNANSWERED))
    with pytest.raises(gate.Suspended):
        invoke(holder, ADD)
    lapse(holder)
    again = held_again(holder)
    assert only_call(again).outcome == "unknown"
    with pytest.raises(gate.Suspended):
        invoke(again, ADD)


def test_a_value_from_a_person_keeps_its_place_among_the_replies(
    agent: Principal, hold: Hold
) -> None:
    """A sandbox gives replies in this order: a later one must not come first."""
    set_effect("add", "write")
    server = Server(says=UNANSWERED)
    holder = replace(hold(agent), upstream=server)
    with pytest.raises(gate.Suspended):
        invoke(holder, ADD)
    suspend(holder)
    let_it_be_due(only_call(holder))
    decide(only_call(holder), "happened", value=5)
    server.says = None
    for _ in range(2):
        holder = held_again(holder)
        assert [invoke(holder, call).turn for call in (ADD, NEXT)] == [1, 2]


def test_a_repeatable_write_is_unknown_when_its_run_ends_first(
    agent: Principal, hold: Hold
) -> None:
    keyed("idempotent_write")
    again = interrupted(agent, hold, Server())
    Run.objects.filter(pk=again.run_id).update(epoch=MOST_CLAIMS)
    lapse(again)
    sweep.sweep(at=now())
    assert Run.objects.get(pk=again.run_id).status == "failed"
    assert only_call(again).outcome == "unknown"
