"""What a rule is, and how it is written: the same in YAML, JSON, REST and forms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Any

from core.errors import Invalid
from policy import checks, paths
from policy.checks import Check
from policy.routing import Route

DENY, APPROVE, REDACT, LIMIT, ALLOW = (
    "deny",
    "require_approval",
    "redact",
    "limit",
    "allow",
)
RULE_EFFECTS = (DENY, APPROVE, REDACT, LIMIT, ALLOW)
ENFORCE, MONITOR = "enforce", "monitor"
TOOL_FIELDS = ("servers", "tools", "tags", "effects")
PRINCIPAL_FIELDS = ("teams", "roles", "environments", "keys")
SELECT_FIELDS = (*TOOL_FIELDS, *PRINCIPAL_FIELDS)
CALL_EFFECTS = ("read", "idempotent_write", "write")
BOUNDS = ("argument_bytes", "result_bytes", "calls_per_run")
MOST_RULES = 5_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a ``limit`` rule; ``items`` bounds the length of lists by path."""

    argument_bytes: int | None = None
    result_bytes: int | None = None
    calls_per_run: int | None = None
    argument_items: tuple[tuple[paths.Path, int], ...] = ()
    result_items: tuple[tuple[paths.Path, int], ...] = ()

    @property
    def on_results(self) -> bool:
        return self.result_bytes is not None or bool(self.result_items)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, as checked. ``select`` holds names or globs by field."""

    id: str
    effect: str
    title: str = ""
    enabled: bool = True
    mode: str = ENFORCE
    select: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    when: str = ""
    check: Check | None = None
    message: str = ""
    approve: Route | None = None
    redact_arguments: tuple[paths.Path, ...] = ()
    redact_results: tuple[paths.Path, ...] = ()
    limits: Limits = Limits()
    written: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The rule as a document, without what is default."""

    @property
    def enforced(self) -> bool:
        return self.mode == ENFORCE

    @property
    def masks(self) -> bool:
        """Whether it masks what its check finds, rather than whole values by path."""
        return self.effect == REDACT and not (
            self.redact_arguments or self.redact_results
        )

    @property
    def looks_at_results(self) -> bool:
        """Whether it has a say once the call is made, too."""
        if self.effect == LIMIT:
            return self.limits.on_results
        on_results = self.check is not None and self.check.on_results
        return on_results or bool(self.redact_results)


class InvalidRules(Invalid):
    """Rules that cannot be used; ``details["problems"]`` lists rule, field, message."""

    code = "invalid_rules"

    def __init__(self, problems: list[dict[str, str]]) -> None:
        first = problems[0]
        where = (
            f"{first['rule']}: {first['field']}" if first["rule"] else first["field"]
        )
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(
            f"{where}: {first['message']}{more}", details={"problems": problems}
        )
        self.problems = problems


def as_dict(rule: Rule) -> dict[str, Any]:
    """The rule as a document without what is default; parsing it gives it again."""
    shown: dict[str, Any] = {"id": rule.id}
    if rule.title:
        shown["title"] = rule.title
    if not rule.enabled:
        shown["enabled"] = False
    shown |= {"mode": rule.mode, "effect": rule.effect}
    if rule.select:
        shown["select"] = {name: list(rule.select[name]) for name in rule.select}
    if rule.when:
        shown["when"] = rule.when
    if rule.check:
        shown["check"] = _check_dict(rule.check)
    if rule.message:
        shown["message"] = rule.message
    if rule.approve:
        shown["approve"] = rule.approve.as_dict()
    redact = {
        name: [paths.show(path) for path in found]
        for name, found in (
            ("arguments", rule.redact_arguments),
            ("results", rule.redact_results),
        )
        if found
    }
    if redact:
        shown["redact"] = redact
    if rule.limits != Limits():
        shown["limit"] = _limit_dict(rule.limits)
    return shown


def _check_dict(check: Check) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": check.kind}
    if check.kind == "working_hours":
        return shown | _hours_dict(check)
    if check.where != checks.ARGUMENTS:
        shown["in"] = check.where
    if check.find:
        shown["find"] = list(check.find)
    if check.allow:
        shown["allow"] = list(check.allow)
    places = [paths.show(path) for path in check.paths]
    if check.kind == "max_amount":
        # As text where it is no whole number: documents are compared, floats are not.
        most = check.most
        whole = most == most.to_integral_value()
        return shown | {"path": places[0], "max": int(most) if whole else str(most)}
    if places:
        shown["paths"] = places
    return shown


def _hours_dict(check: Check) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "zone": check.zone,
        "days": list(check.days),
        "from": f"{check.first:%H:%M}",
        "to": "24:00" if check.last == time.max else f"{check.last:%H:%M}",
    }
    if check.holidays:
        shown["holidays"] = [str(day) for day in sorted(check.holidays)]
    return shown


def _limit_dict(limits: Limits) -> dict[str, Any]:
    shown: dict[str, Any] = {
        name: value for name in BOUNDS if (value := getattr(limits, name)) is not None
    }
    items = {
        paths.show((side, *path)): most
        for side, found in (
            ("args", limits.argument_items),
            ("result", limits.result_items),
        )
        for path, most in found
    }
    if items:
        shown["items"] = items
    return shown
