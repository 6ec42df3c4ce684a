"""Whether something may run at all: its way of calling, its language, its model.

Pure, from plain values, for whatever names a model or a language: each function
answers with the error to raise, or with None where nothing forbids it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from core.errors import Denied
from policy.decision import DENY, Decision
from policy.sandbox import DIRECT, LANGUAGES, MODES, SCRIPT, Rule

_ASK = "or ask an administrator"


class ModeRefused(Denied):
    """Scripts, or direct calls, are not allowed here."""

    code = "mode_not_allowed"


class LanguageRefused(Denied):
    """The script's language is not allowed here."""

    code = "language_not_allowed"


class ModelRefused(Denied):
    """The model is not allowed here."""

    code = "model_not_allowed"


class ModelMissing(Denied):
    """No model is named where one must be."""

    code = "model_required"


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways in which a tool may be called."""

    script: bool = True
    direct: bool = True


def refusal(
    rules: Sequence[Rule], *, mode: str, language: str = "", model: str = ""
) -> Denied | None:
    """Why a run may not be made; ``language`` is empty for a direct call."""
    return (
        mode_refusal(rules, mode)
        or language_refusal(rules, language)
        or model_refusal(rules, model)
    )


def mode_refusal(rules: Iterable[Rule], mode: str) -> Denied | None:
    """Why nothing may be called in this way."""
    against = _against(rules, "modes", mode)
    if not against:
        return None
    way = (
        "call the tools directly, as MCP tools of their own,"
        if mode == SCRIPT
        else "call the tool from a script with execute,"
    )
    return ModeRefused(
        f"{MODES[mode]} are not allowed here (by {_names(against)}): {way} {_ASK}.",
        details=_details(against, "mode", mode),
    )


def language_refusal(rules: Sequence[Rule], language: str) -> Denied | None:
    """Why no script may be in this language."""
    against = _against(rules, "languages", language) if language else []
    if not against:
        return None
    left = [name for name in LANGUAGES if not _against(rules, "languages", name)]
    instead = " or ".join(LANGUAGES[name] for name in left)
    advice = f"write it in {instead}" if left else "no language is left"
    return LanguageRefused(
        f"Scripts in {LANGUAGES.get(language, language)} are not allowed here (by "
        f"{_names(against)}): {advice}, {_ASK}.",
        details=_details(against, "language", language) | {"allowed": left},
    )


def model_refusal(rules: Sequence[Rule], model: str) -> Denied | None:
    """Why this model may not be used; an empty one is named by nobody."""
    if not model.strip():
        return _unnamed(rules)
    against = [
        rule for rule in rules if rule.models and not model_allowed(model, rule.models)
    ]
    if not against:
        return None
    allowed = _some(against[0].models)
    return ModelRefused(
        f"The model {model[:100]!r} is not allowed here ({against[0].of} allows "
        f"{allowed}): use one of these, {_ASK}.",
        details=_details(against, "model", model[:100]),
    )


def model_allowed(model: str, allowed: Iterable[str]) -> bool:
    """Whether a name or glob of the list fits the model, letter case aside."""
    name = model.strip().lower()
    return any(fnmatchcase(name, pattern.lower()) for pattern in allowed)


def in_its_way(
    decision: Decision, rules: Iterable[Rule], ways: Ways, *, tool: str, mode: str
) -> Decision:
    """The decision on a call, denied where it may not be made in this way."""
    if decision.denied:
        return decision
    refused = mode_refusal(rules, mode)
    told = refused.message if refused else tool_refusal(ways, tool=tool, mode=mode)
    if not told:
        return decision
    return replace(
        decision, effect=DENY, reasons=(*decision.reasons, f"way: {told}"), told=told
    )


def tool_refusal(ways: Ways, *, tool: str, mode: str) -> str:
    """Why the tool may not be called in this way, and in which it may."""
    if mode == SCRIPT and not ways.script:
        return (
            f"{tool} may not be called from scripts: call it directly, as the MCP tool "
            f"{tool}."
        )
    if mode == DIRECT and not ways.direct:
        return (
            f"{tool} is not listed for direct calls: call it from a script with "
            "execute."
        )
    return ""


def _unnamed(rules: Iterable[Rule]) -> Denied | None:
    against = [rule for rule in rules if rule.require_model]
    if not against:
        return None
    return ModelMissing(
        f"The model has to be named here (by {_names(against)}): send it as "
        '"tollgate/model" in _meta of the MCP call, or as model over REST.',
        details=_details(against, "model", ""),
    )


def _against(rules: Iterable[Rule], kind: str, name: str) -> list[Rule]:
    """Rules that allow some, but not this one."""
    return [
        rule
        for rule in rules
        if getattr(rule, kind) and name not in getattr(rule, kind)
    ]


def _names(rules: Iterable[Rule]) -> str:
    return ", ".join(rule.of for rule in rules)


def _some(names: Sequence[str], shown: int = 8) -> str:
    text = ", ".join(names[:shown])
    return f"{text} and {len(names) - shown} more" if len(names) > shown else text


def _details(against: Iterable[Rule], kind: str, name: str) -> dict[str, object]:
    return {kind: name, "set_by": [rule.of for rule in against]}
