"""What may stand in the price book."""

import re
from decimal import Decimal

_SKU = re.compile(r"^[a-z]+/([A-Za-z0-9_.:/-]+\*?|\*)$")


def fault_of(*, sku: str, unit: str, amount: Decimal) -> str:
    """What is wrong with a price, and what to do; "" where nothing is."""
    if not _SKU.match(sku) or len(sku) > 200:
        return (
            f"{sku!r} is no SKU: write area/name, such as tokens/result or tool/crm.*; "
            "a * may stand at the end only."
        )
    if not unit.strip() or len(unit) > 20:
        return "Name the unit, such as Tokens, Requests or Seconds."
    if not amount.is_finite() or not 0 <= amount < 10**12:
        return "A price is a number from 0 up."
    if amount != round(amount, 12):
        return "A price has at most 12 decimal places."
    return ""
