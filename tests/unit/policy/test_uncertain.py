"""What redacted arguments leave open, and what they do not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.redact import redact
from policy.cel import compile_condition
from policy.decision import HIDDEN, decide
from policy.uncertain import hidden_in, is_certain, uncertain_rules
from tests.builders.policy import make_call, make_rules


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("args.a.b > 3 && args.c == 1", (("a", "b"), ("c",))),
        ('args["x y"][0].z == 1', (("x y", 0, "z"),)),
        ('args.text.contains("args.nothing")', (("text",),)),
        ("args.rows.all(row, row.x > args.most)", (("rows",), ("most",))),
        ("size(args) > 3", ((),)),
        ('"x" in args', ((),)),
        ("args.l[args.n] == 1", (("l",), ("n",))),
        ('principal.team == "a"', ()),
    ],
)
def test_a_condition_says_what_it_reads(
    source: str, uses: tuple[tuple[str | int, ...], ...]
) -> None:
    assert set(compile_condition(source).uses) == set(uses)


def test_every_mark_of_redaction_is_found() -> None:
    kept = redact(
        {
            "password": "x",
            "text": "Bearer abcdefghijk and more",
            "long": "x" * 3000,
            "many": list(range(200)),
            "fine": "plain",
            "nul": "a\x00b",
        }
    )
    kept |= {
        "hidden": HIDDEN,
        "mail": "to [redacted: email]",
        "rows": [{"a": "[redacted]"}],
    }
    assert set(hidden_in(kept)) == {
        ("password",),
        ("text",),
        ("long",),
        ("many",),
        ("nul",),
        ("hidden",),
        ("mail",),
        ("rows", 0, "a"),
    }
    wide = redact({str(number): number for number in range(200)})
    assert set(hidden_in(wide)) == {()}


SECRET = {"note": "[redacted]", "amount": 600}


@pytest.mark.parametrize(
    ("rule", "certain"),
    [
        ({"effect": "deny", "when": "args.amount > 500"}, True),
        ({"effect": "deny", "when": 'args.note == "x"'}, False),
        ({"effect": "deny", "when": "has(args.note)"}, False),
        ({"effect": "deny", "when": "size(args) > 9"}, False),
        ({"effect": "deny", "check": {"kind": "pii"}}, False),
        ({"effect": "deny", "check": {"kind": "pii", "paths": ["amount"]}}, True),
        ({"effect": "deny", "when": "false", "check": {"kind": "pii"}}, True),
        ({"effect": "deny", "mode": "monitor", "check": {"kind": "pii"}}, True),
        (
            {
                "effect": "deny",
                "check": {"kind": "max_amount", "path": "note", "max": 1},
            },
            False,
        ),
        (
            {
                "effect": "deny",
                "check": {"kind": "working_hours", "from": "00:00", "to": "24:00"},
            },
            True,
        ),
        ({"effect": "limit", "limit": {"argument_bytes": 9}}, False),
        ({"effect": "limit", "limit": {"items": {"args.note": 9}}}, False),
        ({"effect": "limit", "limit": {"items": {"args.other": 9}}}, True),
        ({"effect": "redact", "redact": {"arguments": ["note"]}}, True),
        ({"effect": "deny", "select": {"teams": ["x"]}, "when": "args.note"}, True),
    ],
)
def test_a_rule_that_reads_what_is_hidden_is_uncertain(
    rule: dict[str, Any], certain: bool
) -> None:
    rules, call = make_rules(rule), make_call(SECRET)
    decision = decide(rules, call)
    assert is_certain(decision, uncertain_rules(rules, call, decision)) is certain


def test_a_certain_denial_stays_one_whatever_else_is_open() -> None:
    doubtful = {"id": "a", "effect": "deny", "when": 'args.note == "x"'}
    rules = make_rules(doubtful, {"id": "b", "effect": "deny"})
    call = make_call(SECRET)
    decision = decide(rules, call)
    assert uncertain_rules(rules, call, decision) == ("a",)
    assert is_certain(decision, ("a",))
    assert is_certain(decide(rules, make_call(SECRET, granted=False)), ("a",))


TEXTS = st.sampled_from(["a", "secret sauce", "x@y.example", "Bearer abcdefgh12345"])
VALUES = st.fixed_dictionaries(
    {"note": TEXTS, "password": TEXTS, "n": st.integers(0, 9)},
    optional={"rows": st.lists(TEXTS, max_size=3)},
)
SOME: list[dict[str, Any]] = [
    {"effect": "deny", "when": 'args.password == "a"'},
    {"effect": "deny", "when": 'args.note.startsWith("Bearer")'},
    {"effect": "require_approval", "when": "args.n > 4"},
    {"effect": "allow", "when": 'args.note != "a"'},
    {"effect": "deny", "check": {"kind": "pii"}},
    {"effect": "deny", "check": {"kind": "secrets", "paths": ["rows[]"]}},
    {"effect": "limit", "limit": {"argument_bytes": 60}},
    {"effect": "deny", "mode": "monitor", "when": 'args.password == "a"'},
]
RULES = st.lists(st.sampled_from(SOME), max_size=4).map(
    lambda found: [{**one, "id": f"r{n}"} for n, one in enumerate(found)]
)


@given(RULES, VALUES)
def test_what_is_certain_is_what_was_decided_on_the_whole_arguments(
    documents: list[dict[str, Any]], arguments: dict[str, Any]
) -> None:
    rules = make_rules(*documents)
    then = decide(rules, make_call(arguments))
    call = make_call(redact(arguments))
    again = decide(rules, call)
    if is_certain(again, uncertain_rules(rules, call, again)):
        assert again.effect == then.effect
