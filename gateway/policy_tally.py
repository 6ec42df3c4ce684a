"""Adds up how decisions on recorded calls would change."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_SHOWN = 1_000
"""As many of the newest calls are named: changed ones, and undecidable ones."""
_OF_EACH = 20
_MOST_IN_ALL = 2_000
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
        way = (change.before, change.after)
        self.transitions[way] += 1
        numbers = [self.transitions[way]]
        for name in _GROUPS:
            values = change.rules if name == "rule" else (getattr(change, name),)
            for value in values:
                counted = self.groups[name]
                counted[value or "none"] += 1
                numbers.append(counted[value or "none"])
        # What is rare is named as well, however much there is of something else.
        rare = min(numbers) <= _OF_EACH and len(self.changes) < _MOST_IN_ALL
        if rare or len(self.changes) < MOST_SHOWN:
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
