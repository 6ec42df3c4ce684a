"""The policy decision on one call: pure, from plain values."""

from collections.abc import Iterable
from dataclasses import dataclass

from policy import scopes

ALLOW = "allow"
DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed or denied, with every reason that led there."""

    effect: str
    reasons: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        return self.effect == ALLOW


def decide(
    *, tool: str, granted: bool, enabled: bool, scopes_held: Iterable[str]
) -> Decision:
    """Decide whether a principal may call ``tool`` at all.

    What no grant covers is denied. Reasons are for the trail: the caller is told no
    more than that the tool is not available to it.
    """
    held = tuple(scopes_held)
    against = []
    if not scopes.covers(held, f"tools:{tool}"):
        against.append(f"scope: no scope of the key covers tools:{tool}")
    if not enabled:
        against.append("environment: the tool is not offered in this environment")
    if not granted:
        against.append("grant: no grant covers the tool, its server or a tag of it")
    if against:
        return Decision(DENY, tuple(against))
    return Decision(ALLOW, ("grant", "scope", "environment"))
