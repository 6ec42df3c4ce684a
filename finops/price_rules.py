"""What may stand in the price book."""

import re
from decimal import Decimal

from finops.tool_units import is_path, looks_like_path

_SKU = re.compile(r"^[a-z]+/([A-Za-z0-9_.:/-]+\*?|\*)$")


def fault_of(*, sku: str, unit: str, amount: Decimal) -> str:
    """What is wrong with a price, and what to do; "" where nothing is."""
    if not _SKU.match(sku) or len(sku) > 200:
        return (
            f"{sku!r} is no SKU: write area/name, such as tokens/result or tool/crm.*; "
            "a * may stand at the end only."
        )
    if not unit.strip() or len(unit) > 60:
        return "Name the unit, such as Tokens, Requests or Seconds."
    if looks_like_path(unit) and not (is_path(unit) and sku.startswith("tool/")):
        return (
            f"{unit!r} is no unit of a tool: write the path of an array or a number, "
            "such as arguments.items or result.rows, and a SKU of tool/…"
        )
    if not amount.is_finite() or not 0 <= amount < 10**12:
        return "A price is a number from 0 up."
    if amount != round(amount, 12):
        return "A price has at most 12 decimal places."
    return ""
