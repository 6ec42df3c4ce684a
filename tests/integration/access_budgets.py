"""The lines of budgets in the access table."""

from tests.integration.access_row import row

_WHY = {"reason": "r"}
_TERMS = {"name": "B", "amount": "5", "reason": "r"}
_BUDGET = {**_TERMS, "period": "month"}
BUDGETS = (
    row("GET", "budgets", "S++++++"),
    row("GET", "budget_add", "S3333++"),
    row("POST", "budget_add", "S3333++", body=_BUDGET),
    row("GET", "budget", "S4+++++", uid="@budget"),
    row("GET", "budget_change", "S3333++", uid="@budget"),
    row("POST", "budget_change", "S3333++", uid="@budget", body=_TERMS),
    row("GET", "budget_pause", "S3333++", uid="@budget"),
    row("POST", "budget_pause", "S3333++", uid="@budget", body=_WHY),
    row("GET", "budget_remove", "S3333++", uid="@budget"),
    row("POST", "budget_remove", "S3333++", uid="@budget", body=_WHY),
    row("GET", "api_budgets", "S++++++"),
    row("GET", "api_budget", "S4+++++", uid="@budget"),
    row("POST", "api_budget_set", "S3333++", body=_TERMS, json=True),
    row("POST", "api_budget_change", "S3333++", uid="@budget", body=_TERMS, json=True),
    row("POST", "api_budget_remove", "S3333++", uid="@budget", body=_WHY, json=True),
)
