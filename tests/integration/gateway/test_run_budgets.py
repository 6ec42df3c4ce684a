"""What runs and their calls take of budgets, and what is refused before it starts."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from core.clock import now
from core.errors import BudgetExceeded
from finops.models import Budget, BudgetRefusal, BudgetUse
from finops.services.budget_spend import reconcile_all
from finops.services.prices import ensure_default_prices, set_price
from gateway.models import Run, ToolCall
from gateway.sandbox.api import Call, Usage
from gateway.services import cancel, finish, holds, runs
from gateway.services.allowance import Allowance
from gateway.services.holder import Holder
from gateway.services.invoke import invoke
from policy.models import Team
from policy.principal import Principal
from tests.builders.budgets import make_budget
from tests.builders.identity import ACTOR, make_team
from tests.integration.gateway.conftest import Hold, held_again

pytestmark = pytest.mark.django_db
CENT = Decimal("0.01")


@pytest.fixture(autouse=True)
def _prices(db: None) -> None:
    ensure_default_prices(at=now())


def _price(amount: str) -> None:
    set_price(
        sku="tool/trivial.add",
        unit="Requests",
        amount=Decimal(amount),
        valid_from=now(),
        reason="a test",
        actor=ACTOR,
        at=now(),
    )


def _submit(agent: Principal) -> Run:
    return runs.submit(principal=agent, code="return 1", at=now())


def _finish(run: str, *, seconds: float = 0.25) -> Run:
    ending = finish.Ending("succeeded", 1, "", False, None, Usage(cpu_seconds=seconds))
    assert finish.finish(
        run=Run.objects.get(uid=run), ending=ending, definition_tokens=0, at=now()
    )
    return Run.objects.get(uid=run)


def _spending(holder: Holder) -> Holder:
    """The same holder with what its run holds of its budgets, as a worker has it."""
    calls = ToolCall.objects.filter(run_id=holder.run_id)
    covers = holder.usable.budgets
    allowance = Allowance.of(holder.run, calls, covers=covers, at=now())
    return replace(holder, allowance=allowance)


def _add(step: int) -> Call:
    return Call(step, "trivial.add", {"a": 2, "b": 3})


def _use(budget: Budget) -> tuple[Any, Any]:
    use = BudgetUse.objects.get(budget=budget)
    return use.spent, use.held


def test_a_run_holds_what_it_may_cost_and_is_settled_with_what_it_did(
    agent: Principal, hold: Hold
) -> None:
    team = Team.objects.get(pk=agent.team_id)
    budget = make_budget("10", team=team, reserve=Decimal(2), at=now())
    holder = hold(agent)
    assert _use(budget) == (0, 2)
    run = _finish(holder.run)
    assert run.cost
    assert _use(budget) == (run.cost, 0)
    assert reconcile_all(at=now()) == 0


def test_a_run_that_would_pass_a_hard_budget_is_refused_before_it_starts(
    agent: Principal,
) -> None:
    budget = make_budget("3", name="Ops", reserve=Decimal(2), at=now())
    first = _submit(agent)
    with pytest.raises(BudgetExceeded) as caught:
        _submit(agent)
    assert list(Run.objects.all()) == [first]
    told = caught.value.details
    assert (told["spent"], told["held"], told["asked"], told["left"]) == (
        "0",
        "2",
        "2",
        "1",
    )
    event = Event.objects.get(name="run.refused")
    assert event.decision == "deny"
    assert json.loads(event.body)["payload"]["code"] == "budget_exceeded"
    assert json.loads(event.body)["payload"]["details"] == told
    refusal = BudgetRefusal.objects.get()
    assert refusal.budget == budget
    assert [refusal.asked, refusal.left] == [Decimal(2), Decimal(1)]
    assert (refusal.event, refusal.principal) == (event.uid, agent.label)
    # Once the first has ended there is room again.
    _finish(first.uid)
    _submit(agent)


def _statements(act: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as found:
        act()
    return len(found)


def test_no_budget_costs_no_statement_and_one_costs_one(agent: Principal) -> None:
    def submit() -> int:
        _submit(agent)  # After a change caches are filled anew.
        return _statements(lambda: _submit(agent))

    def end() -> int:
        run = Run.objects.filter(status="queued").latest("pk").uid
        return _statements(lambda: _finish(run))

    assert submit()
    assert end()
    submitted, ended = submit(), end()
    make_budget("3", team=make_team("support"), at=now())
    assert (submit(), end()) == (submitted, ended)
    make_budget("10", reserve=CENT, at=now())
    make_budget("10", team=make_team(agent.team), reserve=CENT, at=now())
    assert (submit(), end()) == (submitted + 1, ended + 1)


def test_a_call_that_no_longer_fits_is_refused_before_it_is_sent(
    agent: Principal, hold: Hold
) -> None:
    _price("0.4")
    budget = make_budget("1", name="Tools", reserve=Decimal("0.5"), at=now())
    holder = _spending(hold(agent))
    assert invoke(holder, _add(1)).value == 5
    # The second goes beyond the hold, which grows by as much as is left.
    assert invoke(holder, _add(2)).value == 5
    assert _use(budget) == (0, 1)
    reply = invoke(holder, _add(3))
    assert reply.error is not None
    assert reply.error.code == "budget_exceeded"
    assert not reply.error.retryable
    assert reply.error.details["asked"] == "0.2"
    assert reply.error.details["left"] == "0"
    refused = ToolCall.objects.get(step=3)
    assert (refused.decision, refused.outcome) == ("deny", "denied")
    event = Event.objects.get(name="call.refused")
    assert json.loads(event.body)["payload"]["code"] == "budget_exceeded"
    assert BudgetRefusal.objects.get().tool == "trivial.add"
    run = _finish(holder.run)
    assert run.cost is not None
    assert Decimal("0.8") < run.cost < Decimal("0.81")
    assert _use(budget) == (run.cost, 0)


def test_calls_within_the_hold_ask_nothing(agent: Principal, hold: Hold) -> None:
    plain = hold(agent)
    invoke(plain, _add(1))
    with CaptureQueriesContext(connection) as without:
        invoke(plain, _add(2))
    make_budget("1", reserve=Decimal("0.5"), at=now())
    holder = _spending(hold(agent))
    invoke(holder, _add(1))
    with CaptureQueriesContext(connection) as within:
        invoke(holder, _add(2))
    assert len(within) == len(without)


def test_a_replayed_run_remembers_what_its_calls_cost(
    agent: Principal, hold: Hold
) -> None:
    _price("0.4")
    make_budget("0.9", reserve=Decimal("0.9"), at=now())
    holder = _spending(hold(agent))
    for step in (1, 2):
        assert invoke(holder, _add(step)).error is None
    again = _spending(held_again(holder))
    for step in (1, 2):
        assert invoke(again, _add(step)).value == 5
    reply = invoke(again, _add(3))
    assert reply.error is not None
    assert reply.error.code == "budget_exceeded"


def test_a_run_that_waits_has_spent_what_it_used_and_keeps_its_hold(
    agent: Principal, hold: Hold
) -> None:
    budget = make_budget("10", reserve=Decimal(1), at=now())
    run = Run.objects.get(uid=hold(agent).run)
    usage = Usage(cpu_seconds=100)
    assert holds.suspend(run, "awaiting_outcome", usage=usage, at=now())
    run.refresh_from_db()
    assert run.cost
    assert _use(budget) == (run.cost, 1)
    cancel.cancel(uid=run.uid, actor=ACTOR, at=now())
    run.refresh_from_db()
    assert _use(budget) == (run.cost, 0)
    assert reconcile_all(at=now()) == 0
