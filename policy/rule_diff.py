"""What differs between two rule sets, and how changes by two people are joined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]
ADDED, REMOVED, CHANGED = "added", "removed", "changed"
MINE, LIVE = "mine", "live"


@dataclass(frozen=True, slots=True)
class Change:
    """A rule that was added, removed or changed; fields with before and after."""

    rule: str
    kind: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    title: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "title": self.title,
            "kind": self.kind,
            "fields": {
                name: {"before": before, "after": after}
                for name, (before, after) in self.fields.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Merged:
    """Rules joined from two sides; ``conflicts`` were changed differently by both."""

    rules: list[Document]
    conflicts: tuple[str, ...]


def diff(before: Sequence[Document], after: Sequence[Document]) -> tuple[Change, ...]:
    """Every rule that differs, by id."""
    old, new = _by_id(before), _by_id(after)
    changes = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        kind = ADDED if was is None else REMOVED if now is None else CHANGED
        title = str((now or was or {}).get("title", ""))
        changes.append(Change(name, kind, _fields(was or {}, now or {}), title))
    return tuple(changes)


def _by_id(rules: Sequence[Document]) -> dict[str, Document]:
    return {str(rule["id"]): rule for rule in rules}


def _fields(before: Document, after: Document) -> dict[str, tuple[Any, Any]]:
    was, now = _flat(before), _flat(after)
    return {
        name: (was.get(name), now.get(name))
        for name in dict.fromkeys((*was, *now))
        if was.get(name) != now.get(name)
    }


def _flat(rule: Document) -> dict[str, Any]:
    """Fields by name, those of a mapping as ``select.tools``."""
    flat: dict[str, Any] = {}
    for name, value in rule.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        elif name != "id":
            flat[name] = value
    return flat


def merge(
    *,
    base: Sequence[Document],
    live: Sequence[Document],
    mine: Sequence[Document],
    take: Mapping[str, str],
) -> Merged:
    """Join what was published meanwhile with a draft, rule by rule.

    Where both changed a rule differently, ``take`` says by its id whether ``mine`` or
    ``live`` holds; without it the rule is a conflict and the live one stays.
    """
    old, theirs, ours = _by_id(base), _by_id(live), _by_id(mine)
    rules, conflicts = [], []
    for name in sorted(old.keys() | theirs.keys() | ours.keys()):
        was, their, our = old.get(name), theirs.get(name), ours.get(name)
        if our in (was, their):
            chosen = their
        elif their == was or take.get(name) == MINE:
            chosen = our
        else:
            chosen = their
            if take.get(name) != LIVE:
                conflicts.append(name)
        if chosen is not None:
            rules.append(chosen)
    return Merged(rules, tuple(conflicts))
