"""What each group used and cost in two windows, for the question why it changed."""

from collections import defaultdict
from decimal import Decimal

from core.period import Period
from finops.movers import Item, Mover, Window, movers
from finops.selectors.breakdown import usage_by
from finops.selectors.scope import Scope, of_usage

# Days are no groups: each stands in one window alone.
CALLS, RUNS, MODEL_TOKENS, QUANTITY = "calls", "runs", "model_tokens", "quantity"
# What is one thing is measured by its own unit.
_OWN_UNIT = frozenset({"sku", "token_kind"})

# Only what has a price has a rate; what has none is counted by the reports beside it.
_ITEMS = """
SELECT {key} AS key, u.sku, sum(u.quantity) AS quantity, sum(u.cost) AS cost
FROM {usage} WHERE {where} AND u.cost IS NOT NULL AND u.currency = %(currency)s
GROUP BY 1, 2
"""
_ACTIVITIES = """
SELECT {key} AS key,
  coalesce(sum(u.quantity) FILTER (WHERE u.kind = 'tool_call'), 0) AS calls,
  count(DISTINCT u.run) FILTER (WHERE u.run <> '') AS runs,
  coalesce(sum(u.quantity) FILTER (WHERE u.kind = 'model_tokens'), 0) AS model_tokens
FROM {usage} WHERE {where} GROUP BY 1
"""


def cost_movers(
    scope: Scope, period: Period, against: Period, dimension: str
) -> list[Mover]:
    """Every group of either window, the largest change first; four queries.

    ``dimension`` is one of DIMENSIONS but ``day``.
    """
    own = dimension in _OWN_UNIT
    return movers(
        _windows(scope, against, dimension),
        _windows(scope, period, dimension),
        measures=(QUANTITY,) if own else (CALLS, RUNS, MODEL_TOKENS),
    )


def _windows(scope: Scope, period: Period, dimension: str) -> dict[str, Window]:
    where = of_usage(scope, period)
    items: defaultdict[str, dict[str, Item]] = defaultdict(dict)
    for row in usage_by(_ITEMS, dimension, where):
        items[row["key"]][row["sku"]] = Item(row["quantity"], row["cost"])
    if dimension in _OWN_UNIT:
        return {
            key: Window(held, {QUANTITY: _quantity(held)})
            for key, held in items.items()
        }
    return {
        row["key"]: Window(
            items.get(row["key"], {}),
            {name: Decimal(row[name]) for name in (CALLS, RUNS, MODEL_TOKENS)},
        )
        for row in usage_by(_ACTIVITIES, dimension, where)
    }


def _quantity(items: dict[str, Item]) -> Decimal:
    return sum((item.quantity for item in items.values()), Decimal(0))
