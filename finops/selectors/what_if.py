"""Usage by SKU and hour, as a what-if prices it."""

from collections.abc import Iterator

from core.period import Period
from finops.selectors.rows import rows
from finops.selectors.scope import Scope, of_usage
from finops.what_if import Grouped

_GROUPS = """
SELECT u.sku, u.unit, date_trunc('minute', u.at) AS at, sum(u.quantity) AS quantity,
  coalesce(sum(u.cost) FILTER (WHERE u.currency = %(currency)s), 0) AS cost
FROM finops_usageevent u WHERE {where} GROUP BY 1, 2, 3 HAVING sum(u.quantity) <> 0
"""


def grouped_usage(scope: Scope, period: Period) -> Iterator[Grouped]:
    """What was used in ``period``, by the minute: prices change at full minutes."""
    where = of_usage(scope, period)
    for row in rows(_GROUPS.replace("{where}", where.sql), where.parameters):
        yield Grouped(**row)
