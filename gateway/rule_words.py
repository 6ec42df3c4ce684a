"""A rule in words, one line for each of its parts, as pages show it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policy.rule import ALLOW, APPROVE, DENY, LIMIT, REDACT

Document = Mapping[str, Any]

EFFECT_WORDS = {
    DENY: "Deny",
    APPROVE: "Ask for approval",
    REDACT: "Redact",
    LIMIT: "Limit",
    ALLOW: "Allow only",
}
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))
_BOUNDS = {
    "argument_bytes": "{:,} bytes of arguments",
    "result_bytes": "{:,} bytes of result",
    "calls_per_run": "{:,} calls in one run",
}


def duration(seconds: int) -> str:
    """Seconds in the largest unit that is whole: ``24 h``, ``90 min``."""
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def selector_words(rule: Document) -> str:
    """Which calls the rule looks at."""
    parts = [
        f"{name[:-1] if len(words) == 1 else name} {', '.join(words)}"
        for name, words in rule.get("select", {}).items()
    ]
    return " · ".join(parts) or "every call"


def condition_words(rule: Document) -> str:
    """What has to hold beside the selector; empty where nothing has to."""
    parts = [text for text in (rule.get("when", ""), check_words(rule)) if text]
    return " and ".join(parts)


def check_words(rule: Document) -> str:
    """What the built-in check looks for."""
    check = rule.get("check")
    if not check:
        return ""
    kind = check["kind"]
    if kind == "working_hours":
        days = ", ".join(check["days"])
        return f"outside {check['from']}–{check['to']} {check['zone']}, {days}"
    if kind == "max_amount":
        return f"{check['path']} over {check['max']}"
    if kind in {"url_domains", "email_domains"}:
        what = "a URL" if kind == "url_domains" else "an e-mail address"
        return f"{what} outside {', '.join(check['allow'])}"
    found = ", ".join(check.get("find", ())) or kind
    return f"{found} found in {check.get('in', 'arguments')}"


def outcome_words(rule: Document) -> str:
    """What happens to a call that the rule applies to."""
    effect = rule["effect"]
    if effect == APPROVE:
        return f"Ask {asked_words(rule.get('approve') or {'role': 'approver'})}"
    if effect == REDACT:
        return f"Redact {', '.join(_hidden(rule.get('redact', {}))) or 'what it finds'}"
    if effect == LIMIT:
        return f"At most {', '.join(_bounds(rule.get('limit', {})))}"
    return EFFECT_WORDS[effect]


def asked_words(route: Document) -> str:
    """Who has to agree."""
    text = route.get("role") or f"group {route.get('group')}"
    if (quorum := route.get("quorum", 1)) > 1:
        text += f", {quorum} of them"
    if seconds := route.get("expires_seconds"):
        text += f", within {duration(seconds)}"
    if further := route.get("escalate_to"):
        after = duration(route["escalate_after_seconds"])
        text += f", after {after} also {further.get('role') or further.get('group')}"
    return text


def _hidden(redact: Document) -> Iterator[str]:
    for side, paths in redact.items():
        yield f"{', '.join(paths)} in {side}"


def _bounds(limit: Document) -> Iterator[str]:
    for name, words in _BOUNDS.items():
        if name in limit:
            yield words.format(limit[name])
    for path, most in limit.get("items", {}).items():
        yield f"{most:,} items at {path}"


def value_words(value: object) -> str:
    """A field's value before or after a change."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {value_words(one)}" for name, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(value_words, value))
    return str(value)
