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
RERATING_EXPORTED = kind(
    "rerating.exported", "{actor} exported {rows} SKUs of the re-rating {target}"
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
USAGE_UNRATED = kind(
    "usage.unrated",
    "{count} kinds of usage have no price, and are in no cost",
    "skus",
    "messages",
)
BUDGET_SET = kind(
    "budget.set",
    "{actor} set the budget {target} to {amount} ({scope}): {reason}",
    "version",
)
BUDGET_ALERTED = kind(
    "budget.alerted", "The budget {target}: {text}", "kind", "about", "messages"
)
BUDGET_REMOVED = kind(
    "budget.removed",
    "{actor} removed the budget {target}: {reason}",
    "amount",
    "scope",
    "version",
)
TASK_OUTCOME_STATED = kind(
    "task.outcome_stated",
    "{actor} stated that task {target} {outcome}: {reason}",
    "before",
)
ANNOTATION_ADDED = kind(
    "annotation.added", "{actor} noted for {team}: {text}", "kind", "link", "time"
)
ANNOTATION_REMOVED = kind(
    "annotation.removed", "{actor} took away a note of {team}: {text}"
)
REPORT_VIEW_SAVED = kind("report_view.saved", "{actor} saved the report {target}")
REPORT_VIEW_REMOVED = kind("report_view.removed", "{actor} removed the report {target}")
REPORT_SCHEDULED = kind(
    "report_schedule.created", "{actor} has the report {target} sent {when}"
)
REPORT_UNSCHEDULED = kind(
    "report_schedule.removed", "{actor} has the report {target} sent no more"
)
REPORT_PAUSED = kind(
    "report_schedule.paused", "The report {target} is sent no more: {reason}"
)
REPORT_RESUMED = kind(
    "report_schedule.resumed", "{actor} has the report {target} sent again"
)
REPORT_UNSUBSCRIBED = kind(
    "report_schedule.unsubscribed", "{address} is sent the report {target} no more"
)
REPORT_SENT = kind(
    "report.sent",
    "The report {target} goes to {recipients} addresses",
    "due",
    "rows",
    "withheld",
)
REPORT_DEAD = kind(
    "report.dead", "The report {target} could not be sent: {error}", "attempts"
)
