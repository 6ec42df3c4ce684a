"""Adds up how decisions on recorded calls would change."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_SHOWN = 1_000
"""As many calls as are named, of those that would change and of the undecidable."""
_GROUPS = ("team", "tool", "key", "environment", "rule")
_MOST_GROUPS = 20


@dataclass(frozen=True, slots=True)
class Change:
    """One recorded call and how the decision on it would change."""

    call: int
    run: str
    step: int
    tool: str
    team: str
    environment: str
    principal: str
    key: str
    at: str
    before: str
    after: str
    reasons: tuple[str, ...]
    rules: tuple[str, ...]
    recorded: str

    def as_dict(self) -> dict[str, Any]:
        return {
            name: list(value)
            if isinstance(value := getattr(self, name), tuple)
            else value
            for name in self.__slots__
        }


@dataclass(slots=True)
class Sums:
    """What a replay found so far."""

    examined: int = 0
    same: int = 0
    unruled: int = 0
    """Refused before any rule was asked: no grant, no such tool."""
    undecidable: int = 0
    changed: int = 0
    stopped: str = ""
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    groups: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in _GROUPS}
    )
    doubtful_rules: Counter[str] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    doubtful: list[dict[str, Any]] = field(default_factory=list)

    def add_change(self, change: Change) -> None:
        """Count a decision that would change."""
        self.changed += 1
        self.transitions[change.before, change.after] += 1
        for name in ("team", "tool", "key", "environment"):
            value = getattr(change, name)
            self.groups[name][value or "none"] += 1
        self.groups["rule"].update(change.rules)
        if len(self.changes) < MOST_SHOWN:
            self.changes.append(change)

    def add_doubtful(self, call: Mapping[str, Any], rules: Iterable[str]) -> None:
        """Count a call on which nothing can be said, since a value was redacted."""
        self.undecidable += 1
        named = sorted(set(rules))
        self.doubtful_rules.update(named)
        if len(self.doubtful) < MOST_SHOWN:
            self.doubtful.append({**call, "rules": named})

    def as_dict(self) -> dict[str, Any]:
        """The sums as JSON."""
        return {
            "examined": self.examined,
            "same": self.same,
            "unruled": self.unruled,
            "undecidable": self.undecidable,
            "changed": self.changed,
            "stopped": self.stopped,
            "transitions": [
                {"before": before, "after": after, "calls": number}
                for (before, after), number in self.transitions.most_common()
            ],
            **{f"by_{name}": _top(self.groups[name]) for name in _GROUPS},
            "undecidable_by_rule": _top(self.doubtful_rules),
            "changes": [one.as_dict() for one in self.changes],
            "undecidable_calls": self.doubtful,
        }


def _top(counted: Counter[str]) -> list[dict[str, Any]]:
    """The most frequent first; those alike by name."""
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [{"name": name, "calls": number} for name, number in ranked[:_MOST_GROUPS]]
