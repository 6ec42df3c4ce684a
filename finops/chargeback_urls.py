"""Pages of chargeback."""

from django.urls import URLPattern, path

from finops.api import statements as api
from finops.views import allocation, chargeback, cost_centres, disputes, statements

_MONTH = "chargeback/<slug:month>/"
_STATEMENT = "chargeback/statements/<slug:uid>/"
_DISPUTE = "chargeback/disputes/<slug:uid>/"

urlpatterns: list[URLPattern] = [
    path("chargeback/", chargeback.chargeback, name="chargeback"),
    path("chargeback/build/", chargeback.billing_open, name="billing_open"),
    path("chargeback/centres/", cost_centres.centre_list, name="cost_centres"),
    path("chargeback/centres/set/", cost_centres.centre_set, name="cost_centre_set"),
    path("chargeback/rules/", allocation.rule_list, name="allocation_rules"),
    path("chargeback/rules/add/", allocation.rule_add, name="allocation_add"),
    path("chargeback/rules/<slug:slug>/", allocation.rule, name="allocation_rule"),
    path(
        "chargeback/rules/<slug:slug>/change/",
        allocation.rule_change,
        name="allocation_change",
    ),
    path("chargeback/adjustments/", cost_centres.adjustment_list, name="adjustments"),
    path(
        "chargeback/adjustments/add/",
        cost_centres.adjustment_add,
        name="adjustment_add",
    ),
    path(
        "chargeback/adjustments/<slug:uid>/withdraw/",
        cost_centres.adjustment_withdraw,
        name="adjustment_withdraw",
    ),
    path("chargeback/disputes/", disputes.dispute_list, name="disputes"),
    path(_DISPUTE, disputes.dispute, name="dispute"),
    path(f"{_DISPUTE}comment/", disputes.dispute_comment, name="dispute_comment"),
    path(f"{_DISPUTE}resolve/", disputes.dispute_resolve, name="dispute_resolve"),
    path(f"{_DISPUTE}withdraw/", disputes.dispute_withdraw, name="dispute_withdraw"),
    path(_STATEMENT, statements.statement, name="statement"),
    path(f"{_STATEMENT}accept/", statements.statement_accept, name="statement_accept"),
    path(
        f"{_STATEMENT}lines/<slug:key>/",
        statements.statement_line,
        name="statement_line",
    ),
    path(_MONTH, chargeback.billing_month, name="billing_month"),
    path(f"{_MONTH}act/", chargeback.billing_act, name="billing_act"),
    path("api/v1/chargeback/", api.BillingMonths.as_view(), name="api_billing_months"),
    path(
        "api/v1/chargeback/statements/<slug:uid>/",
        api.StatementDetail.as_view(),
        name="api_statement",
    ),
    path(
        "api/v1/chargeback/<slug:month>/",
        api.BillingMonth.as_view(),
        name="api_billing_month",
    ),
]
