"""invoke: the only way to a tool, with everything on record."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from psycopg.pq import TransactionStatus

from audit.models import Event
from core.clock import now
from gateway.models import Run, Server, Tool, ToolCall
from gateway.sandbox.api import Call
from gateway.services import catalog
from gateway.services.holder import Holder
from gateway.services.invoke import invoke
from gateway.services.journal import KeyRevoked
from gateway.services.leases import LeaseLost
from policy.models import ApiKey, Team
from policy.principal import Principal
from policy.services import keys
from tests.builders.identity import ACTOR, make_account, make_key, make_team
from tests.builders.quotas import make_quota
from tests.integration.gateway.conftest import Hold

pytestmark = pytest.mark.django_db


class Watched:
    """The real connections, with a count of what left through them."""

    def __init__(self, upstream: Any) -> None:
        self.upstream, self.sent = upstream, 0

    def call(self, *args: Any, **kwargs: Any) -> Any:
        self.sent += 1
        return self.upstream.call(*args, **kwargs)


def watch(holder: Holder) -> tuple[Holder, Watched]:
    watched = Watched(holder.upstream)
    return replace(holder, upstream=watched), watched


def test_a_call_is_answered_and_journalled(agent: Principal, hold: Hold) -> None:
    holder = hold(agent)
    reply = invoke(holder, Call(1, "trivial.add", {"a": 2, "b": 3}))
    assert (reply.value, reply.error) == (5, None)
    call = ToolCall.objects.get(run_id=holder.run_id)
    assert (call.step, call.tool, call.decision) == (1, "trivial.add", "allow")
    assert (call.outcome, call.result, call.effect) == ("ok", 5, "read")
    assert call.outcome_at is not None
    assert call.outcome_at >= call.intent_at
    trail = Event.objects.filter(run=holder.run, step=1).order_by("id")
    assert [event.name for event in trail] == ["call.intended", "call.ended"]
    assert trail[0].decision == "allow"
    assert trail[0].actor_id == agent.id


@pytest.mark.parametrize(
    ("scopes", "environment", "granted", "reason"),
    [
        (("tools:crm.*", "runs:execute"), "dev", True, "scope:"),
        (("tools:*", "runs:execute"), "prod", True, "environment:"),
        (("tools:*", "runs:execute"), "dev", False, "grant:"),
    ],
)
def test_a_call_that_is_not_allowed_is_refused_and_nothing_leaves(
    trivial: Server,
    agent: Principal,
    hold: Hold,
    scopes: tuple[str, ...],
    environment: str,
    granted: bool,
    reason: str,
) -> None:
    team = Team.objects.get(pk=agent.team_id)
    account = make_account(team if granted else make_team("strangers"), "other")
    key = make_key(account, scopes=scopes, environment=environment).key
    holder, watched = watch(hold(keys.principal_of(key)))
    reply = invoke(holder, Call(1, "trivial.add", {"a": 2, "b": 3}))
    assert reply.error is not None
    assert reply.error.code == "denied"
    assert watched.sent == 0
    event = Event.objects.get(run=holder.run, name="call.refused")
    assert event.decision == "deny"
    assert reason in event.body
    call = ToolCall.objects.get(run_id=holder.run_id)
    assert (call.outcome, call.decision) == ("denied", "deny")


def test_an_unknown_tool_and_a_forbidden_one_answer_alike(
    agent: Principal, trivial: Server, hold: Hold
) -> None:
    hidden = Tool.objects.get(server=trivial, name="echo")
    catalog.set_environments(
        tool_ids=[hidden.pk], environments=[], actor=ACTOR, at=now()
    )
    holder = hold(agent)
    forbidden = invoke(holder, Call(1, "trivial.echo", {"text": "x"})).error
    unknown = invoke(holder, Call(2, "trivial.nothing", {})).error
    assert forbidden is not None
    assert unknown is not None
    assert forbidden.code == unknown.code == "denied"
    assert forbidden.message.replace("trivial.echo", "") == unknown.message.replace(
        "trivial.nothing", ""
    )


def test_wrong_arguments_are_named_and_not_sent(agent: Principal, hold: Hold) -> None:
    holder, watched = watch(hold(agent))
    reply = invoke(holder, Call(1, "trivial.add", {"a": "two", "b": 3}))
    assert reply.error is not None
    assert reply.error.code == "invalid_arguments"
    assert "a" in reply.error.message
    assert watched.sent == 0
    assert ToolCall.objects.get(run_id=holder.run_id).outcome == "invalid"


def test_a_revoked_key_stops_in_the_middle_of_a_run(
    agent: Principal, hold: Hold
) -> None:
    holder, watched = watch(hold(agent))
    invoke(holder, Call(1, "trivial.add", {"a": 1, "b": 1}))
    keys.revoke_key(
        key_id=ApiKey.objects.get(prefix=agent.key).pk,
        reason="leaked",
        actor=ACTOR,
        at=now(),
    )
    time.sleep(0.03)  # beyond it nothing is taken on trust
    with pytest.raises(KeyRevoked):
        invoke(holder, Call(2, "trivial.add", {"a": 1, "b": 1}))
    assert watched.sent == 1


@dataclass
class Meanwhile(Watched):
    """Notes whether the database was at work when a call left; may end the worker."""

    upstream: Any
    sent: int = 0
    busy: list[bool] = field(default_factory=list)
    crash: bool = False

    def call(self, *args: Any, **kwargs: Any) -> Any:
        status = connection.connection.pgconn.transaction_status
        self.busy.append(status == TransactionStatus.ACTIVE)
        if self.crash:
            raise KeyboardInterrupt
        return super().call(*args, **kwargs)


def under_way(holder: Holder) -> tuple[Holder, Meanwhile]:
    """A run that has made one call, so that its statements are planned."""
    invoke(holder, Call(1, "trivial.add", {"a": 1, "b": 1}))
    invoke(holder, Call(2, "trivial.add", {"a": 1, "b": 1}))
    meanwhile = Meanwhile(holder.upstream)
    holder.lease.clear_until = time.monotonic() + 60
    return replace(holder, upstream=meanwhile), meanwhile


def test_a_read_leaves_while_its_intent_is_written(
    agent: Principal, hold: Hold
) -> None:
    holder, meanwhile = under_way(hold(agent))
    assert invoke(holder, Call(3, "trivial.add", {"a": 2, "b": 3})).value == 5
    assert meanwhile.busy == [True]
    call = ToolCall.objects.get(run_id=holder.run_id, step=3)
    assert (call.outcome, call.result) == ("ok", 5)
    trail = Event.objects.filter(run=holder.run, step=3).order_by("id")
    assert [event.name for event in trail] == ["call.intended", "call.ended"]


def test_a_write_leaves_after_its_intent(agent: Principal, hold: Hold) -> None:
    tool = Tool.objects.get(name="add")
    catalog.confirm_effect(tool_id=tool.pk, effect="write", actor=ACTOR, at=now())
    holder, meanwhile = under_way(hold(agent))
    assert invoke(holder, Call(3, "trivial.add", {"a": 2, "b": 3})).value == 5
    assert meanwhile.busy == [False]


def test_a_read_whose_intent_is_refused_gives_no_result(
    agent: Principal, hold: Hold
) -> None:
    holder, meanwhile = under_way(hold(agent))
    Run.objects.filter(pk=holder.run_id).update(epoch=holder.epoch + 1)
    with pytest.raises(LeaseLost):
        invoke(holder, Call(3, "trivial.add", {"a": 1, "b": 1}))
    assert meanwhile.busy == [True]
    assert not ToolCall.objects.filter(run_id=holder.run_id, step=3).exists()


def test_the_intent_of_a_read_is_on_record_though_its_worker_dies(
    agent: Principal, hold: Hold
) -> None:
    holder, meanwhile = under_way(hold(agent))
    meanwhile.crash = True
    with pytest.raises(KeyboardInterrupt):
        invoke(holder, Call(3, "trivial.add", {"a": 1, "b": 1}))
    assert meanwhile.busy == [True]
    assert ToolCall.objects.get(run_id=holder.run_id, step=3).outcome == ""


def test_what_was_seen_clear_is_soon_forgotten(agent: Principal, hold: Hold) -> None:
    holder = hold(agent)
    assert not holder.lease.is_clear
    invoke(holder, Call(1, "trivial.add", {"a": 1, "b": 1}))
    assert holder.lease.clear_until < time.monotonic() + 0.02


def test_a_runner_that_lost_its_lease_sends_nothing(
    agent: Principal, hold: Hold
) -> None:
    holder, watched = watch(hold(agent))
    Run.objects.filter(pk=holder.run_id).update(epoch=holder.epoch + 1)
    with pytest.raises(LeaseLost):
        invoke(holder, Call(1, "trivial.add", {"a": 1, "b": 1}))
    assert watched.sent == 0
    assert not ToolCall.objects.filter(run_id=holder.run_id).exists()


def test_what_cannot_be_recorded_is_not_done(agent: Principal, hold: Hold) -> None:
    holder, watched = watch(hold(agent))
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'disk full'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON audit_event "
            "FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    with pytest.raises(DatabaseError), transaction.atomic():
        invoke(holder, Call(1, "trivial.add", {"a": 1, "b": 1}))
    assert watched.sent == 0
    assert not ToolCall.objects.filter(run_id=holder.run_id).exists()


def test_a_quota_that_is_used_up_says_when_it_resets(
    agent: Principal, hold: Hold
) -> None:
    make_quota(2, team=Team.objects.get(pk=agent.team_id))
    holder, watched = watch(hold(agent))
    replies = [
        invoke(holder, Call(step, "trivial.add", {"a": 1, "b": 1}))
        for step in (1, 2, 3)
    ]
    assert [reply.value for reply in replies] == [2, 2, None]
    error = replies[2].error
    assert error is not None
    assert error.code == "quota_exceeded"
    assert "resets at" in error.message
    assert error.retryable
    assert watched.sent == 2


def test_secrets_in_arguments_are_not_kept(agent: Principal, hold: Hold) -> None:
    holder = hold(agent)
    secret = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
    invoke(holder, Call(1, "trivial.echo", {"text": f"use {secret}"}))
    invoke(holder, Call(2, "trivial.nothing", {"password": "hunter-two-2"}))
    call = ToolCall.objects.filter(run_id=holder.run_id, step=1).get()
    assert secret not in str(call.arguments)
    for event in Event.objects.filter(run=holder.run):
        assert secret not in event.body
        assert "hunter-two-2" not in event.body
