"""What runs and their calls take of quotas, and what they give back."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from core.clock import now
from core.errors import QuotaExceeded
from gateway.catalog import usable_by
from gateway.models import Run, Tool
from gateway.sandbox.api import Call, Usage
from gateway.services import cancel, catalog, finish, gate, holds, runs, sweep
from gateway.services.invoke import invoke
from gateway.services.reservations import RESULT_TOKENS, bounded
from policy.models import Approval, Quota, QuotaHold, QuotaRefusal, QuotaUse, Team
from policy.principal import Principal
from tests.builders.identity import ACTOR, actor_of, make_team, make_user
from tests.builders.quotas import make_quota
from tests.integration.gateway.conftest import Hold, held_again, lapse

pytestmark = pytest.mark.django_db

ADD = Call(1, "trivial.add", {"a": 2, "b": 3})


def _ending(*, cpu: float = 0.25, value: Any = 1) -> finish.Ending:
    return finish.Ending("succeeded", value, "", False, None, Usage(cpu_seconds=cpu))


def _used(quota: Quota) -> float:
    uses = QuotaUse.objects.filter(quota=quota)
    return float(sum(uses.values_list("used", flat=True)))


def _submit(agent: Principal) -> Run:
    return runs.submit(principal=agent, code="return 1", at=now())


def _finish(run_id: int, ending: finish.Ending | None = None) -> bool:
    return finish.finish(
        run=Run.objects.get(pk=run_id),
        ending=ending or _ending(),
        definition_tokens=0,
        at=now(),
    )


@pytest.fixture
def at_once(agent: Principal) -> Quota:
    return make_quota(
        1, metric="concurrent_runs", team=Team.objects.get(pk=agent.team_id)
    )


def test_a_run_holds_its_estimates_and_is_settled_with_what_it_used(
    agent: Principal, hold: Hold
) -> None:
    tokens = make_quota(50_000, metric="tokens", window="day")
    cpu = make_quota(60, metric="cpu_seconds", window="day")
    counted = make_quota(5, metric="runs", window="day")
    holder = hold(agent)
    assert _used(tokens) == RESULT_TOKENS + 3
    assert _used(cpu) == 10
    assert _used(counted) == 1
    assert _finish(holder.run_id)
    run = Run.objects.get(pk=holder.run_id)
    spent = run.usage["tokens"]
    assert _used(tokens) == spent["script"] + spent["result"]
    assert _used(cpu) == 0.25
    assert _used(counted) == 1
    assert not QuotaHold.objects.exists()
    assert not _finish(holder.run_id)
    assert _used(cpu) == 0.25


def test_a_run_takes_what_is_left_and_is_bounded_by_it(
    agent: Principal, hold: Hold
) -> None:
    make_quota(3, metric="cpu_seconds")
    run = Run.objects.get(pk=hold(agent).run_id)
    usable = usable_by(agent)
    assert bounded({}, run=run, usable=usable) == {"cpu_seconds": 3.0}
    least = bounded({"cpu_seconds": 1.5}, run=run, usable=usable)
    assert least == {"cpu_seconds": 1.5}
    with pytest.raises(QuotaExceeded) as caught:
        _submit(agent)
    assert caught.value.details["metric"] == "cpu_seconds"
    assert caught.value.details["remaining"] == 0
    _finish(run.pk, _ending(cpu=0.5))
    _submit(agent)
    assert QuotaHold.objects.get().amount == Decimal("2.5")


def test_what_a_run_used_beyond_its_reservation_is_counted(
    agent: Principal, hold: Hold
) -> None:
    tokens = make_quota(RESULT_TOKENS, metric="tokens")
    holder = hold(agent)
    _finish(holder.run_id, _ending(value=list(range(20_000))))
    assert _used(tokens) > RESULT_TOKENS
    with pytest.raises(QuotaExceeded) as caught:
        _submit(agent)
    assert caught.value.details["remaining"] == 0


def test_a_direct_call_holds_no_cpu(agent: Principal) -> None:
    make_quota(1, metric="cpu_seconds")
    for _ in range(2):
        runs.submit_direct(
            principal=agent, tool="trivial.add", arguments={"a": 1, "b": 2}, at=now()
        )
    assert not QuotaHold.objects.exists()


def test_a_refused_run_leaves_nothing_and_its_quota_is_on_record(
    agent: Principal,
) -> None:
    first = make_quota(5, metric="runs")
    full = make_quota(1, metric="runs", team=Team.objects.get(pk=agent.team_id))
    _submit(agent)
    with pytest.raises(QuotaExceeded, match=f"team {agent.team}"):
        _submit(agent)
    assert Run.objects.count() == 1
    assert _used(first) == 1
    event = Event.objects.newest_first()[0]
    body = json.loads(event.body)
    assert (event.name, event.decision) == ("run.refused", "deny")
    assert body["payload"]["details"]["quota"] == full.pk
    refusal = QuotaRefusal.objects.get()
    assert (refusal.quota_id, refusal.event) == (full.pk, event.uid)
    assert (refusal.team, refusal.key) == (agent.team, agent.key)


def test_a_refused_call_says_which_quota_and_when_it_resets(
    agent: Principal, hold: Hold
) -> None:
    make_quota(100)
    quota = make_quota(1, tool="trivial.*", window="day")
    holder = hold(agent)
    assert invoke(holder, ADD).error is None
    refused = invoke(holder, Call(2, "trivial.add", {"a": 1, "b": 1})).error
    assert refused is not None
    assert refused.details["quota"] == quota.pk
    assert refused.details["scope"] == "tool trivial.*"
    assert refused.details["retry_after"] > 0  # type: ignore[operator]
    call = Run.objects.get(pk=holder.run_id).calls.get(step=2)
    assert call.error["details"] == refused.details
    refusal = QuotaRefusal.objects.get()
    assert (refusal.run, refusal.tool) == (holder.run, "trivial.add")
    assert Event.objects.get(uid=refusal.event).name == "call.refused"
    again = held_again(holder)
    assert invoke(again, ADD).value == 5
    replayed = invoke(again, Call(2, "trivial.add", {"a": 1, "b": 1})).error
    assert replayed == refused
    assert QuotaRefusal.objects.count() == 1


def test_a_replay_counts_nothing_again(agent: Principal, hold: Hold) -> None:
    calls, cpu = make_quota(9), make_quota(60, metric="cpu_seconds")
    counted = make_quota(9, metric="runs")
    holder = hold(agent)
    invoke(holder, ADD)
    again = held_again(holder)
    invoke(again, ADD)
    invoke(again, Call(2, "trivial.add", {"a": 1, "b": 1}))
    assert (_used(calls), _used(counted), _used(cpu)) == (2, 1, 10)
    _finish(again.run_id, _ending(cpu=2))
    assert _used(cpu) == 2


def test_a_call_of_a_limited_key_is_one_more_statement_whatever_the_number(
    agent: Principal, hold: Hold
) -> None:
    for window in ("hour", "day", "month"):
        make_quota(9, window=window)
        make_quota(9, window=window, tool="trivial.*")
    holder = hold(agent)
    invoke(holder, ADD)
    with CaptureQueriesContext(connection) as queries:
        assert invoke(holder, Call(2, "trivial.add", {"a": 1, "b": 1})).error is None
    # Reservation, intent and outcome; the first two in a transaction, which here is a
    # savepoint and its release.
    assert len(queries) == 5


def test_a_cancelled_run_gives_everything_back(
    agent: Principal, at_once: Quota
) -> None:
    cpu = make_quota(60, metric="cpu_seconds")
    run = _submit(agent)
    with pytest.raises(QuotaExceeded, match="a run has to end first") as caught:
        _submit(agent)
    assert caught.value.details["resets_at"] is None
    assert caught.value.details["retry_after"] == 5
    cancel.cancel(uid=run.uid, actor=ACTOR, at=now())
    assert (_used(at_once), _used(cpu)) == (0, 0)
    _submit(agent)


def test_the_sweeper_gives_back_what_a_dead_run_held(
    agent: Principal, hold: Hold, at_once: Quota
) -> None:
    cpu = make_quota(60, metric="cpu_seconds")
    holder = hold(agent)
    Run.objects.filter(pk=holder.run_id).update(epoch=sweep.MOST_CLAIMS)
    lapse(holder)
    assert sweep.sweep(at=now()).ended == 1
    assert (_used(at_once), _used(cpu)) == (0, 0)
    assert not QuotaHold.objects.exists()


def test_a_run_that_waits_for_a_person_makes_room_and_waits_for_it_again(
    agent: Principal, hold: Hold, at_once: Quota
) -> None:
    cpu = make_quota(60, metric="cpu_seconds")
    tool = Tool.objects.get(name="add")
    catalog.set_approval(tool_id=tool.pk, needed=True, actor=ACTOR, at=now())
    holder = hold(agent)
    with pytest.raises(gate.Suspended):
        invoke(holder, ADD)
    first = Run.objects.get(pk=holder.run_id)
    holds.suspend(
        first, Run.Status.AWAITING_APPROVAL, usage=Usage(cpu_seconds=2), at=now()
    )
    assert (_used(at_once), _used(cpu)) == (0, 10)
    second = _submit(agent)
    bob = make_user("bob", (make_team(), "approver"))
    approval = Approval.objects.get(run=first.uid)
    holds.decide_approval(
        uid=approval.uid, approve=True, reason="ok", actor=actor_of(bob), at=now()
    )
    first.refresh_from_db()
    assert first.status == Run.Status.AWAITING_APPROVAL
    assert _used(at_once) == 1
    cancel.cancel(uid=second.uid, actor=ACTOR, at=now())
    sweep.sweep(at=now())
    first.refresh_from_db()
    assert first.status == Run.Status.QUEUED
    assert _used(at_once) == 1
    again = held_again(holder)
    assert invoke(again, ADD).value == 5
    _finish(again.run_id, _ending(cpu=3))
    assert (_used(at_once), _used(cpu)) == (0, 5)


def test_a_run_whose_quota_was_removed_goes_on(
    agent: Principal, hold: Hold, at_once: Quota
) -> None:
    holder = hold(agent)
    run = Run.objects.get(pk=holder.run_id)
    holds.suspend(run, Run.Status.AWAITING_OUTCOME, usage=Usage(), at=now())
    at_once.removed_at = now()
    at_once.save()
    sweep.sweep(at=now())
    run.refresh_from_db()
    assert run.status == Run.Status.QUEUED
    assert _finish(run.pk)
