"""Values of a FOCUS file as text: numbers, moments, keys and values."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

from core.exports import cell

# Wide enough for the product of a quantity, a price and a rate.
EXACT = Context(prec=120)


def number(value: Decimal | None) -> str:
    """A decimal in plain notation without trailing zeros (NumericFormat)."""
    if value is None:
        return ""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def moment(value: datetime | None) -> str:
    """A moment in UTC, as in 2026-11-01T00:00:00Z (DateTimeFormat)."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def pairs(values: Mapping[str, Any]) -> str:
    """Keys and values that say something, in order of the keys (KeyValueFormat)."""
    told = {key: value for key, value in sorted(values.items()) if value != ""}
    return json.dumps(told, ensure_ascii=False) if told else ""


def words(value: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return cell(value)
