"""Rules as documents: what is read, what is refused and where, and written back."""

from typing import Any

import pytest

from policy.rules import InvalidRules, as_dict, parse, parse_all

FULL: dict[str, Any] = {
    "id": "big-refunds",
    "title": "Refunds above 500",
    "mode": "monitor",
    "effect": "require_approval",
    "select": {"tools": ["shop.refund*"], "environments": ["prod"]},
    "when": "args.amount > 500",
    "message": "Finance has to agree.",
    "approve": {"role": "finance", "quorum": 2},
}
DENY = {"id": "r", "effect": "deny"}


@pytest.mark.parametrize(
    "document",
    [
        FULL,
        {"id": "r", "enabled": False, "mode": "enforce", "effect": "deny"},
        {
            "id": "r",
            "mode": "enforce",
            "effect": "redact",
            "redact": {"arguments": ["card"], "results": ['rows[]["e mail"]', "[0].a"]},
        },
        {
            "id": "r",
            "mode": "enforce",
            "effect": "redact",
            "check": {"kind": "pii", "in": "both", "find": ["email", "card"]},
        },
        {
            "id": "r",
            "mode": "enforce",
            "effect": "limit",
            "limit": {
                "argument_bytes": 0,
                "result_bytes": 1000,
                "calls_per_run": 3,
                "items": {"args.ids": 100, "result": 5, "result.rows[].x": 0},
            },
        },
        {
            "id": "r",
            "mode": "enforce",
            "effect": "allow",
            "check": {
                "kind": "working_hours",
                "zone": "Europe/Berlin",
                "days": ["mon", "fri"],
                "from": "09:00",
                "to": "24:00",
                "holidays": ["2026-12-25"],
            },
        },
        {
            "id": "r",
            "mode": "enforce",
            "effect": "deny",
            "check": {"kind": "max_amount", "path": "a.b", "max": "10.5"},
        },
        {
            "id": "r",
            "mode": "enforce",
            "effect": "deny",
            "check": {"kind": "url_domains", "allow": ["*.acme.com"], "paths": ["u"]},
        },
    ],
)
def test_what_was_read_is_written_back_the_same(document: dict[str, Any]) -> None:
    rule = parse(document)
    assert rule.written == document
    assert parse(as_dict(rule)) == rule


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"id": "Not Good"}, "id", "small letters"),
        ({"effect": "forbid"}, "effect", "none of deny, require_approval"),
        ({"mode": "watch"}, "mode", "none of enforce, monitor"),
        ({"enabled": "no"}, "enabled", "true or false"),
        ({"effects": ["x"]}, "effects", "there is no such field; use id"),
        ({"select": {"server": ["crm"]}}, "select.server", "use servers, tools"),
        ({"select": {"tools": "crm.x"}}, "select.tools", "give a list"),
        ({"select": {"teams": [False]}}, "select.teams", "quotation marks"),
        ({"select": {"effects": ["red"]}}, "select.effects", "none of read"),
        ({"when": "args."}, "when", "Line 1"),
        ({"when": 3}, "when", "give a text"),
        ({"check": {"kind": "sentiment"}}, "check.kind", "none of pii"),
        ({"check": {"kind": "max_amount", "path": "a"}}, "check.max", "cannot do"),
        ({"check": {"kind": "pii", "allow": ["x"]}}, "check.allow", "no such field"),
        ({"check": {"kind": "pii", "find": ["name"]}}, "check.find", "none of email"),
        (
            {"check": {"kind": "email_domains", "allow": ["a@b"]}},
            "check.allow",
            "no domain",
        ),
        (
            {"check": {"kind": "working_hours", "from": 540, "to": "17:00"}},
            "check.from",
            "09:00",
        ),
        (
            {"check": {"kind": "working_hours", "from": "17:00", "to": "09:00"}},
            "check.to",
            "ends before",
        ),
        (
            {
                "check": {
                    "kind": "working_hours",
                    "from": "09:00",
                    "to": "17:00",
                    "zone": "../x",
                }
            },
            "check.zone",
            "no time zone",
        ),
        ({"approve": {"role": "finance"}}, "approve", "takes no approve"),
        (
            {"effect": "require_approval", "approve": {"role": "king"}},
            "approve",
            "decides nothing",
        ),
        (
            {"effect": "allow", "check": {"kind": "pii", "in": "results"}},
            "check.in",
            "only deny and redact",
        ),
        ({"effect": "redact"}, "redact", "give paths"),
        (
            {"effect": "redact", "redact": {"results": ["a b"]}},
            "redact.results",
            "is not like",
        ),
        (
            {
                "effect": "redact",
                "redact": {"arguments": ["a"]},
                "check": {"kind": "pii", "in": "results"},
            },
            "redact.arguments",
            "before the result",
        ),
        ({"effect": "limit"}, "limit", "give one of argument_bytes"),
        (
            {"effect": "limit", "limit": {"result_bytes": -1}},
            "limit.result_bytes",
            "whole number",
        ),
        (
            {"effect": "limit", "limit": {"items": {"ids": 3}}},
            "limit.items",
            "begin with args or result",
        ),
    ],
)
def test_what_is_wrong_is_said_with_rule_and_field(
    wrong: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(InvalidRules) as raised:
        parse({**DENY, **wrong})
    problem = raised.value.problems[0]
    assert (problem["field"], problem["rule"]) == (
        field,
        "r" if "id" not in wrong else "",
    )
    assert says in problem["message"]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidRules) as raised:
        parse_all([{**DENY, "when": "1 +", "mode": "x"}, {"id": "b"}, 3, DENY, DENY])
    assert [(one["rule"], one["field"]) for one in raised.value.problems] == [
        ("r", "mode"),
        ("r", "when"),
        ("b", "effect"),
        ("rule 3", "rule"),
        ("r", "id"),
    ]
    assert "(and 4 more)" in raised.value.message


def test_rules_are_kept_by_id() -> None:
    rules = parse_all([{"id": "b", "effect": "deny"}, {"id": "a", "effect": "deny"}])
    assert [rule.id for rule in rules] == ["a", "b"]
