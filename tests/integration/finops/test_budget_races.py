"""Of many at once no more than the budget get through, whatever covers them."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from core.errors import BudgetExceeded
from finops.budgeting.terms import Cover
from finops.models import Budget, BudgetHold, BudgetUse
from finops.services import budgets
from finops.services.budget_spend import reconcile
from finops.services.metering import Payer, Usage, book
from finops.services.prices import ensure_default_prices
from policy.models import Team
from tests.builders.identity import AT

_AT_ONCE = 16
PAYER = Payer("rush", "C", "p", "dev", "sa:rush/a")


@pytest.fixture
def rush(committed: None) -> Iterator[Callable[[str], Budget]]:
    """Makes committed budgets: of ``team``, ``model`` or ``organization``."""
    group = Group.objects.create(name="team:rush")
    team = Team.objects.create(
        slug="rush", name="Rush", cost_centre="C", group=group, created_at=AT
    )
    scopes: dict[str, dict[str, Any]] = {
        "team": {"team": team},
        "model": {"model": "m"},
        "organization": {},
    }

    def make(level: str, amount: str = "10", name: str = "") -> Budget:
        return Budget.objects.create(
            uid=f"bud_{name or level}",
            name=name or level,
            period="month",
            amount=Decimal(amount),
            expected=Decimal(1),
            hard=True,
            created_at=AT,
            changed_at=AT,
            **scopes[level],
        )

    try:
        yield make
    finally:
        for table in (BudgetHold, BudgetUse, Budget):
            table.objects.all().delete()
        team.delete()
        group.delete()


def _together(act: Callable[[int], None], number: int = 64) -> list[bool]:
    """Who got through, of ``number`` tries by threads with their own connections."""
    barrier = Barrier(_AT_ONCE)

    def one(count: int) -> bool:
        barrier.wait(30)
        try:
            with transaction.atomic():
                act(count)
        except BudgetExceeded:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, range(number)))


def _covers() -> tuple[Cover, ...]:
    return budgets.budgets_of(team="rush")


@pytest.mark.parametrize("tight", ["team", "model", "organization"])
def test_of_64_runs_exactly_10_pass_a_budget_for_10(
    rush: Callable[..., Budget], tight: str
) -> None:
    made = [
        rush(level, "10" if level == tight else "40")
        for level in ("team", "model", "organization")
    ]
    covers = _covers()

    def submit(count: int) -> None:
        budgets.reserve(
            payer=PAYER,
            key="",
            model="m",
            holder=f"run_{count}",
            amount=None,
            at=AT,
            covers=covers,
        )

    assert sum(_together(submit)) == 10
    for budget in made:
        assert BudgetUse.objects.get(budget=budget).held == 10
    holders = set(BudgetHold.objects.values_list("holder", flat=True))
    assert len(holders) == 10

    def end(count: int) -> None:
        for _ in range(2):
            budgets.settle(holder=f"run_{count}", cost=Decimal("0.25"), at=AT)

    assert all(_together(end))
    for budget in made:
        use = BudgetUse.objects.get(budget=budget)
        assert (use.spent, use.held) == (Decimal("2.5"), Decimal(0))
    assert not BudgetHold.objects.exists()
    # What was given back lets others through: 7 whole ones and no more.
    assert sum(_together(lambda count: submit(100 + count))) == 7


def test_random_acts_under_load_never_wait_in_a_circle_and_add_up(
    rush: Callable[..., Budget],
) -> None:
    made = [rush("team", "30"), rush("model", "50"), rush("organization", "40")]
    covers = _covers()

    def act(count: int) -> None:
        chance = random.Random(count)
        holder = f"run_{count % 48}"
        if count % 3 == 0:
            budgets.reserve(
                payer=PAYER,
                key="",
                model=chance.choice(["m", ""]),
                holder=holder,
                amount=Decimal(chance.randint(1, 3)),
                at=AT,
                covers=covers,
            )
        elif count % 3 == 1:
            budgets.extend(holder=holder, needed=Decimal(4), covers=covers, at=AT)
        else:
            budgets.settle(holder=holder, cost=Decimal("0.125"), at=AT)

    # A deadlock is an error of the database, which is no BudgetExceeded.
    _together(act, 384)
    for budget in made:
        use = BudgetUse.objects.get(budget=budget)
        holds = BudgetHold.objects.filter(budget=budget)
        assert use.held == sum(hold.amount for hold in holds)
        # No hold was ever given beyond what the budget had left.
        assert use.held <= budget.amount


def test_spend_agrees_with_the_ledger_while_runs_settle_and_others_only_book(
    rush: Callable[..., Budget],
) -> None:
    ensure_default_prices(at=AT)
    budget = rush("team", "1000")
    cover = budget.as_cover()
    window = cover.calendar.at(AT)
    assert window is not None

    def act(count: int) -> None:
        if count % 8 == 7:
            reconcile(cover=cover, window=window, at=AT)
            return
        booked = book(
            payer=PAYER,
            usages=[
                Usage(
                    f"u{count}",
                    "sandbox_cpu",
                    "sandbox/cpu",
                    "Seconds",
                    Decimal(count + 1),
                    "measured",
                )
            ],
            at=AT,
        )
        # Every third is booked by something that knows of no budget.
        if count % 3:
            budgets.charge([(PAYER, "", booked.cost, AT)])

    assert all(_together(act, 128))
    reconcile(cover=cover, window=window, at=AT)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(cost) FROM finops_usageevent WHERE team = 'rush'")
        (ledger,) = cursor.fetchone()
    assert ledger > 0
    assert BudgetUse.objects.get(budget=budget).spent == ledger
