"""Approval gates: bound to one call, decided by somebody else, used once."""

from dataclasses import replace
from typing import Any

import pytest

from audit.models import Event
from core.clock import now
from core.errors import Denied
from core.models import Revision, raise_revision
from gateway.models import Run, Server, Tool
from gateway.sandbox.api import Usage
from gateway.services import cancel, catalog, gate, holds, sweep
from gateway.services.holder import Holder
from gateway.services.invoke import invoke
from policy.models import Approval, User
from policy.principal import Principal
from policy.services.approvals import ApprovalClosed
from tests.builders.catalog import make_grant, make_version
from tests.builders.identity import ACTOR, actor_of, make_team, make_user
from tests.builders.policy import make_version as make_rules
from tests.integration.gateway.conftest import Hold, held_again
from tests.integration.gateway.test_durable import ADD, Upstream, crashing

pytestmark = pytest.mark.django_db


@pytest.fixture
def gated(trivial: Server) -> Tool:
    tool = Tool.objects.get(server=trivial, name="add")
    return catalog.set_approval(tool_id=tool.pk, needed=True, actor=ACTOR, at=now())


def _ask(agent: Principal, hold: Hold) -> tuple[Holder, Upstream, Approval]:
    holder, upstream = crashing(hold(agent), "")
    with pytest.raises(gate.Suspended):
        invoke(holder, ADD)
    run = Run.objects.get(pk=holder.run_id)
    holds.suspend(run, Run.Status.AWAITING_APPROVAL, usage=Usage(), at=now())
    return holder, upstream, Approval.objects.get(run=holder.run)


def _decide(approval: Approval, *, approve: bool, actor: Any = None) -> Approval:
    """Decide, as an approver of the team where nobody is named."""
    if actor is None:
        found = User.objects.filter(username="bob").first()
        bob = found or make_user("bob", (make_team(approval.team), "approver"))
        actor = actor_of(bob)
    return holds.decide_approval(
        uid=approval.uid, approve=approve, reason="checked", actor=actor, at=now()
    )


def test_an_approved_call_is_made_when_the_run_resumes(
    agent: Principal, gated: Tool, hold: Hold
) -> None:
    holder, upstream, approval = _ask(agent, hold)
    assert upstream.effects == []
    _decide(approval, approve=True)
    assert Run.objects.get(pk=holder.run_id).status == "queued"
    again = held_again(holder)
    assert invoke(again, ADD).value == 5
    approval.refresh_from_db()
    assert approval.state == "used"


def test_a_rejected_call_is_an_error_in_the_script(
    agent: Principal, gated: Tool, hold: Hold
) -> None:
    holder, upstream, approval = _ask(agent, hold)
    _decide(approval, approve=False)
    error = invoke(held_again(holder), ADD).error
    assert error is not None
    assert error.code == "not_approved"
    assert "checked" in error.message
    assert upstream.effects == []


def test_an_approval_is_for_exactly_one_call(
    agent: Principal, gated: Tool, hold: Hold
) -> None:
    holder, upstream, approval = _ask(agent, hold)
    _decide(approval, approve=True)
    Approval.objects.filter(pk=approval.pk).update(arguments_digest="another")
    again = held_again(holder)
    error = invoke(again, ADD).error
    assert error is not None
    assert error.code == "not_approved"
    assert upstream.effects == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("argument", "given for another call"),
        ("policy", "given for another call"),
        ("definition", "given for another call"),
        ("time", "expired before the call"),
    ],
)
def test_what_changes_between_the_approval_and_the_call_refuses_it(
    agent: Principal, gated: Tool, hold: Hold, change: str, why: str
) -> None:
    holder, upstream, approval = _ask(agent, hold)
    _decide(approval, approve=True)
    call = replace(ADD, arguments={"a": 2, "b": 4}) if change == "argument" else ADD
    if change == "policy":
        make_rules({"id": "ask", "effect": "require_approval"})
    if change == "definition":
        make_version(gated, input_schema={"type": "object"}, output_schema={})
        raise_revision(Revision.CATALOG)
    if change == "time":
        Approval.objects.filter(pk=approval.pk).update(expires_at=now())
    error = invoke(held_again(holder), call).error
    assert error is not None
    assert error.code == "not_approved"
    assert why in error.message
    assert upstream.effects == []
    refused = Event.objects.get(name="call.refused", run=holder.run)
    assert (refused.decision, refused.step) == ("deny", 1)
    assert why in refused.body
    assert not Event.objects.filter(name="approval.used").exists()


def test_nobody_approves_their_own_and_nothing_is_decided_twice(
    agent: Principal, gated: Tool, hold: Hold
) -> None:
    holder, _, approval = _ask(agent, hold)
    with pytest.raises(Denied):
        _decide(approval, approve=True, actor=agent.actor)
    _decide(approval, approve=True)
    with pytest.raises(ApprovalClosed):
        _decide(approval, approve=False)
    refused = Event.objects.filter(name="approval.refused", run=holder.run)
    assert refused.count() == 2


def test_a_changed_policy_closes_what_was_asked_before(
    agent: Principal, gated: Tool, hold: Hold, trivial: Server
) -> None:
    _, _, approval = _ask(agent, hold)
    make_grant(make_team("other"), trivial)
    with pytest.raises(ApprovalClosed, match="policy"):
        _decide(approval, approve=True)


def test_an_approval_that_expires_lets_the_run_go_on_without_it(
    agent: Principal, gated: Tool, hold: Hold
) -> None:
    holder, upstream, approval = _ask(agent, hold)
    Approval.objects.filter(pk=approval.pk).update(expires_at=now())
    sweep.sweep(at=now())
    error = invoke(held_again(holder), ADD).error
    assert error is not None
    assert error.code == "not_approved"
    assert upstream.effects == []


def test_cancelling_a_run_that_waits_ends_it_at_once(
    agent: Principal, gated: Tool, hold: Hold
) -> None:
    holder, _, approval = _ask(agent, hold)
    cancel.cancel(uid=holder.run, actor=ACTOR, at=now())
    run = Run.objects.get(pk=holder.run_id)
    assert run.status == "cancelled"
    approval.refresh_from_db()
    assert approval.state == "withdrawn"
