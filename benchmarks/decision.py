"""Time of a policy decision by number of rules and tools; JSON lines."""

import argparse
import gc
import json
import random
import statistics
import time
from datetime import UTC, datetime
from typing import Any

from policy.compiled import RuleSet
from policy.decision import decide
from policy.facts import CallFacts, PrincipalFacts, RunFacts, ToolFacts
from policy.rules import parse_all

SERVERS = 50
TEAMS = 50
_CONDITIONS = (
    "args.amount > 5000",
    'args.currency == "XTS" && args.amount > 1',
    'args.customer.country in ["XX", "YY"]',
    'principal.environment == "dev" && tool.effect == "write"',
    'args.note.startsWith("urgent:")',
)
ARGUMENTS = {
    "amount": 120,
    "currency": "EUR",
    "customer": {"id": "cus_4711", "country": "DE"},
    "note": "ordinary",
}


def make_tools(count: int) -> list[ToolFacts]:
    """Tools over fifty servers, every seventh of which writes."""
    return [
        ToolFacts(
            name=f"service_{number % SERVERS}.tool_{number}",
            server=f"service_{number % SERVERS}",
            effect="read" if number % 7 else "write",
            tags=(f"tag_{number % 20}",),
        )
        for number in range(count)
    ]


def make_rules(count: int) -> list[dict[str, Any]]:
    """Rules of every effect; four conditions select the tool that is measured."""
    rng = random.Random(count)  # noqa: S311
    rules: list[dict[str, Any]] = [
        {
            "id": f"everywhere-{number}",
            "effect": effect,
            "select": {"servers": ["service_1*"]},
            "when": _CONDITIONS[number],
        }
        for number, effect in enumerate(
            ("deny", "require_approval", "deny", "require_approval")
        )
    ]
    selectors = (
        lambda n: {"tools": [f"service_{n % SERVERS}.tool_{n}"]},
        lambda n: {"servers": [f"service_{20 + n % 30}"], "tags": [f"tag_{n % 20}"]},
        lambda n: {"teams": [f"team_{1 + n % (TEAMS - 1)}"], "effects": ["write"]},
        lambda n: {"tools": [f"service_{20 + n % 30}.tool_{n % 10}*"]},
    )
    for number in range(count - len(rules)):
        rules.append(
            {
                "id": f"rule-{number}",
                "effect": rng.choice(["deny", "require_approval"]),
                "select": selectors[number % len(selectors)](number + 20),
                # Each its own, so that each is compiled.
                "when": f"{rng.choice(_CONDITIONS)} && args.amount > {number}",
            }
        )
    return rules


def _percentile(values: list[float], share: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 1)


def _call(tool: ToolFacts) -> CallFacts:
    return CallFacts(
        tool=tool,
        principal=PrincipalFacts(
            "sa:team_0/agent", "service_account", "agent", "team_0", "prod", "tg_a"
        ),
        run=RunFacts("run_1", "script", "python"),
        arguments=dict(ARGUMENTS),
        at=datetime.now(UTC),
        granted=True,
        enabled=True,
        scopes=("tools:*",),
    )


def measure(rule_count: int, tool_count: int, *, rounds: int) -> dict[str, Any]:
    """One line of results; every decision is an allowed one."""
    tools = make_tools(tool_count)
    started = time.perf_counter()
    rules = RuleSet(parse_all(make_rules(rule_count)), version=1)
    compiled = len(rules.compiled)
    ready = time.perf_counter() - started
    first = []
    for tool in tools:
        started = time.perf_counter()
        decide(rules, _call(tool))
        first.append((time.perf_counter() - started) * 1e6)
    # Tools of the ten servers that the four conditions everywhere are asked about.
    asked = [_call(tool) for tool in tools if tool.server.startswith("service_1")]
    rng = random.Random(1)  # noqa: S311
    taken, matching = [], []
    gc.collect()
    for _ in range(rounds):
        call = rng.choice(asked)
        started = time.perf_counter()
        decision = decide(rules, call)
        taken.append((time.perf_counter() - started) * 1e6)
        matching.append(len(decision.verdicts))
        assert not decision.denied, decision.reasons
    return {
        "benchmark": "decision",
        "rules": compiled,
        "tools": tool_count,
        "matching_rules_with_conditions": round(statistics.mean(matching), 1),
        "decision_p50_us": _percentile(taken, 0.5),
        "decision_p95_us": _percentile(taken, 0.95),
        "first_of_a_tool_p50_us": _percentile(first, 0.5),
        "ready_seconds": round(ready, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50_000)
    rounds = parser.parse_args().rounds
    for rules in (10, 1_000):
        print(json.dumps(measure(rules, 5_000, rounds=rounds)), flush=True)


if __name__ == "__main__":
    main()
