"""The decision: what covers a call, which rule wins, and what is told and hidden."""

from dataclasses import replace
from typing import Any

import pytest

from policy.decision import HIDDEN, Decision, decide, for_record
from policy.facts import RunFacts, ToolFacts
from tests.builders.policy import AGENT, REFUND, make_call, make_rules

BIG = {"amount": 600}
FINANCE = {
    "id": "finance",
    "effect": "require_approval",
    "when": "args.amount > 500",
    "approve": {"role": "finance"},
}


def decided(
    *rules: dict[str, Any], arguments: dict[str, Any] | None = None, **changed: Any
) -> Decision:
    return decide(make_rules(*rules), make_call(arguments, **changed))


def test_without_rules_grants_scopes_and_environment_decide() -> None:
    assert decided().effect == "allow"
    assert decided().reasons == ("grant", "scope", "environment")
    for missing in ({"granted": False}, {"enabled": False}, {"scopes": ("runs:*",)}):
        decision = decided(**missing)
        assert decision.denied
        assert len(decision.reasons) == 1


@pytest.mark.parametrize(
    ("select", "taken"),
    [
        ({}, True),
        ({"servers": ["shop"]}, True),
        ({"servers": ["crm", "sh*"]}, True),
        ({"servers": ["crm"]}, False),
        ({"tools": ["shop.refund"]}, True),
        ({"tools": ["refund"]}, False),
        ({"tools": ["*.ref?nd"]}, True),
        ({"tags": ["pii", "money"]}, True),
        ({"effects": ["read"]}, False),
        ({"teams": ["sales"], "environments": ["dev"]}, False),
        ({"teams": ["sales"], "environments": ["prod"]}, True),
        ({"keys": ["tg_abcdefgh"]}, True),
        ({"keys": ["sa:sales/*"]}, True),
        ({"roles": ["admin"]}, False),
    ],
)
def test_all_given_parts_of_a_selector_have_to_match(
    select: dict[str, list[str]], taken: bool
) -> None:
    decision = decided({"effect": "deny", "select": select})
    assert decision.denied is taken
    mismatch = (
        make_rules({"effect": "deny", "select": select})
        .compiled[0]
        .mismatch(REFUND, AGENT)
    )
    assert (mismatch == "") is taken


def test_a_role_is_one_of_those_held() -> None:
    principal = replace(AGENT, roles=("member", "admin"))
    rule = {"effect": "deny", "select": {"roles": ["admin"]}}
    assert decided(rule, principal=principal).denied


def test_a_disabled_rule_says_nothing() -> None:
    assert not decided({"effect": "deny", "enabled": False}).denied


def test_a_denial_tells_its_message_and_wins_over_an_approval() -> None:
    decision = decided(
        FINANCE,
        {"id": "no", "effect": "deny", "message": "Not in this house."},
        arguments=BIG,
    )
    assert decision.denied
    assert decision.routes == ()
    assert (decision.denied_by, decision.told) == ("no", "Not in this house.")
    assert decision.reasons[-1] == "rule no: deny: it applies to the call"
    assert decision.policy_version == 7


def test_what_no_grant_covers_tells_nothing_of_rules() -> None:
    decision = decided({"effect": "deny", "message": "m"}, granted=False)
    assert (decision.denied_by, decision.told) == ("", "")


def test_every_approval_asked_for_is_a_route() -> None:
    decision = decided(
        FINANCE,
        {"id": "owner", "effect": "require_approval", "message": "Ask the owner."},
        arguments=BIG,
    )
    assert decision.effect == "require_approval"
    assert [(one.rule, str(one.to), one.rule_version) for one in decision.routes] == [
        ("finance", "role finance", "7"),
        ("owner", "role approver", "7"),
    ]
    assert decision.routes[1].because == "Ask the owner."
    assert decided(FINANCE, arguments={"amount": 1}).effect == "allow"


@pytest.mark.parametrize(
    "rule",
    [
        FINANCE,
        {"effect": "redact", "when": "args.amount > 5", "redact": {"results": ["a"]}},
        {"effect": "allow", "when": "args.amount > 500"},
        {"effect": "deny", "when": "args.amount"},
        {"effect": "deny", "check": {"kind": "max_amount", "path": "x", "max": 1}},
    ],
)
def test_an_error_denies_and_says_so(rule: dict[str, Any]) -> None:
    decision = decided(rule, arguments={"x": "many"})
    assert decision.denied
    assert ": error: " in decision.reasons[-1]
    assert "could not be evaluated" in decision.told


def test_an_allow_list_denies_what_it_does_not_hold() -> None:
    rules = (
        {"id": "a", "effect": "allow", "when": 'args.to == "a"'},
        {"id": "b", "effect": "allow", "when": 'args.to == "b"'},
        {"id": "c", "effect": "allow", "select": {"servers": ["crm"]}},
    )
    assert not decided(*rules, arguments={"to": "b"}).denied
    refused = decided(*rules, arguments={"to": "c"})
    assert refused.denied
    assert refused.applied == ("a", "b")


def test_an_allow_rule_holds_where_its_check_finds_nothing() -> None:
    rule = {"effect": "allow", "check": {"kind": "email_domains", "allow": ["a.com"]}}
    assert not decided(rule, arguments={"to": "x@a.com"}).denied
    assert decided(rule, arguments={"to": "x@b.com"}).denied


def test_monitor_rules_are_worked_out_and_change_nothing() -> None:
    rules = (
        {"id": "d", "effect": "deny"},
        {"id": "e", "effect": "deny", "when": "args.nothing == 1"},
        {"id": "f", "effect": "allow", "when": "false"},
        {"id": "g", "effect": "redact", "redact": {"arguments": ["amount"]}},
        {"id": "h", "effect": "deny", "when": "false"},
        {"id": "l", "effect": "limit", "limit": {"calls_per_run": 0}},
        FINANCE,
    )
    watched = [{**rule, "mode": "monitor"} for rule in rules]
    decision = decided(*watched, arguments=BIG)
    assert decision.effect == "allow"
    assert decision.reasons == ("grant", "scope", "environment")
    assert (decision.hide, decision.routes, decision.applied) == ((), (), ())
    assert [(one.rule, one.effect) for one in decision.would] == [
        ("d", "deny"),
        ("e", "deny"),
        ("f", "deny"),
        ("finance", "require_approval"),
        ("g", "redact"),
        ("l", "deny"),
    ]


def test_redactions_add_up() -> None:
    arguments = {"card": "1", "to": {"email": "a@b.example"}, "note": "a@b.example"}
    decision = decided(
        {"id": "a", "effect": "redact", "redact": {"arguments": ["card", "nowhere[]"]}},
        {"id": "b", "effect": "redact", "check": {"kind": "pii"}},
        {"id": "c", "effect": "redact", "redact": {"results": ["x"]}},
        arguments=arguments,
    )
    assert for_record(decision, arguments) == {
        "card": HIDDEN,
        "to": {"email": "[redacted: email]"},
        "note": "[redacted: email]",
    }
    assert [rule.id for rule in decision.later] == ["c"]
    assert arguments["card"] == "1"


def test_what_is_denied_is_hidden_as_well_and_so_is_what_failed() -> None:
    arguments = {"card": "1"}
    hide = {"effect": "redact", "redact": {"arguments": ["card"]}}
    denied = decided({**hide, "id": "h"}, {"effect": "deny"}, arguments=arguments)
    failed = decided({**hide, "when": "args.x == 1"}, arguments=arguments)
    for decision in (denied, failed, decided(hide, arguments=arguments, granted=False)):
        assert decision.denied
        assert for_record(decision, arguments) == {"card": HIDDEN}


def test_what_cannot_be_masked_is_hidden_as_a_whole() -> None:
    arguments = {"a": "x" * 5_000_000}
    decision = decided(
        {"effect": "redact", "check": {"kind": "pii"}}, arguments=arguments
    )
    assert for_record(decision, arguments) == HIDDEN


@pytest.mark.parametrize(
    ("limit", "arguments", "says"),
    [
        ({"argument_bytes": 10}, {"a": "xxxxxxxxxx"}, "18 bytes"),
        ({"argument_bytes": 10}, {"a": 10**30}, "bytes"),
        ({"items": {"args.ids": 2}}, {"ids": [1, 2, 3]}, "3 items at ids; 2 is most"),
        ({"items": {"args.rows[].ids": 0}}, {"rows": [{"ids": {"a": 1}}]}, "1 items"),
        ({"calls_per_run": 2}, {}, "2 such calls"),
    ],
)
def test_a_limit_that_is_passed_denies_and_says_which(
    limit: dict[str, Any], arguments: dict[str, Any], says: str
) -> None:
    rule = {"effect": "limit", "limit": limit, "select": {"servers": ["shop"]}}
    other = ToolFacts("crm.x", "crm", "read")
    run = RunFacts(made={REFUND: 2, other: 50})
    decision = decided(rule, arguments=arguments, run=run)
    assert decision.denied
    assert says in decision.told
    kept = decided(rule, arguments={}, run=RunFacts(made={REFUND: 1}))
    assert not kept.denied
