"""The demo's budgets: one needs a look on any day of a month, and is set once."""

from datetime import timedelta

import pytest

from audit.actor import SYSTEM
from core.clock import now
from deploy.demo import finances
from finops.models import Budget, BudgetAlert
from tests.builders.finops import make_usage
from tests.builders.identity import make_team

pytestmark = pytest.mark.django_db


def test_a_budget_is_past_its_threshold_whatever_the_day() -> None:
    make_team("growth")
    at = now()
    for days in range(20):
        make_usage(cost="1.7", at=at - timedelta(days=days), team="growth")
    for _ in range(2):
        finances._budgets(at, SYSTEM)
    assert Budget.objects.count() == 2
    told = BudgetAlert.objects.filter(kind="threshold", budget__name="Growth")
    assert sorted(told.values_list("about", flat=True)) == ["50", "80"]


def test_an_empty_month_refuses_nothing() -> None:
    make_team("growth")
    make_usage(cost="30", at=now() - timedelta(days=5), team="growth")
    finances._budgets(now(), SYSTEM)
    company = Budget.objects.get(name="Whole company")
    assert company.hard
    assert company.amount == 100
