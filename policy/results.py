"""The policy decision on a call's result, before anybody is given or keeps it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policy import checks, paths
from policy.checks import CheckError
from policy.decision import ALLOW, DENY, HIDDEN, Would
from policy.rule import LIMIT, REDACT, Rule
from policy.verdicts import too_many


@dataclass(frozen=True, slots=True)
class ResultDecision:
    """Whether the result may be handed on, and what is handed on in its place."""

    effect: str
    value: Any
    reasons: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    would: tuple[Would, ...] = ()
    denied_by: str = ""
    told: str = ""

    @property
    def denied(self) -> bool:
        return self.effect == DENY

    @property
    def in_the_trail(self) -> dict[str, Any]:
        """What the audit event of the outcome says of the rules."""
        said: dict[str, Any] = {}
        if self.reasons:
            said["rules"] = list(self.reasons)
        if self.would:
            said["would"] = [one.as_dict() for one in self.would]
        return said


def decide_result(
    rules: Sequence[Rule], value: Any, *, size: int, at: datetime
) -> ResultDecision:
    """Decide on a result of ``size`` bytes by the ``later`` rules of its call.

    Every rule looks at the result as it came. Never raises.
    """
    reasons, applied, would, denials = [], [], [], []
    shown = value
    for rule in rules:
        says, why = _verdict(rule, value, size, at)
        if not says:
            continue
        if not rule.enforced:
            would.append(Would(rule.id, says, f"result: {why}"))
            continue
        reasons.append(f"rule {rule.id}: {says} of the result: {why}")
        applied.append(rule.id)
        if says == REDACT:
            try:
                shown = _redacted(rule, shown)
            except CheckError:
                denials.append((rule, "it could not be redacted"))
        else:
            told = rule.message or (why if rule.effect == LIMIT else "")
            denials.append((rule, told))
    if not denials:
        return ResultDecision(
            ALLOW, shown, tuple(reasons), tuple(applied), tuple(would)
        )
    return ResultDecision(
        DENY,
        None,
        tuple(reasons),
        tuple(applied),
        tuple(would),
        denied_by=denials[0][0].id,
        told=next((told for _, told in denials if told), ""),
    )


def _verdict(rule: Rule, value: Any, size: int, at: datetime) -> tuple[str, str]:
    if rule.effect == LIMIT:
        why = ", ".join(_passed(rule, value, size))
        return (DENY, why) if why else ("", "")
    check = rule.check
    if check is None or not check.on_results:
        return REDACT, "its paths"
    try:
        found = checks.findings(check, value, at=at)
    except CheckError as error:
        return DENY, str(error)
    except Exception:  # noqa: BLE001 - whatever a result does to a rule, it denies
        return DENY, "it could not be checked"
    return (rule.effect, ", ".join(found)) if found else ("", "")


def _passed(rule: Rule, value: Any, size: int) -> Iterator[str]:
    most = rule.limits.result_bytes
    if most is not None and size > most:
        yield f"{size:,} bytes of result; {most:,} is most"
    yield from too_many(rule.limits.result_items, value)


def _redacted(rule: Rule, value: Any) -> Any:
    if rule.masks and rule.check is not None:
        return checks.mask(rule.check, value)
    for path in rule.redact_results:
        value = paths.replace(value, path, lambda _: HIDDEN)
    return value
