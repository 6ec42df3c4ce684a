"""What is known of one call: plain values that rules are matched with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """What rules know of a tool."""

    name: str
    server: str
    effect: str
    tags: tuple[str, ...] = ()

    def values(self, field: str) -> tuple[str, ...]:
        """What a selector's field is compared with."""
        if field == "servers":
            return (self.server,)
        if field == "tools":
            return (self.name,)
        return self.tags if field == "tags" else (self.effect,)


@dataclass(frozen=True, slots=True)
class PrincipalFacts:
    """What rules know of who calls; ``id`` is such as ``sa:sales/agent``."""

    id: str
    kind: str
    label: str
    team: str
    environment: str
    key: str = ""
    roles: tuple[str, ...] = ()

    def values(self, field: str) -> tuple[str, ...]:
        """What a selector's field is compared with."""
        if field == "teams":
            return (self.team,)
        if field == "environments":
            return (self.environment,)
        return self.roles if field == "roles" else (self.key, self.id)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What rules know of the run; ``made`` counts its earlier calls by tool."""

    id: str = ""
    mode: str = "script"
    language: str = ""
    made: Mapping[ToolFacts, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One call that is to be decided on.

    ``granted`` and ``enabled`` say whether the team holds a grant and whether the tool
    is offered in the environment.
    """

    tool: ToolFacts
    principal: PrincipalFacts
    run: RunFacts
    arguments: Mapping[str, Any]
    at: datetime
    granted: bool
    enabled: bool
    scopes: tuple[str, ...]

    def variable(self, name: str) -> Any:
        """A variable of conditions."""
        if name == "args":
            return self.arguments
        if name == "now":
            return self.at
        if name == "tool":
            tool = self.tool
            return {
                "name": tool.name,
                "server": tool.server,
                "effect": tool.effect,
                "tags": list(tool.tags),
            }
        if name == "run":
            run = self.run
            return {
                "id": run.id,
                "mode": run.mode,
                "language": run.language,
                "calls": sum(run.made.values()),
            }
        who = self.principal
        return {
            "team": who.team,
            "environment": who.environment,
            "key": who.key,
            "kind": who.kind,
            "roles": list(who.roles),
            "label": who.label,
        }
