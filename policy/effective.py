"""What holds where several layers ask for something, and which of them set it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from policy.sandbox import LANGUAGES, LIMITS, MODES, RUN, Bound, Rule, merge, number


@dataclass(frozen=True, slots=True)
class Line:
    """One setting as it holds; ``set_by`` is empty where the default does."""

    what: str
    value: str
    set_by: tuple[str, ...] = ()


def effective(rules: Sequence[Rule]) -> list[Line]:
    """Every setting with its value and the layers that made it so."""
    held = merge(rules)
    asked = RUN if any(rule.level == RUN for rule in rules) else held.level
    return [
        Line("Level", held.level, _by(rules, lambda rule: rule.level == asked)),
        Line(
            "gVisor",
            "required" if held.require_gvisor else "not required",
            _by(rules, lambda rule: rule.require_gvisor),
        ),
        _listed("Languages", rules, LANGUAGES, lambda rule: rule.languages),
        _listed("Ways of calling", rules, MODES, lambda rule: rule.modes),
        _models(rules),
        Line(
            "Naming the model",
            "required" if any(rule.require_model for rule in rules) else "not required",
            _by(rules, lambda rule: rule.require_model),
        ),
        *(_limit(rules, name, bound) for name, bound in LIMITS.items()),
    ]


def _listed(
    what: str,
    rules: Sequence[Rule],
    known: Mapping[str, str],
    allowed: Callable[[Rule], Sequence[str]],
) -> Line:
    left = [
        label
        for name, label in known.items()
        if all(name in (allowed(rule) or known) for rule in rules)
    ]
    return Line(what, ", ".join(left) or "none", _by(rules, allowed))


def _models(rules: Sequence[Rule]) -> Line:
    lists = [", ".join(rule.models) for rule in rules if rule.models]
    value = " and of these ".join(lists) or "any"
    return Line("Models", value, _by(rules, lambda rule: rule.models))


def _limit(rules: Sequence[Rule], name: str, bound: Bound) -> Line:
    given = [rule.limits[name] for rule in rules if name in rule.limits]
    value = min(given, default=bound.default)
    by = _by(rules, lambda rule: rule.limits.get(name) == value)
    return Line(bound.label, f"{number(value)} {bound.unit}".strip(), by)


def _by(rules: Iterable[Rule], holds: Callable[[Rule], object]) -> tuple[str, ...]:
    return tuple(rule.of for rule in rules if holds(rule))
