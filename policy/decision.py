"""The policy decision on one call: pure, from plain values.

Grants, scopes and environment come first: what they do not cover is denied whatever
the rules say. Then any rule that denies, then any that asks for an approval. A rule in
monitor mode is worked out in the same way and changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from policy import checks, paths, scopes
from policy.cel import Scope
from policy.checks import Check, CheckError
from policy.compiled import RuleSet
from policy.facts import CallFacts
from policy.routing import Route
from policy.rule import ALLOW as ALLOW_RULE
from policy.rule import APPROVE, Rule
from policy.verdicts import Verdict, hides, verdict

ALLOW = "allow"
DENY = "deny"
REQUIRE_APPROVAL = APPROVE
HIDDEN = "[redacted by policy]"


@dataclass(frozen=True, slots=True)
class Would:
    """What a rule in monitor mode would have done."""

    rule: str
    effect: str
    why: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"rule": self.rule, "effect": self.effect, "why": self.why}


@dataclass(frozen=True, slots=True)
class Decision:
    """Denied, allowed, or allowed after an approval; with every reason for it.

    ``applied`` are the ids of the enforced rules that had a say. ``hide`` and ``masks``
    say what of the arguments no record may hold; ``later`` are the rules that look at
    the result. ``told`` is what the agent may read of a rule's denial.
    """

    effect: str
    reasons: tuple[str, ...]
    policy_version: int = 0
    applied: tuple[str, ...] = ()
    would: tuple[Would, ...] = ()
    routes: tuple[Route, ...] = ()
    hide: tuple[paths.Path, ...] = ()
    masks: tuple[Check, ...] = ()
    later: tuple[Rule, ...] = ()
    denied_by: str = ""
    told: str = ""
    verdicts: tuple[Verdict, ...] = field(default=(), compare=False)

    @property
    def denied(self) -> bool:
        return self.effect == DENY


def decide(rules: RuleSet, call: CallFacts) -> Decision:
    """Decide on one call, by the rules whose selector takes it. Never raises."""
    against = _not_covered(call)
    selected = rules.selected(call.tool, call.principal)
    if not selected:
        effect = DENY if against else ALLOW
        return Decision(effect, against or _COVERED, rules.version)
    scope = Scope(call.variable)
    verdicts = tuple(verdict(one, call, scope) for one in selected)
    enforced = [one for one in verdicts if one.rule.enforced]
    denials = _denials(enforced)
    first = denials[0] if denials and not against else None
    hidden = [one.rule for one in enforced if hides(one)]
    speaking = denials or [one for one in enforced if one.says]
    routes = () if against or denials else tuple(_routes(enforced, rules.version))
    return Decision(
        effect=DENY if against or denials else REQUIRE_APPROVAL if routes else ALLOW,
        reasons=(*(against or _COVERED), *map(_reason, speaking)),
        policy_version=rules.version,
        applied=tuple(one.rule.id for one in speaking),
        would=tuple(_would(verdicts)),
        routes=routes,
        hide=tuple(path for rule in hidden for path in rule.redact_arguments),
        masks=tuple(_masks(hidden)),
        later=tuple(one.rule for one in verdicts if one.later),
        denied_by=first.rule.id if first else "",
        told=next(filter(None, (one.told for one in denials)), "") if first else "",
        verdicts=verdicts,
    )


_COVERED = ("grant", "scope", "environment")


def _not_covered(call: CallFacts) -> tuple[str, ...]:
    against = []
    if not scopes.covers(call.scopes, f"tools:{call.tool.name}"):
        against.append(f"scope: no scope of the key covers tools:{call.tool.name}")
    if not call.enabled:
        against.append("environment: the tool is not offered in this environment")
    if not call.granted:
        against.append("grant: no grant covers the tool, its server or a tag of it")
    return tuple(against)


def _denials(enforced: Sequence[Verdict]) -> list[Verdict]:
    """Rules that deny, and allow rules where there are some and none holds."""
    denials = [one for one in enforced if one.says == DENY]
    return denials + _not_listed(enforced, enforced)


def _not_listed(asked: Iterable[Verdict], all_of: Iterable[Verdict]) -> list[Verdict]:
    if any(one.says == ALLOW_RULE for one in all_of):
        return []
    return [one for one in asked if one.rule.effect == ALLOW_RULE and one.says != DENY]


def _routes(enforced: Iterable[Verdict], version: int) -> Iterator[Route]:
    for one in enforced:
        if one.says == APPROVE and one.rule.approve is not None:
            because = one.rule.message or one.rule.title or one.rule.id
            yield one.rule.approve.asked_by(
                one.rule.id, version=str(version), because=because
            )


def _masks(rules: Iterable[Rule]) -> Iterator[Check]:
    for rule in rules:
        check = rule.check
        if check and check.on_arguments and rule.masks:
            yield check


def _reason(one: Verdict) -> str:
    rule = one.rule
    if one.error:
        return f"rule {rule.id}: error: {one.why}"
    if rule.effect == ALLOW_RULE and one.says != ALLOW_RULE:
        return f"rule {rule.id}: no allow rule holds: {one.why}"
    return f"rule {rule.id}: {one.says}: {one.why}"


def _would(verdicts: Sequence[Verdict]) -> Iterator[Would]:
    watched = [one for one in verdicts if not one.rule.enforced]
    unlisted = _not_listed(watched, verdicts)
    for one in watched:
        if one.says and one.says != ALLOW_RULE:
            yield Would(one.rule.id, one.says, one.why)
        elif one in unlisted:
            yield Would(one.rule.id, DENY, f"no allow rule holds: {one.why}")


def for_record(decision: Decision, arguments: Mapping[str, Any]) -> Any:
    """The arguments without what rules hide from every record."""
    shown: Any = arguments
    for path in decision.hide:
        shown = paths.replace(shown, path, lambda _: HIDDEN)
    try:
        for check in decision.masks:
            shown = checks.mask(check, shown)
    except CheckError:
        return HIDDEN
    return shown
