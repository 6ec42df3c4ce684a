"""The lines of chargeback in the access table."""

from typing import Any

from tests.integration.access_row import row

_WHY = {"reason": "r"}
_NAMED = {"name": "A", "slug": "a"}
_LINE: dict[str, Any] = {"uid": "@statement", "key": "@line"}
_REJECT = {"outcome": "rejected", "reason": "r"}
_CREDIT = {"month": "2026-10", "centre": "CC-100", "kind": "credit"}
_CREDIT |= {"amount": "-1", "reason": "r"}
_SPLIT = {"slug": "s", "name": "S", "position": "1", "source": "usage", "team": "sales"}
_SPLIT |= {"method": "even", "valid_from": "2026-12", "active": "on", "reason": "r"}
CHARGEBACK = (
    row("GET", "chargeback", "S++++++"),
    row("POST", "billing_open", "S3333++"),
    row("GET", "billing_month", "S++++++", month="2026-10"),
    row("POST", "billing_act", "S3333++", month="2026-10", body={"act": "close"}),
    row("GET", "statement", "S4+++++", uid="@statement"),
    row("POST", "statement_accept", "S4++33+", uid="@statement"),
    row("GET", "statement_line", "S4+++++", **_LINE),
    row("POST", "statement_line", "S4++33+", body=_WHY, **_LINE),
    row("GET", "disputes", "S++++++"),
    row("GET", "dispute", "S4+++++", uid="@dispute"),
    row("POST", "dispute_comment", "S4++3++", uid="@dispute", body={"text": "t"}),
    row("POST", "dispute_resolve", "S3333++", uid="@dispute", body=_REJECT),
    row("POST", "dispute_withdraw", "S4++33+", uid="@dispute", body=_WHY),
    row("GET", "adjustments", "S++++++"),
    row("GET", "adjustment_add", "S3333++"),
    row("POST", "adjustment_add", "S3333++", body=_CREDIT),
    row("POST", "adjustment_withdraw", "S3333++", uid="@adjustment", body=_WHY),
    row("GET", "cost_centres", "S++++++"),
    row("GET", "cost_centre_set", "S3333++"),
    row("POST", "cost_centre_set", "S3333++", body={**_NAMED, **_WHY}),
    row("GET", "allocation_rules", "S++++++"),
    row("GET", "allocation_add", "S3333++"),
    row("POST", "allocation_add", "S3333++", body=_SPLIT),
    row("GET", "allocation_rule", "S++++++", slug="platform-team"),
    row("GET", "allocation_change", "S3333++", slug="platform-team"),
    row("POST", "allocation_change", "S3333++", slug="platform-team", body=_SPLIT),
    row("GET", "api_billing_months", "S++++++"),
    row("GET", "api_billing_month", "S++++++", month="2026-10"),
    row("GET", "api_statement", "S4+++++", uid="@statement"),
    row("GET", "statement_file", "S4+++++", uid="@statement", form="csv"),
    row("GET", "api_statement_file", "S4+++++", uid="@statement", form="json"),
)  # fmt: skip
