"""Units of a tool that are read off its arguments or its result; pure.

Arguments come from a script, results from an upstream: both are input to validate.
"""

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_PATH = re.compile(r"^(arguments|result)(\.[A-Za-z_][A-Za-z0-9_-]*)*$")
MOST = 10**9
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Measured:
    """How much there is of a unit, or why that cannot be said (``flaw``)."""

    quantity: Decimal = Decimal(0)
    flaw: str = ""


def is_path(unit: str) -> bool:
    """Whether a unit names a value, such as ``arguments.items`` or ``result.rows``."""
    return bool(_PATH.match(unit))


def looks_like_path(unit: str) -> bool:
    """Whether a unit begins as a path does, well-formed or not."""
    return unit.partition(".")[0].partition("[")[0] in ("arguments", "result")


def measure(path: str, *, arguments: Any, result: Any) -> Measured:
    """The length of the array at ``path``, or the number there.

    What is neither, negative or beyond ``MOST`` has a flaw, and is never taken for 0.
    """
    first, *names = path.split(".")
    value = arguments if first == "arguments" else result
    for name in names:
        value = value.get(name, _NOTHING) if isinstance(value, dict) else _NOTHING
    if value is _NOTHING or value is None:
        return Measured(flaw="missing")
    if isinstance(value, list):
        value = len(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Measured(flaw="no number")
    if isinstance(value, float) and not math.isfinite(value):
        return Measured(flaw="no number")
    if value < 0:
        return Measured(flaw="negative")
    if value > MOST:
        return Measured(flaw="too large")
    return Measured(Decimal(str(value)))
