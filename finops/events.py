"""Audit events of prices and cost exports."""

from audit.registry import kind

PRICE_SET = kind("price.set", "{actor} set the price of {target} to {amount}: {reason}")
COSTS_EXPORTED = kind(
    "costs.exported",
    "{actor} exported costs: {filters}",
    "form",
    "by",
    "period",
    "rows",
)
