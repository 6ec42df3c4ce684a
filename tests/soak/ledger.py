"""Reads the ledger that the tool server keeps."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a request, or what became of it.

    ``kind`` is ``asked`` for each request, then ``read``, ``effect``, ``repeat`` (the
    key was known: no second effect) or ``refused``, and ``answered`` or ``broken off``
    at its end; ``lookup`` is by key alone.
    """

    at: float
    kind: str
    tool: str
    entry: str
    key: str
    receipt: str


class Ledger:
    """The lines of a ledger file, by entry and by key."""

    def __init__(self, file: Path) -> None:
        # The last line may be half written.
        whole = file.read_text().rpartition("\n")[0]
        self.lines = [Line(**json.loads(line)) for line in whole.splitlines()]
        self._by_entry: dict[str, list[Line]] = {}
        for line in self.lines:
            self._by_entry.setdefault(line.entry, []).append(line)

    def of(self, entry: str, *kinds: str) -> Sequence[Line]:
        """The lines of an entry, of these kinds where some are named."""
        lines = self._by_entry.get(entry, [])
        return [line for line in lines if not kinds or line.kind in kinds]

    def effects(self, entry: str) -> Sequence[Line]:
        """What happened of an entry."""
        return self.of(entry, "effect")

    def count(self, kind: str) -> int:
        """How many lines are of this kind."""
        return sum(line.kind == kind for line in self.lines)
