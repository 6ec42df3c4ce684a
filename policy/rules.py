"""Rules from their documents: read, checked, and refused with rule and field."""

import re
from collections.abc import Mapping

from core.errors import Invalid
from policy import paths
from policy.cel import ConditionError, compile_condition
from policy.routing import DEFAULT, Route
from policy.rule import (
    ALLOW,
    APPROVE,
    BOUNDS,
    CALL_EFFECTS,
    DENY,
    ENFORCE,
    LIMIT,
    MONITOR,
    MOST_RULES,
    REDACT,
    RULE_EFFECTS,
    SELECT_FIELDS,
    InvalidRules,
    Limits,
    Rule,
    as_dict,
)
from policy.rule_reader import MOST_PATHS, Reader, read_check

__all__ = [
    "ALLOW",
    "APPROVE",
    "DENY",
    "ENFORCE",
    "LIMIT",
    "MONITOR",
    "REDACT",
    "InvalidRules",
    "Rule",
    "as_dict",
    "parse",
    "parse_all",
]

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,59}\Z")
_FIELDS = (
    "id",
    "title",
    "enabled",
    "mode",
    "effect",
    "select",
    "when",
    "check",
    "message",
    "approve",
    "redact",
    "limit",
)


def parse(raw: object) -> Rule:
    """One rule from its document. Raises InvalidRules with everything wrong with it."""
    rule, problems = _read(raw, "")
    if problems or rule is None:
        raise InvalidRules(problems)
    return rule


def parse_all(raw: object) -> tuple[Rule, ...]:
    """Rules from a list, in the order of their ids. Raises InvalidRules."""
    if not isinstance(raw, list | tuple) or len(raw) > MOST_RULES:
        raise InvalidRules(
            [_problem("", "rules", f"give a list of at most {MOST_RULES:,} rules.")]
        )
    rules: dict[str, Rule] = {}
    problems: list[dict[str, str]] = []
    for number, one in enumerate(raw, 1):
        rule, wrong = _read(one, f"rule {number}")
        problems += wrong
        if rule is None:
            continue
        if rule.id in rules:
            problems.append(_problem(rule.id, "id", "two rules have this id."))
        rules[rule.id] = rule
    if problems:
        raise InvalidRules(problems)
    return tuple(rules[name] for name in sorted(rules))


def _problem(rule: str, name: str, message: str) -> dict[str, str]:
    return {"rule": rule, "field": name, "message": message}


def _read(raw: object, place: str) -> tuple[Rule | None, list[dict[str, str]]]:
    if not isinstance(raw, Mapping):
        return None, [_problem(place, "rule", "give names with their values.")]
    given = raw.get("id")
    name = given if isinstance(given, str) and _ID.match(given) else ""
    read = Reader(raw, name or place)
    if not name:
        read.wrong("id", "use small letters, digits and dashes, up to 60.")
    read.known(raw, _FIELDS, "")
    effect = read.choice("effect", RULE_EFFECTS, "")
    enabled = raw.get("enabled", True)
    if not isinstance(enabled, bool):
        read.wrong("enabled", "give true or false.")
    redact = read.mapping("redact")
    read.known(redact, ("arguments", "results"), "redact.")
    rule = Rule(
        id=name,
        effect=effect,
        title=read.text("title", 200),
        enabled=bool(enabled),
        mode=read.choice("mode", (ENFORCE, MONITOR), ENFORCE),
        select=_select(read),
        when=_when(read),
        check=read_check(read),
        message=read.text("message", 500),
        approve=_approve(read, effect),
        redact_arguments=read.paths(redact.get("arguments"), "redact.arguments"),
        redact_results=read.paths(redact.get("results"), "redact.results"),
        limits=_limits(read),
    )
    if not read.problems:
        _agree(read, rule)
    if read.problems:
        return None, read.problems
    object.__setattr__(rule, "written", as_dict(rule))
    return rule, []


def _select(read: Reader) -> dict[str, tuple[str, ...]]:
    raw = read.mapping("select")
    read.known(raw, SELECT_FIELDS, "select.")
    chosen = {}
    for name in SELECT_FIELDS:
        if words := read.words(raw.get(name), f"select.{name}"):
            chosen[name] = words
    for effect in chosen.get("effects", ()):
        if effect not in CALL_EFFECTS:
            read.wrong(
                "select.effects", f"{effect!r} is none of {', '.join(CALL_EFFECTS)}."
            )
    return chosen


def _when(read: Reader) -> str:
    when = read.text("when", 4_000)
    if when:
        try:
            compile_condition(when)
        except ConditionError as error:
            read.wrong("when", str(error))
    return when


def _approve(read: Reader, effect: str) -> Route | None:
    raw = read.raw.get("approve")
    if effect != APPROVE:
        return None
    if raw is None:
        return DEFAULT
    try:
        return Route.parse(raw)
    except Invalid as error:
        name, colon, words = error.message.partition(": ")
        read.wrong(name if colon else "approve", words if colon else error.message)
    return None


def _limits(read: Reader) -> Limits:
    raw = read.mapping("limit")
    read.known(raw, (*BOUNDS, "items"), "limit.")
    bounds = {
        name: read.whole(raw[name], f"limit.{name}")
        for name in BOUNDS
        if raw.get(name) is not None
    }
    items = raw.get("items") or {}
    if not isinstance(items, Mapping) or len(items) > MOST_PATHS:
        read.wrong("limit.items", "give paths with their most, as in {args.ids: 100}.")
        items = {}
    sides: dict[str, list[tuple[paths.Path, int]]] = {"args": [], "result": []}
    for text, most in items.items():
        number = read.whole(most, f"limit.items.{str(text)[:60]}")
        path, *_ = read.paths([text], "limit.items") or (("",),)
        if path[0] not in sides:
            read.wrong("limit.items", f"{text!r}: begin with args or result.")
        elif number is not None:
            sides[str(path[0])].append((path[1:], number))
    return Limits(
        **bounds,
        argument_items=tuple(sides["args"]),
        result_items=tuple(sides["result"]),
    )


def _agree(read: Reader, rule: Rule) -> None:
    """Whether the parts of a rule go together."""
    given = {name for name in ("approve", "redact", "limit") if read.raw.get(name)}
    own = {APPROVE: "approve", REDACT: "redact", LIMIT: "limit"}.get(rule.effect, "")
    for name in sorted(given - {own}):
        read.wrong(name, f"a rule with effect {rule.effect} takes no {name}.")
    check = rule.check
    if check and check.on_results and rule.effect not in (DENY, REDACT):
        read.wrong("check.in", "only deny and redact can look at results.")
    if rule.effect == REDACT:
        _agree_on_redaction(read, rule)
    if rule.effect == LIMIT and rule.limits == Limits():
        read.wrong("limit", f"give one of {', '.join((*BOUNDS, 'items'))}.")


def _agree_on_redaction(read: Reader, rule: Rule) -> None:
    check = rule.check
    places = rule.redact_arguments + rule.redact_results
    if not places and (check is None or not check.masks):
        read.wrong("redact", "give paths, or a check of pii or secrets to mask by.")
    if rule.redact_arguments and check and not check.on_arguments:
        read.wrong(
            "redact.arguments",
            "the arguments are on record before the result is checked.",
        )
