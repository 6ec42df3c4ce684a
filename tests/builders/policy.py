"""Rules and calls to decide on."""

from typing import Any

from core.clock import now
from policy.compiled import RuleSet
from policy.facts import CallFacts, PrincipalFacts, RunFacts, ToolFacts
from policy.rules import parse_all

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
