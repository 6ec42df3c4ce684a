"""Pages and endpoints of budgets."""

from django.urls import URLPattern, URLResolver, path

from finops.api import budgets as api
from finops.views import budgets

urlpatterns: list[URLPattern | URLResolver] = [
    path("budgets/", budgets.budget_list, name="budgets"),
    path("budgets/add/", budgets.budget_add, name="budget_add"),
    path("budgets/<str:uid>/", budgets.budget, name="budget"),
    path("budgets/<str:uid>/change/", budgets.budget_change, name="budget_change"),
    path("budgets/<str:uid>/pause/", budgets.budget_pause, name="budget_pause"),
    path("budgets/<str:uid>/remove/", budgets.budget_remove, name="budget_remove"),
    path("api/v1/budgets/", api.BudgetList.as_view(), name="api_budgets"),
    path("api/v1/budgets/set/", api.BudgetSet.as_view(), name="api_budget_set"),
    path("api/v1/budgets/<str:uid>/", api.BudgetDetail.as_view(), name="api_budget"),
    path(
        "api/v1/budgets/<str:uid>/change/",
        api.BudgetChange.as_view(),
        name="api_budget_change",
    ),
    path(
        "api/v1/budgets/<str:uid>/remove/",
        api.BudgetRemove.as_view(),
        name="api_budget_remove",
    ),
]
