"""How many calls a run had made before each of its steps, looked at in any order."""

from collections import Counter
from collections.abc import Iterable

from policy.facts import ToolFacts


class Steps:
    """The calls of one run that were let through.

    Going from one step to the next one costs as much as there are calls in between, so
    that a run's steps are cheap in order.
    """

    def __init__(self, steps: Iterable[tuple[int, ToolFacts]]) -> None:
        self._steps = sorted(steps, key=lambda step: step[0])
        self._before = len(self._steps)
        self._made = Counter(tool for _, tool in self._steps)

    def made_before(self, step: int) -> Counter[ToolFacts]:
        """Calls by tool before a step; the same object each time, not to be kept."""
        while self._before and self._steps[self._before - 1][0] >= step:
            self._before -= 1
            self._made[self._steps[self._before][1]] -= 1
        while self._before < len(self._steps) and self._steps[self._before][0] < step:
            self._made[self._steps[self._before][1]] += 1
            self._before += 1
        return self._made
