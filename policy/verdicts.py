"""What one rule says of one call, before it is made."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from policy import checks, paths
from policy.cel import ConditionError, Scope
from policy.checks import CheckError
from policy.compiled import CompiledRule
from policy.facts import CallFacts
from policy.rule import ALLOW, DENY, LIMIT, REDACT, Rule

CONDITION_IS_FALSE = "its condition is false"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a selected rule says of a call.

    ``says`` is an effect, or empty where the rule does not apply. With ``error`` the
    rule could not be evaluated and says deny, whatever its effect. ``later`` rules
    look at the result as well.
    """

    rule: Rule
    says: str
    why: str = ""
    error: bool = False
    later: bool = False

    @property
    def told(self) -> str:
        """Why it denies, as the agent may read it."""
        if self.error:
            return "it could not be evaluated for this call"
        if self.rule.message:
            return self.rule.message
        return self.why if self.rule.effect == LIMIT else ""


def verdict(one: CompiledRule, call: CallFacts, scope: Scope) -> Verdict:
    """What a rule says whose selector takes the call. Never raises."""
    rule = one.rule
    try:
        if one.when is not None and not scope.holds(one.when):
            return Verdict(rule, "", CONDITION_IS_FALSE)
        return _checked(one, call)
    except (ConditionError, CheckError) as error:
        return Verdict(rule, DENY, str(error), error=True)
    except Exception:  # noqa: BLE001 - whatever arguments do to a rule, it denies
        return Verdict(rule, DENY, "it cannot be evaluated", error=True)


def _checked(one: CompiledRule, call: CallFacts) -> Verdict:
    rule, check = one.rule, one.rule.check
    later = rule.looks_at_results
    if check is None:
        return _says(one, call, "it applies to the call", later)
    if not check.on_arguments:
        return Verdict(rule, "", "its check looks at the result", later=True)
    found = ", ".join(checks.findings(check, call.arguments, at=call.at))
    if rule.effect == ALLOW:
        if found:
            return Verdict(rule, "", found)
        return Verdict(rule, ALLOW, f"its check {check.kind} finds nothing")
    if not found:
        nothing = f"its check {check.kind} finds nothing"
        return Verdict(rule, "", nothing, later=check.on_results)
    return _says(one, call, found, later)


def _says(one: CompiledRule, call: CallFacts, why: str, later: bool) -> Verdict:
    rule = one.rule
    if rule.effect != LIMIT:
        return Verdict(rule, rule.effect, why, later=later)
    passed = ", ".join(_passed(one, call))
    if passed:
        return Verdict(rule, DENY, passed)
    return Verdict(rule, "", "its limits are kept", later=later)


def _passed(one: CompiledRule, call: CallFacts) -> Iterator[str]:
    limits = one.rule.limits
    if limits.argument_bytes is not None:
        size = _size(call.arguments)
        if size > limits.argument_bytes:
            yield f"{size:,} bytes of arguments; {limits.argument_bytes:,} is most"
    if limits.calls_per_run is not None:
        made = sum(
            number for tool, number in call.run.made.items() if one.takes_tool(tool)
        )
        if made >= limits.calls_per_run:
            yield f"{made:,} such calls in this run; {limits.calls_per_run:,} is most"
    yield from too_many(limits.argument_items, call.arguments)


def too_many(
    bounds: tuple[tuple[paths.Path, int], ...], value: object
) -> Iterator[str]:
    """Which lists or objects are longer than they may be, in words."""
    for path, most in bounds:
        for found in paths.find(value, path):
            if isinstance(found, list | dict) and len(found) > most:
                where = paths.show(path) or "the top"
                yield f"{len(found):,} items at {where}; {most:,} is most"


def _size(value: object) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError:
        # Integers beyond 64 bits.
        return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def hides(one: Verdict) -> bool:
    """Whether the rule's arguments are to be hidden from the trail.

    A redaction that could not be evaluated hides what it names all the same.
    """
    return one.rule.effect == REDACT and (one.says == REDACT or one.error)
