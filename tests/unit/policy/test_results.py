"""The decision on a result: withheld, masked, or handed on as it came."""

from typing import Any

import pytest

from core.clock import now
from policy.decision import HIDDEN, decide
from policy.results import ResultDecision, decide_result
from tests.builders.policy import make_call, make_rules

ROWS = {"rows": [{"email": "a@b.example", "n": 1}, {"email": "c@d.example", "n": 2}]}


def looked_at(
    *rules: dict[str, Any], value: Any = ROWS, size: int = 10
) -> ResultDecision:
    decision = decide(make_rules(*rules), make_call({"x": 1}))
    assert decision.effect == "allow"
    return decide_result(decision.later, value, size=size, at=now())


def test_paths_are_hidden_and_texts_masked() -> None:
    by_path = looked_at({"effect": "redact", "redact": {"results": ["rows[].email"]}})
    assert by_path.value["rows"][1] == {"email": HIDDEN, "n": 2}
    by_check = looked_at(
        {"effect": "redact", "check": {"kind": "pii", "in": "results"}}
    )
    assert by_check.value["rows"][0] == {"email": "[redacted: email]", "n": 1}
    assert ROWS["rows"][0]["email"] == "a@b.example"
    assert by_check.reasons == ("rule r: redact of the result: email at rows[].email",)


def test_paths_with_a_check_are_hidden_where_it_finds_something() -> None:
    rule = {
        "effect": "redact",
        "redact": {"results": ["rows"]},
        "check": {"kind": "pii", "in": "results"},
    }
    assert looked_at(rule).value == {"rows": HIDDEN}
    assert looked_at(rule, value={"rows": [1]}).value == {"rows": [1]}


@pytest.mark.parametrize(
    "rule",
    [
        {"effect": "deny", "check": {"kind": "pii", "in": "results"}},
        {"effect": "deny", "check": {"kind": "pii", "in": "both"}},
        {"effect": "limit", "limit": {"result_bytes": 9}},
        {"effect": "limit", "limit": {"items": {"result.rows": 1}}},
    ],
)
def test_a_result_is_withheld_whatever_else_would_be_masked(
    rule: dict[str, Any],
) -> None:
    mask = {"id": "a", "effect": "redact", "check": {"kind": "pii", "in": "results"}}
    answer = looked_at(mask, rule)
    assert answer.denied
    assert answer.value is None
    assert answer.denied_by == "r"
    assert not looked_at(rule, value={"rows": []}, size=9).denied


def test_a_result_that_cannot_be_checked_is_withheld() -> None:
    rule = {"effect": "redact", "check": {"kind": "pii", "in": "results"}}
    assert looked_at(rule, value="x" * 5_000_000).denied


def test_monitor_rules_say_what_they_would_do_with_the_result() -> None:
    rule = {"effect": "deny", "mode": "monitor", "check": {"kind": "pii", "in": "both"}}
    answer = looked_at(rule)
    assert answer.value == ROWS
    assert [(one.rule, one.effect) for one in answer.would] == [("r", "deny")]


def test_a_condition_decides_whether_the_result_is_looked_at() -> None:
    rule = {"effect": "redact", "redact": {"results": ["rows"]}, "when": "args.x == 2"}
    assert looked_at(rule).value == ROWS
