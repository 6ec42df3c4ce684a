"""What is held and spent of budgets, and what is refused with which figures."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from audit.models import Event
from core.errors import BudgetExceeded, NotFound
from finops.models import Budget, BudgetHold, BudgetUse, BudgetVersion
from finops.services import budgets
from finops.services.budget_alerts import watch_all
from finops.services.budget_changes import (
    Terms,
    change_budget,
    remove_budget,
    terms_of,
)
from finops.services.budget_spend import reconcile_all
from finops.services.metering import Payer, Usage, book
from finops.services.prices import ensure_default_prices
from policy.models import Project
from tests.builders.budgets import make_budget
from tests.builders.identity import ACTOR, AT, make_account, make_key, make_team

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def _payer(team: str = "sales", run: str = "", **more: str) -> Payer:
    values = {"project": "default", "key": "", **more}
    return Payer(
        team=team,
        cost_centre="CC-1",
        environment="dev",
        principal=f"sa:{team}/agent",
        run=run,
        **values,
    )


def _reserve(holder: str, amount: str | None, **more: Any) -> None:
    values: dict[str, Any] = {
        "payer": _payer(run=holder),
        "key": "",
        "model": "",
        "at": AT,
        **more,
    }
    with transaction.atomic():
        budgets.reserve(
            holder=holder, amount=None if amount is None else Decimal(amount), **values
        )


def _use(budget: Budget) -> tuple[Any, Any]:
    return _figures(BudgetUse.objects.get(budget=budget))


def _figures(use: BudgetUse) -> tuple[Any, Any]:
    return use.spent, use.held


def _book(uid: str, seconds: int, at: datetime = AT, **more: str) -> Decimal:
    """Sandbox seconds in the ledger; their cost."""
    booked = book(
        payer=_payer(**more),
        usages=[
            Usage(
                uid,
                "sandbox_cpu",
                "sandbox/cpu",
                "Seconds",
                Decimal(seconds),
                "measured",
            )
        ],
        at=at,
    )
    return booked.cost


def test_a_hard_budget_refuses_with_its_figures() -> None:
    budget = make_budget("10", name="Sales", team=make_team())
    _reserve("run_1", "6")
    budgets.settle(holder="run_1", cost=Decimal("5.5"), at=AT)
    _reserve("run_2", "3")
    with pytest.raises(BudgetExceeded) as caught:
        _reserve("run_3", "2.25")
    assert caught.value.details == {
        "budget": budget.pk,
        "name": "Sales",
        "scope": "team sales",
        "amount": "10",
        "limit": "10",
        "spent": "5.5",
        "held": "3",
        "left": "1.5",
        "asked": "2.25",
        "currency": "USD",
        "window_start": "2026-11-01T00:00:00+00:00",
        "window_end": "2026-12-01T00:00:00+00:00",
    }
    assert "1.50 left; this run needs 2.25" in caught.value.message
    assert _use(budget) == (Decimal("5.5"), Decimal(3))
    _reserve("run_4", "1.5")


def test_settling_twice_changes_nothing_and_what_costs_more_counts_too() -> None:
    budget = make_budget("10")
    _reserve("run_1", "2")
    for _ in range(2):
        budgets.settle(holder="run_1", cost=Decimal(11), at=AT)
    assert _use(budget) == (Decimal(11), Decimal(0))
    with pytest.raises(BudgetExceeded) as caught:
        _reserve("run_2", "0")
    # Nothing is for nothing: else any number of runs would fit.
    assert caught.value.details["asked"] == "0.000001"
    assert caught.value.details["left"] == "0"


def test_overlapping_budgets_must_all_allow() -> None:
    account = make_account()
    key = make_key(account).key
    project = Project.objects.get(team=account.team, slug="default")
    wide = make_budget("100")
    tight = make_budget("5", key=key)
    others = [
        make_budget("50", team=account.team),
        make_budget("50", project=project),
        make_budget("50", model="qwen3"),
        make_budget("1", team=account.team, model="other"),
        make_budget("1", team=make_team("support")),
    ]
    asked: dict[str, Any] = {"key": key.prefix, "model": "qwen3"}
    _reserve("run_1", "4", **asked)
    held = BudgetHold.objects.filter(holder="run_1")
    assert set(held.values_list("budget", flat=True)) == {
        wide.pk,
        tight.pk,
        *(one.pk for one in others[:3]),
    }
    with pytest.raises(BudgetExceeded) as caught:
        _reserve("run_2", "2", **asked)
    assert caught.value.details["budget"] == tight.pk
    assert _use(wide) == (Decimal(0), Decimal(4))
    # Another key of the same team is bound by the others alone.
    _reserve("run_3", "2", key="tg_other000", model="")
    assert _use(wide)[1] == 6


def test_a_soft_budget_counts_and_never_refuses() -> None:
    budget = make_budget("1", hard=False, thresholds=(50, 80))
    _reserve("run_1", "5")
    _reserve("run_2", "5")
    assert _use(budget) == (Decimal(0), Decimal(10))


@pytest.mark.parametrize(
    "grace", [{"grace_amount": Decimal(2)}, {"grace_percent": Decimal(20)}]
)
def test_a_grace_holds_until_its_day(grace: dict[str, Any]) -> None:
    make_budget("10", **grace, grace_until=AT + HOUR)
    _reserve("run_1", "11")
    with pytest.raises(BudgetExceeded) as caught:
        _reserve("run_2", "1.5")
    assert caught.value.details["limit"] == "12"
    with pytest.raises(BudgetExceeded) as caught:
        _reserve("run_2", "1", at=AT + HOUR)
    assert caught.value.details["limit"] == "10"


def test_a_changed_amount_holds_at_once_and_is_a_version() -> None:
    budget = make_budget("10", hard=True)
    _reserve("run_1", "9")

    def change(amount: str) -> None:
        terms = terms_of(Budget.objects.get())
        change_budget(
            uid=budget.uid,
            terms=Terms(name=terms.name, amount=Decimal(amount), hard=True),
            reason=f"now {amount}",
            actor=ACTOR,
            at=AT,
        )

    change("20")
    _reserve("run_2", "9")
    change("5")
    with pytest.raises(BudgetExceeded) as caught:
        _reserve("run_3", "1")
    assert caught.value.details["left"] == "0"
    versions = BudgetVersion.objects.order_by("number")
    assert [(one.number, int(one.amount), one.reason) for one in versions] == [
        (1, 10, "a test"),
        (2, 20, "now 20"),
        (3, 5, "now 5"),
    ]
    events = Event.objects.filter(name="budget.set").order_by("pk")
    assert [json.loads(one.body)["payload"]["amount"] for one in events] == [
        "10.00 USD",
        "20.00 USD",
        "5.00 USD",
    ]


def test_a_removed_budget_asks_for_nothing_and_stays_on_record() -> None:
    budget = make_budget("1", name="Gone")
    _reserve("run_1", "1")
    remove_budget(uid=budget.uid, reason="not needed", actor=ACTOR, at=AT)
    _reserve("run_2", "5")
    # A run that holds of it gives back as ever.
    budgets.settle(holder="run_1", cost=Decimal("0.5"), at=AT)
    assert _use(budget) == (Decimal("0.5"), Decimal(0))
    with pytest.raises(NotFound):
        remove_budget(uid=budget.uid, reason="again", actor=ACTOR, at=AT)
    make_budget("2", name="Gone")


def test_a_run_over_the_end_of_a_window_pays_in_the_next() -> None:
    month = make_budget("10")
    fortnight = make_budget("10", first_day=date(2026, 11, 20), every_days=14)
    ends = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    _reserve("run_1", "4", at=ends)
    budgets.settle(holder="run_1", cost=Decimal(3), at=ends + HOUR)
    november, december = BudgetUse.objects.filter(budget=month).order_by("window_start")
    assert _figures(november) == (0, 0)
    assert _figures(december) == (3, 0)
    use = BudgetUse.objects.get(budget=fortnight, window_end__gt=ends)
    assert _figures(use) == (3, 0)
    assert not BudgetHold.objects.exists()


@pytest.mark.parametrize(
    ("zone", "ends"),
    [
        ("Pacific/Auckland", "2026-11-30T11:00:00+00:00"),
        ("Asia/Kathmandu", "2026-11-30T18:15:00+00:00"),
        # The clocks changed within these months: forth in March, back in November.
        ("America/New_York", "2026-12-01T05:00:00+00:00"),
        ("America/New_York", "2026-04-01T04:00:00+00:00"),
        ("Pacific/Auckland", "2028-02-29T11:00:00+00:00"),
    ],
)
def test_the_window_is_the_zones_month(
    settings: Settings, zone: str, ends: str
) -> None:
    settings.REPORT_TIME_ZONE = zone
    end = datetime.fromisoformat(ends)
    budget = make_budget("10", at=end - HOUR)
    before = end - timedelta(microseconds=1)
    ensure_default_prices(at=AT - 1000 * 24 * HOUR)
    booked = _book("late", 3600, at=before)
    _book("next", 3600, at=end)
    _reserve("run_1", "9", at=before)
    with pytest.raises(BudgetExceeded) as caught:
        _reserve("run_2", "9", at=before)
    assert caught.value.details["window_end"] == ends
    _reserve("run_3", "9", at=end)
    # The ledger's sum ends where the reservations' window does.
    assert reconcile_all(at=end + HOUR)
    uses = BudgetUse.objects.filter(budget=budget).order_by("window_start")
    assert [_figures(use) for use in uses] == [(booked, 9), (booked, 9)]


def test_a_paused_budget_counts_on_and_refuses_nothing() -> None:
    budget = make_budget("10", thresholds=(50,))
    _reserve("run_1", "9")

    def pause(*, paused: bool) -> None:
        terms = replace(terms_of(budget), paused=paused)
        change_budget(uid=budget.uid, terms=terms, reason="r", actor=ACTOR, at=AT)
        budget.refresh_from_db()
        BudgetUse.objects.update(spent=Decimal(6))

    pause(paused=True)
    _reserve("run_2", "9")
    covers = (budget.as_cover(),)
    budgets.extend(holder="run_1", needed=Decimal(15), covers=covers, at=AT)
    assert watch_all(at=AT) == 0
    pause(paused=False)
    with pytest.raises(BudgetExceeded) as caught:
        _reserve("run_3", "1")
    assert caught.value.details["spent"] == "6"
    assert caught.value.details["held"] == "27"
    assert watch_all(at=AT)
    rows = BudgetVersion.objects.order_by("number").values_list("terms", flat=True)
    assert [terms["paused"] for terms in rows] == [False, True, False]


def test_a_hold_grows_for_a_call_or_changes_nothing() -> None:
    budget = make_budget("10")
    covers = budgets.current_budgets()
    _reserve("run_1", "2")
    budgets.extend(holder="run_1", needed=Decimal(3), covers=covers, at=AT)
    # By as much again as it held, so that not every call asks.
    assert budgets.held_by("run_1") == 4
    _reserve("run_2", "5")
    budgets.extend(holder="run_1", needed=Decimal(5), covers=covers, at=AT)
    assert budgets.held_by("run_1") == 5
    with pytest.raises(BudgetExceeded) as caught:
        budgets.extend(holder="run_1", needed=Decimal("5.5"), covers=covers, at=AT)
    assert caught.value.details["asked"] == "0.5"
    assert "this call needs 0.50" in caught.value.message
    assert _use(budget) == (Decimal(0), Decimal(10))
    budgets.settle(holder="run_1", cost=Decimal(1), at=AT)
    assert _use(budget) == (Decimal(1), Decimal(5))


def test_what_requests_hold_is_given_back_when_nobody_can_be_serving_them() -> None:
    budget = make_budget("10")
    _reserve("req_1", "4", payer=_payer())
    _reserve("run_1", "4")
    assert budgets.release_expired(at=AT + HOUR - timedelta(seconds=1)) == 0
    assert budgets.release_expired(at=AT + HOUR) == 1
    assert _use(budget) == (Decimal(0), Decimal(4))


def test_spend_is_what_the_ledger_says() -> None:
    ensure_default_prices(at=AT)
    sales = make_team()
    cost = _book("before", 1000)
    late = _book("october", 1000, at=AT - timedelta(days=3))
    assert cost > 0
    budget, other = make_budget("10", team=sales), make_budget("10")
    assert _use(budget) == (cost, Decimal(0))
    # Booked and not counted, of a key, and of another team.
    more = _book("more", 500)
    _book("theirs", 500, team="support")
    charged = _book("charged", 200)
    budgets.charge([(_payer(), "", charged, AT)])
    assert _use(budget)[0] == cost + charged
    assert reconcile_all(at=AT + HOUR) == 2
    assert _use(budget)[0] == cost + more + charged
    assert _use(other)[0] == cost + 2 * more + charged
    assert BudgetUse.objects.get(budget=budget).corrections == 2
    assert reconcile_all(at=AT + 2 * HOUR) == 0
    assert late not in _use(budget)


def test_a_keys_spend_is_that_of_its_rows() -> None:
    ensure_default_prices(at=AT)
    key = make_key(make_account()).key
    cost = _book("with", 100, key=key.prefix)
    _book("without", 100)
    assert _use(make_budget("10", key=key))[0] == cost


def test_what_a_run_is_expected_to_cost_is_never_nothing() -> None:
    empty = make_budget("0")
    assert Budget.objects.get(pk=empty.pk).expected == Decimal("0.000001")
    budget = make_budget("10", name="Ten")
    assert Budget.objects.get(pk=budget.pk).expected == Decimal("0.1")
    with pytest.raises(BudgetExceeded) as caught:
        _reserve("run_1", None)
    assert caught.value.details["budget"] == empty.pk
    with pytest.raises(IntegrityError), transaction.atomic():
        Budget.objects.update(expected=0)


def test_nothing_is_asked_where_no_budget_covers() -> None:
    make_budget("10", team=make_team("support"))
    covers = budgets.budgets_of(team="sales")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        budgets.reserve(
            payer=_payer(),
            key="",
            model="",
            holder="run_1",
            amount=None,
            at=AT,
            covers=covers,
        )
    assert len(queries) == 0
    budgets.current_budgets()
    with CaptureQueriesContext(connection) as queries:
        budgets.reserve(
            payer=_payer("support"),
            key="",
            model="",
            holder="req_1",
            amount=Decimal(1),
            at=AT,
        )
    assert len(queries) == 2
