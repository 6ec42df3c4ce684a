"""Audit events of prices and cost exports."""

from audit.registry import kind
from finops.chargeback import events as chargeback  # noqa: F401 - registers them

PRICE_SET = kind("price.set", "{actor} set the price of {target} to {amount}: {reason}")
PRICE_ENDED = kind(
    "price.ended", "{actor} ended the price of {target} with {last}: {reason}"
)
PRICES_BROUGHT_IN = kind(
    "prices.brought_in",
    "{actor} brought {prices} prices from {source} into the book: {reason}",
    "ended",
    "digest",
)
USAGE_RERATED = kind(
    "usage.rerated",
    "{actor} priced {rows} quantities anew ({change}): {reason}",
    "before",
    "after",
    "start",
    "end",
)
EXCHANGE_RATE_SET = kind(
    "exchange_rate.set",
    "{actor} set the rate of {target} in {month} to {worth}: {reason}",
)
EXCHANGE_RATES_EXPORTED = kind(
    "exchange_rates.exported", "{actor} exported {rows} exchange rates"
)
PLATFORM_COSTS_EXPORTED = kind(
    "platform_costs.exported", "{actor} exported {rows} platform costs of {month}"
)
PRICES_EXPORTED = kind("prices.exported", "{actor} exported {rows} prices of the book")
COSTS_EXPORTED = kind(
    "costs.exported",
    "{actor} exported costs: {filters}",
    "form",
    "by",
    "period",
    "rows",
)
USAGE_REPORTED = kind(
    "usage.reported",
    "{actor} reported {answers} answers of models ({source})",
    "duplicates",
    "refused",
    "cost",
    "unrated",
    "models",
)
BUDGET_SET = kind(
    "budget.set",
    "{actor} set the budget {target} to {amount} ({scope}): {reason}",
    "version",
)
BUDGET_REMOVED = kind(
    "budget.removed",
    "{actor} removed the budget {target}: {reason}",
    "amount",
    "scope",
    "version",
)
TASK_OUTCOME_STATED = kind(
    "task.outcome_stated", "{actor} stated that task {target} {outcome}", "before"
)
