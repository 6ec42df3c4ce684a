"""The rules as pages show them: lists, one rule with its history, changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.models import Event
from gateway.rule_words import (
    Document,
    condition_words,
    outcome_words,
    selector_words,
    value_words,
)
from gateway.selectors.rule_help import catalog
from gateway.selectors.rule_hits import Hits
from policy import events
from policy.compiled import Names
from policy.rule import MONITOR, TOOL_FIELDS
from policy.rule_diff import Change

_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ShownRule:
    """A rule with one line for each of its parts, and its calls where counted."""

    document: Document
    hits: Hits | None = None

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def title(self) -> str:
        return str(self.document.get("title", ""))

    @property
    def effect(self) -> str:
        return str(self.document["effect"])

    @property
    def enabled(self) -> bool:
        return bool(self.document.get("enabled", True))

    @property
    def monitored(self) -> bool:
        return bool(self.document.get("mode") == MONITOR)

    @property
    def state(self) -> str:
        """``off``, ``monitor`` or ``enforce``."""
        if not self.enabled:
            return "off"
        return MONITOR if self.monitored else "enforce"

    @property
    def selector(self) -> str:
        return selector_words(self.document)

    @property
    def condition(self) -> str:
        return condition_words(self.document)

    @property
    def outcome(self) -> str:
        return outcome_words(self.document)


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A rule that differs, with its fields in words."""

    rule: str
    title: str
    kind: str
    fields: Sequence[tuple[str, str, str]]


def shown_changes(changes: Iterable[Change]) -> list[ShownChange]:
    """Changes with their values as text."""
    return [
        ShownChange(
            one.rule,
            one.title,
            one.kind,
            [
                (name, value_words(before), value_words(after))
                for name, (before, after) in one.fields.items()
            ],
        )
        for one in changes
    ]


def matching(
    rules: Iterable[Document], *, q: str = "", effect: str = "", state: str = "",
    tool: str = "", hits: Mapping[str, Hits] | None = None,
) -> list[ShownRule]:  # fmt: skip
    """Rules with these words, this effect and state, that look at the tool."""
    found = [ShownRule(rule, (hits or {}).get(rule["id"])) for rule in rules]
    for word in q.casefold().split():
        found = [one for one in found if word in _text(one)]
    if effect:
        found = [one for one in found if one.effect == effect]
    if state:
        found = [one for one in found if one.state == state]
    if tool:
        found = [one for one in found if _takes(one.document, tool)]
    return found


def _text(one: ShownRule) -> str:
    parts = (one.id, one.title, one.selector, one.condition, one.outcome)
    return " ".join(parts).casefold()


def _takes(rule: Document, name: str) -> bool:
    """Whether the selector's fields on tools take the tool of this name."""
    tool = catalog().tools.get(name)
    select = {
        field: words
        for field, words in rule.get("select", {}).items()
        if field in TOOL_FIELDS
    }
    if tool is None:
        # Of a tool that is not offered only its name is known.
        return not select or Names(select.get("tools", ())).match((name,))
    facts = tool.facts
    return all(Names(words).match(facts.values(at)) for at, words in select.items())


def history_of(rule: str) -> list[Event]:
    """Audit events that changed this rule, newest first."""
    names = (events.RULES_PUBLISHED.name, events.DRAFT_CHANGED.name)
    rows = Event.objects.filter(name__in=names, body__contains=f'"rule":"{rule}"')
    return list(rows.newest_first()[:_MOST_SHOWN])


def export_row(one: ShownRule) -> list[Any]:
    """One rule for a download."""
    hits = one.hits or Hits()
    return [one.id, one.title, one.effect, one.state, one.selector, one.condition,
            one.outcome, one.document.get("message", ""), hits.applied, hits.would,
            hits.last_at]  # fmt: skip


EXPORT_COLUMNS = (
    "rule",
    "title",
    "effect",
    "state",
    "selector",
    "condition",
    "outcome",
    "message",
    "calls_7_days",
    "would_7_days",
    "last_at",
)
