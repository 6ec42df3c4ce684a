"""Budgets for tests, made by the real service."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from finops.models import Budget
from finops.services.budget_changes import Scope, Terms, set_budget
from policy.models import ApiKey, Project, Team
from tests.builders.identity import ACTOR, AT


def make_budget(
    amount: str,
    *,
    name: str = "",
    team: Team | None = None,
    project: Project | None = None,
    key: ApiKey | None = None,
    model: str = "",
    hard: bool = True,
    at: datetime = AT,
    **terms: Any,
) -> Budget:
    """A budget with a hard stop; of the whole organization unless a scope is given."""
    return set_budget(
        scope=Scope(team=team, project=project, key=key, model=model),
        terms=Terms(
            name=name or f"Budget {Budget.objects.count() + 1}",
            amount=Decimal(amount),
            hard=hard,
            **terms,
        ),
        reason="a test",
        actor=ACTOR,
        at=at,
    )
