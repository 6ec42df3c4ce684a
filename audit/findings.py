"""What a verification can find, each under its name, and the verdicts they make."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

INTEGRITY, COMPLETENESS, ANCHORING = "integrity", "completeness", "anchoring"
PASSED, FAILED, UNCHECKED = "passed", "failed", "unchecked"
VERDICTS = (INTEGRITY, COMPLETENESS, ANCHORING)
MOST_LISTED = 50

KINDS: dict[str, tuple[str, str]] = {
    "changed": (INTEGRITY, "The event's body is not what was sealed"),
    "swapped": (INTEGRITY, "The event holds what was sealed for another"),
    "columns": (INTEGRITY, "A column to search by says other than the body"),
    "reordered": (INTEGRITY, "Leaves stand in another order than was signed"),
    "rewritten": (INTEGRITY, "Leaves are not those that were signed"),
    "nodes": (INTEGRITY, "Stored hashes of the tree are not those of its leaves"),
    "checkpoint": (INTEGRITY, "A checkpoint was changed"),
    "foreign_key": (INTEGRITY, "A checkpoint is signed by a key nobody here trusts"),
    "deleted": (COMPLETENESS, "A sealed event is gone"),
    "partition": (COMPLETENESS, "Every event of a month is gone, without a tombstone"),
    "gap": (COMPLETENESS, "Leaves of the tree are gone"),
    "unsigned": (COMPLETENESS, "There are leaves that no checkpoint signs"),
    "inserted": (COMPLETENESS, "An event came in behind the sealer"),
    "late": (COMPLETENESS, "An event was sealed long after its neighbours"),
    "unsealed": (COMPLETENESS, "An event has waited too long to be sealed"),
    "rolled_back": (ANCHORING, "The trail is shorter than it was: its end is gone"),
    "forked": (ANCHORING, "The trail is not the one that was signed then"),
    "anchor": (ANCHORING, "An outside checkpoint cannot be used"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was signed."""

    code: str
    text: str
    event: str = ""
    index: int | None = None

    @property
    def verdict(self) -> str:
        return KINDS[self.code][0]

    @property
    def title(self) -> str:
        return KINDS[self.code][1]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Report:
    """What one verification covered and found."""

    kind: str
    started_at: datetime
    first: int = 0
    size: int = 0
    sealed_at: datetime | None = None
    events: int = 0
    anchors: int = 0
    seconds: float = 0.0
    keys: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Keep a finding; of one kind the first 50 are listed, all are counted."""
        if finding in self.findings:
            return
        self.counts[finding.code] += 1
        if self.counts[finding.code] <= MOST_LISTED:
            self.findings.append(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.add(finding)

    def verdict(self, name: str) -> str:
        """``passed``, ``failed``, or ``unchecked`` with nothing to compare with."""
        if any(KINDS[code][0] == name for code in self.counts):
            return FAILED
        return UNCHECKED if name == ANCHORING and not self.anchors else PASSED

    @property
    def verdicts(self) -> dict[str, str]:
        return {name: self.verdict(name) for name in VERDICTS}

    @property
    def passed(self) -> bool:
        return not self.counts

    @property
    def sentence(self) -> str:
        """The verdict for a summary line."""
        if self.passed:
            return f"nothing found up to event {self.size}"
        named = ", ".join(f"{number} {code}" for code, number in self.counts.items())
        return f"{self.counts.total()} findings ({named})"
