"""Errands that agents run in two ways with the same tools: one script, or call by call.

So that what a script saves can be seen, model against model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LARGE, SMALL = "orchid-large", "orchid-small"
MODELS = (LARGE, SMALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool, and what it is called with. It returns a list."""

    tool: str
    arguments: Mapping[str, Any]

    @property
    def spoilt(self) -> "Call":
        """The same call as a hasty model writes it: the first argument's name wrong."""
        names = {name: f"{name}_" for name in list(self.arguments)[:1]}
        return Call(self.tool, {names.get(k, k): v for k, v in self.arguments.items()})


@dataclass(frozen=True, slots=True)
class Errand:
    """What a team's agent is asked for, and the calls that answer it."""

    team: str
    task: str
    calls: tuple[Call, ...]

    @property
    def code(self) -> str:
        """All the calls as one script."""
        servers = sorted({call.tool.partition(".")[0] for call in self.calls})
        lines = [f"from tools import {', '.join(servers)}", "", "found = ["]
        for call in self.calls:
            given = ", ".join(f"{k}={v!r}" for k, v in call.arguments.items())
            lines.append(f"    len({call.tool}({given})),")
        return "\n".join([*lines, "]", "return found", ""])

    @property
    def spoilt(self) -> "Errand":
        """The first try of a hasty model: its first call cannot be made."""
        first, *rest = sorted(self.calls, key=lambda call: not call.arguments)
        return Errand(self.team, self.task, (first.spoilt, *rest))


ERRANDS = (
    Errand(
        "platform",
        "What is low in stock, and how it sells",
        (
            Call("shop.sales_by_day", {"since": "2026-10-01"}),
            Call("shop.list_products", {}),
            Call("ops.list_stock", {"only_low": True}),
        ),
    ),
    Errand(
        "growth",
        "Where customers are, and what they order",
        (
            Call("crm.count_segments", {}),
            Call("shop.sales_by_day", {"since": "2026-10-01", "region": "EMEA"}),
            Call("shop.sales_by_day", {"since": "2026-10-01", "region": "AMER"}),
        ),
    ),
    Errand(
        "support",
        "What is used, and by whom",
        (
            Call("ops.usage_by_feature", {"since": "2026-10-01"}),
            Call("ops.usage_by_customer", {"since": "2026-10-01", "limit": 50}),
            Call("crm.count_segments", {}),
        ),
    ),
)
