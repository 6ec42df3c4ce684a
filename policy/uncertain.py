"""Which decisions cannot be made again from arguments that were redacted.

The journal keeps arguments without secrets, without what rules hide, and cut where
they are long. A rule that reads such a value is said to be uncertain, never guessed.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from policy.compiled import CompiledRule, RuleSet
from policy.decision import Decision
from policy.facts import CallFacts
from policy.paths import EACH, Path
from policy.rule import ALLOW, DENY, LIMIT
from policy.verdicts import CONDITION_IS_FALSE, Verdict

_MARKED = re.compile(r"\[redacted|\[too deep\]|\N{REPLACEMENT CHARACTER}")
CUT = "\N{HORIZONTAL ELLIPSIS}"
_LONGEST_KEPT = 2_000


def hidden_in(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where a value of the journal is not what it was."""
    if isinstance(value, str):
        cut = value.endswith(CUT) and len(value) > _LONGEST_KEPT
        if cut or _MARKED.search(value):
            yield path
    elif isinstance(value, dict):
        if any(key == CUT or _MARKED.search(key) for key in value):
            yield path
        for key, inner in value.items():
            yield from hidden_in(inner, (*path, key))
    elif isinstance(value, list):
        if value and isinstance(value[-1], str) and value[-1].startswith(f"{CUT} "):
            yield path
        for number, inner in enumerate(value):
            yield from hidden_in(inner, (*path, number))


def uncertain_rules(
    rules: RuleSet, call: CallFacts, decision: Decision
) -> tuple[str, ...]:
    """Ids of the rules that read something hidden, for a decision made with it."""
    hidden = tuple(hidden_in(call.arguments))
    if not hidden:
        return ()
    selected = rules.selected(call.tool, call.principal)
    return tuple(
        one.rule.id
        for one, verdict in zip(selected, decision.verdicts, strict=True)
        if _is_uncertain(one, verdict, hidden)
    )


def is_certain(decision: Decision, uncertain: Iterable[str]) -> bool:
    """Whether the decision is what it is whatever the hidden values were."""
    doubtful = set(uncertain)
    enforced = [one for one in decision.verdicts if one.rule.enforced]
    if not any(one.rule.id in doubtful for one in enforced):
        return True
    if not decision.denied:
        return False
    if not decision.denied_by:
        # Not covered by a grant, or not in this way: no rule was needed.
        return True
    listed = [one for one in enforced if one.rule.effect == ALLOW]
    unlisted = not any(one.says == ALLOW for one in listed)
    return any(
        one.says == DENY and one.rule.id not in doubtful for one in enforced
    ) or (
        bool(listed) and unlisted and not any(one.rule.id in doubtful for one in listed)
    )


def _is_uncertain(
    one: CompiledRule, verdict: Verdict, hidden: tuple[Path, ...]
) -> bool:
    if one.when is not None and _reads(one.when.uses, hidden):
        return True
    if verdict.why == CONDITION_IS_FALSE:
        return False
    check, limits = one.rule.check, one.rule.limits
    if check is not None and check.on_arguments and check.kind != "working_hours":
        found_nothing = verdict.says in ("", ALLOW)
        doubtful = found_nothing or check.kind == "max_amount" or verdict.error
        if doubtful and _reads(check.paths or ((),), hidden):
            return True
    if one.rule.effect != LIMIT:
        return False
    bounded = (path for path, _ in limits.argument_items)
    return limits.argument_bytes is not None or _reads(bounded, hidden)


def _reads(used: Iterable[Path], hidden: tuple[Path, ...]) -> bool:
    return any(_meet(path, place) for path in used for place in hidden)


def _meet(used: Path, hidden: Path) -> bool:
    """Whether one lies in the other."""
    return all(
        EACH in (left, right) or left == right
        for left, right in zip(used, hidden, strict=False)
    )
