"""Rules and calls to decide on."""

from typing import Any

from core.clock import now
from policy.compiled import RuleSet
from policy.facts import CallFacts, PrincipalFacts, RunFacts, ToolFacts
from policy.models import PolicyDraft, PolicyVersion
from policy.rules import parse_all
from policy.services import drafts, rules
from tests.builders.identity import ACTOR

REFUND = ToolFacts("shop.refund", "shop", "write", ("money",))
AGENT = PrincipalFacts(
    "sa:sales/agent", "service_account", "agent", "sales", "prod", "tg_abcdefgh"
)


def make_rules(*rules: dict[str, Any], version: int = 7) -> RuleSet:
    return RuleSet(parse_all([{"id": "r", **one} for one in rules]), version=version)


def make_call(arguments: dict[str, Any] | None = None, **changed: Any) -> CallFacts:
    """A granted call of ``shop.refund`` by an agent of sales in prod."""
    values: dict[str, Any] = {
        "tool": REFUND,
        "principal": AGENT,
        "run": RunFacts("run_1", "script", "python"),
        "arguments": arguments or {},
        "at": now(),
        "granted": True,
        "enabled": True,
        "scopes": ("tools:*",),
    }
    return CallFacts(**(values | changed))


def make_version(*documents: dict[str, Any]) -> PolicyVersion:
    """Make these the live rules."""
    draft = drafts.begin(name="test", rules=list(documents), actor=ACTOR, at=now())
    return rules.publish(uid=draft.uid, reason="test", actor=ACTOR, at=now())


def make_draft_over_a_version() -> PolicyDraft:
    """Version 1 with a rule ``no``, and a draft on it that changes the rule."""
    make_version({"id": "no", "effect": "deny", "mode": "monitor"})
    changed = [{"id": "no", "effect": "deny"}]
    return drafts.begin(name="test", rules=changed, actor=ACTOR, at=now())
