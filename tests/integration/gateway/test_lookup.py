"""An interrupted write is looked up, but not while somebody may still be sending it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from audit.models import Event
from core.clock import now
from gateway.connectors.api import Outcome, UpstreamError
from gateway.models import Run, Server, Tool, ToolCall
from gateway.sandbox.api import Call, Usage
from gateway.selectors.outcomes import longest_send, safe_from
from gateway.selectors.waiting import waits_of
from gateway.services import catalog, gate, holds
from gateway.services.holder import Holder
from gateway.services.invoke import invoke
from gateway.services.sweep import sweep
from policy.access import Access
from policy.principal import Principal
from tests.builders.identity import ACTOR
from tests.integration.gateway.conftest import Hold, held_again

pytestmark = pytest.mark.django_db

ADD = Call(1, "trivial.add", {"a": 2, "b": 3})


class Crash(BaseException):
    """The worker dies at this point."""


@dataclass
class Ledger:
    """A server with a ledger by key, whose writes end as ``then`` says."""

    then: str = ""
    written: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def call(
        self,
        spec: Any,
        tool: str,
        arguments: dict[str, Any],
        *,
        timeout: float,
        meta: Any = None,
    ) -> Outcome:
        if tool == "echo":
            self.asked.append(arguments["key"])
            if self.then == "no look-up":
                raise UpstreamError("upstream_down", "gone", sent=False)
            return Outcome(self.written.get(arguments["key"]), False, "", 0.0, 1)
        if self.then == "stall before the send":
            raise Crash
        self.write(arguments["key"])
        if self.then == "crash after the effect":
            raise Crash
        if self.then == "no answer":
            raise UpstreamError("upstream_timeout", "no answer", sent=True)
        return Outcome(5, False, "", 0.0, 1)

    def write(self, key: str) -> None:
        assert key not in self.written, "the effect was produced twice"
        self.written[key] = 5


@pytest.fixture
def write(trivial: Server) -> Tool:
    """``add`` writes, takes its key as an argument, and is looked up by ``echo``."""
    add = Tool.objects.get(name="add")
    catalog.set_idempotency(
        tool_id=add.pk,
        how="argument",
        name="key",
        lookup="echo",
        actor=ACTOR,
        at=now(),
    )
    catalog.confirm_effect(tool_id=add.pk, effect="write", actor=ACTOR, at=now())
    return add


def interrupted(agent: Principal, hold: Hold, then: str) -> tuple[Holder, Ledger]:
    ledger = Ledger(then)
    holder = replace(hold(agent), upstream=ledger)
    with pytest.raises((Crash, gate.Suspended)):
        invoke(holder, ADD)
    if then != "no look-up":
        ledger.then = ""
    return holder, ledger


def wait(holder: Holder, at: datetime | None = None) -> Run:
    """Let the run be held, as its runner does when it is suspended."""
    run = Run.objects.get(pk=holder.run_id)
    holds.suspend(run, Run.Status.AWAITING_OUTCOME, usage=Usage(), at=at or now())
    run.refresh_from_db()
    return run


def let_pass(holder: Holder, seconds: float) -> None:
    """Move the call's intent into the past."""
    call = ToolCall.objects.get(run_id=holder.run_id)
    call.intent_at -= timedelta(seconds=seconds)
    call.save()


def test_a_stalled_sender_that_comes_back_makes_no_second_effect(
    agent: Principal, hold: Hold, write: Tool
) -> None:
    holder, ledger = interrupted(agent, hold, "stall before the send")
    # Its lease is lost and the run is claimed anew while it still holds the request.
    again = held_again(holder)
    with pytest.raises(gate.Suspended) as held:
        invoke(again, ADD)
    assert held.value.waiting == Run.Status.AWAITING_OUTCOME
    assert ledger.asked == []
    run = wait(again)
    sweep(at=now())
    run.refresh_from_db()
    assert run.status == "awaiting_outcome"
    # Now the stalled worker's request arrives after all.
    ledger.write(f"{run.uid}:1")
    let_pass(again, longest_send().total_seconds())
    sweep(at=now())
    assert invoke(held_again(again), ADD).value == 5
    assert ledger.written == {f"{run.uid}:1": 5}
    asked = Event.objects.get(name="call.looked_up", run=run.uid)
    assert (asked.tool, asked.step) == ("trivial.add", 1)


def test_what_did_not_happen_is_sent_once_more(
    agent: Principal, hold: Hold, write: Tool
) -> None:
    holder, ledger = interrupted(agent, hold, "stall before the send")
    let_pass(holder, longest_send().total_seconds())
    assert invoke(held_again(holder), ADD).value == 5
    assert ledger.asked == [f"{holder.run}:1"]
    assert ledger.written == {f"{holder.run}:1": 5}


def test_a_call_that_was_sent_anew_is_waited_for_anew(
    agent: Principal, hold: Hold, write: Tool
) -> None:
    holder, ledger = interrupted(agent, hold, "stall before the send")
    let_pass(holder, longest_send().total_seconds())
    ledger.then = "stall before the send"
    second = held_again(holder)
    with pytest.raises(Crash):
        invoke(second, ADD)
    ledger.then = ""
    third = held_again(second)
    with pytest.raises(gate.Suspended):
        invoke(third, ADD)
    assert len(ledger.asked) == 1
    assert safe_from(ToolCall.objects.get(run_id=holder.run_id)) > now()


def test_a_write_without_an_answer_is_looked_up_by_itself(
    agent: Principal, hold: Hold, write: Tool
) -> None:
    holder, ledger = interrupted(agent, hold, "no answer")
    run = wait(holder)
    assert ToolCall.objects.get(run=run).outcome == ""
    (shown,) = waits_of(run, Access(1, "ada", {}))
    assert (shown.what, shown.step, shown.tool) == ("lookup", 1, "trivial.add")
    sweep(at=now() + longest_send())
    run.refresh_from_db()
    assert run.status == "queued"
    let_pass(holder, longest_send().total_seconds())
    assert invoke(held_again(holder), ADD).value == 5
    assert len(ledger.written) == 1


def test_a_look_up_that_fails_leaves_it_to_a_person(
    agent: Principal, hold: Hold, write: Tool
) -> None:
    holder, ledger = interrupted(agent, hold, "stall before the send")
    let_pass(holder, longest_send().total_seconds())
    ledger.then = "no look-up"
    with pytest.raises(gate.Suspended):
        invoke(held_again(holder), ADD)
    assert ToolCall.objects.get(run_id=holder.run_id).outcome == "unknown"
    assert ledger.written == {}


def test_a_look_up_tool_that_became_a_write_is_not_called(
    agent: Principal, hold: Hold, write: Tool
) -> None:
    holder, ledger = interrupted(agent, hold, "stall before the send")
    reader = Tool.objects.get(name="echo")
    catalog.confirm_effect(tool_id=reader.pk, effect="write", actor=ACTOR, at=now())
    let_pass(holder, longest_send().total_seconds())
    with pytest.raises(gate.Suspended):
        invoke(held_again(holder), ADD)
    assert ToolCall.objects.get(run_id=holder.run_id).outcome == "unknown"
    assert (ledger.asked, ledger.written) == ([], {})
