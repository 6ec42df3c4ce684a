"""Counts a run's calls by tool, for rules that bound them."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from gateway.catalog import CatalogTool
from gateway.models import ToolCall
from policy.decision import DENY
from policy.facts import ToolFacts


class Tally:
    """Which tools the steps of a run have called."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._steps: dict[int, ToolFacts] = {}
        self._made: Counter[ToolFacts] = Counter()

    @classmethod
    def of(cls, calls: Iterable[ToolCall], tools: Mapping[str, CatalogTool]) -> "Tally":
        """From a run's journal."""
        tally = cls()
        for call in calls:
            if call.decision != DENY:
                tool = tools.get(call.tool)
                server = call.tool.partition(".")[0]
                gone = ToolFacts(call.tool, server, call.effect)
                tally.add(call.step, tool.facts if tool else gone)
        return tally

    def add(self, step: int, tool: ToolFacts) -> None:
        """Count a step, once however often it is decided on."""
        if step not in self._steps:
            self._steps[step] = tool
            self._made[tool] += 1

    def but(self, step: int) -> dict[ToolFacts, int]:
        """How many other steps called each tool."""
        made = dict(self._made)
        if step in self._steps:
            made[self._steps[step]] -= 1
        return made
