"""Terms of budgets that make no sense, and what a run is expected to cost."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.errors import Invalid
from finops.models import Budget
from finops.services.budget_changes import (
    Scope,
    Terms,
    set_budget,
)
from finops.services.budget_spend import expect
from tests.builders.budgets import make_budget
from tests.builders.finops import make_fact
from tests.builders.identity import ACTOR, AT, make_team

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"name": " "}, "name of up to 100"),
        ({"amount": Decimal(-1)}, "from 0 to"),
        ({"amount": Decimal("NaN")}, "from 0 to"),
        ({"last_day": date(2026, 1, 1)}, "first day"),
        ({"first_day": date(2026, 1, 2), "last_day": date(2026, 1, 1)}, "swap"),
        ({"first_day": date(2026, 1, 2)}, "last day"),
        ({"first_day": date(2026, 1, 2), "every_days": 0}, "every 1 to"),
        ({"thresholds": (0,)}, "Thresholds"),
        ({"reserve": Decimal(0)}, "reservation of a run"),
        ({"grace_amount": Decimal(1)}, "hard stop"),
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        set_budget(
            scope=Scope(),
            terms=Terms(**{"name": "B", "amount": Decimal(1), **terms}),
            reason="a test",
            actor=ACTOR,
            at=AT,
        )
    assert not Budget.objects.exists()


def test_expected_is_the_95th_of_recent_runs_of_the_scope() -> None:
    budget = make_budget("10", team=make_team())
    for number in range(1, 101):
        make_fact(team="sales", cost=str(number), ended_at=AT)
        make_fact(team="support", cost="1000", ended_at=AT)
    cover = budget.as_cover()
    assert expect(cover=cover, at=AT + timedelta(hours=1)) == Decimal("95.05")
    assert Budget.objects.get().expected == Decimal("95.05")
    # A month later these runs say nothing any more.
    assert expect(cover=cover, at=AT + timedelta(days=31)) == Decimal("0.1")
