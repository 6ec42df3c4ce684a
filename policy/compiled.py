"""A rule set made ready for the hot path: immutable, its candidates cached by tool."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from policy.cel import Condition, compile_condition
from policy.facts import PrincipalFacts, ToolFacts
from policy.rule import PRINCIPAL_FIELDS, SELECT_FIELDS, TOOL_FIELDS, Rule

_MOST_CACHED = 50_000
_GLOB = re.compile(r"[*?\[]")


class Names:
    """Names and globs, any of which may match."""

    __slots__ = ("_globs", "_names")

    def __init__(self, words: Iterable[str]) -> None:
        words = tuple(words)
        globs = [word for word in words if _GLOB.search(word)]
        self._names = frozenset(words) - frozenset(globs)
        joined = "|".join(f"(?:{translate(word)})" for word in globs)
        self._globs = re.compile(joined) if globs else None

    def match(self, values: tuple[str, ...]) -> bool:
        """Whether one of the values is one of the names or matches a glob."""
        if not self._names.isdisjoint(values):
            return True
        globs = self._globs
        return globs is not None and any(globs.match(value) for value in values)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """A rule with its selector and condition compiled."""

    rule: Rule
    select: Mapping[str, Names]
    when: Condition | None

    def takes_tool(self, tool: ToolFacts) -> bool:
        """Whether the selector takes the tool."""
        return self._takes(tool, TOOL_FIELDS)

    def takes_principal(self, principal: PrincipalFacts) -> bool:
        """Whether the selector takes who calls."""
        return self._takes(principal, PRINCIPAL_FIELDS)

    def _takes(
        self, facts: ToolFacts | PrincipalFacts, fields: tuple[str, ...]
    ) -> bool:
        return all(
            self.select[field].match(facts.values(field))
            for field in fields
            if field in self.select
        )

    def mismatch(self, tool: ToolFacts, principal: PrincipalFacts) -> str:
        """The field of the selector that leaves this call out, in words; or empty."""
        for field, names in self.select.items():
            facts = tool if field in TOOL_FIELDS else principal
            values = facts.values(field)
            if not names.match(values):
                shown = ", ".join(filter(None, values)) or "none"
                wanted = ", ".join(self.rule.select[field])
                return f"select.{field}: {shown} is not among {wanted}"
        return ""


class RuleSet:
    """The rules of one version. Their order never matters: they are kept by id."""

    def __init__(self, rules: Iterable[Rule], *, version: int) -> None:
        self.version = version
        self.rules = tuple(sorted(rules, key=lambda rule: rule.id))
        self._by_tool: dict[ToolFacts, tuple[CompiledRule, ...]] = {}
        self._selected: dict[
            tuple[ToolFacts, PrincipalFacts], tuple[CompiledRule, ...]
        ] = {}

    @cached_property
    def compiled(self) -> tuple[CompiledRule, ...]:
        """Every enabled rule."""
        return tuple(_compile(rule) for rule in self.rules if rule.enabled)

    def for_tool(self, tool: ToolFacts) -> tuple[CompiledRule, ...]:
        """The enabled rules whose selector takes this tool."""
        found = self._by_tool.get(tool)
        if found is None:
            found = tuple(one for one in self.compiled if one.takes_tool(tool))
            if len(self._by_tool) >= _MOST_CACHED:
                self._by_tool.clear()
            self._by_tool[tool] = found
        return found

    def selected(
        self, tool: ToolFacts, principal: PrincipalFacts
    ) -> tuple[CompiledRule, ...]:
        """The enabled rules whose selector takes this tool and this principal."""
        key = (tool, principal)
        found = self._selected.get(key)
        if found is None:
            found = tuple(
                one for one in self.for_tool(tool) if one.takes_principal(principal)
            )
            if len(self._selected) >= _MOST_CACHED:
                self._selected.clear()
            self._selected[key] = found
        return found


def _compile(rule: Rule) -> CompiledRule:
    return CompiledRule(
        rule,
        {
            field: Names(rule.select[field])
            for field in SELECT_FIELDS
            if field in rule.select
        },
        compile_condition(rule.when) if rule.when else None,
    )


NO_RULES = RuleSet((), version=0)
