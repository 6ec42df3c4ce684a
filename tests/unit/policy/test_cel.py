"""Conditions: what compiles, what is refused and why, and what an evaluation gives."""

import subprocess
import sys
import time
from typing import Any

import pytest

from policy.cel import LONGEST, ConditionError, Scope, compile_condition
from tests.builders.policy import make_call


def holds(source: str, arguments: dict[str, Any] | None = None) -> bool:
    return Scope(make_call(arguments).variable).holds(compile_condition(source))


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ("args.amount > 500", {"amount": 501}),
        ("args.amount > 500", {"amount": 500.5}),
        ('args.to.endsWith("@acme.com")', {"to": "a@acme.com"}),
        ('args.ids.exists(one, one in ["a", "b"])', {"ids": ["x", "b"]}),
        ("args.lines.all(line, line.price < 10.0)", {"lines": [{"price": 9.5}]}),
        ("has(args.note) == false", {}),
        ('args["page[limit]"] == 3', {"page[limit]": 3}),
        ('principal.team == "sales" && principal.environment == "prod"', {}),
        ('tool.effect == "write" && "money" in tool.tags', {}),
        ('run.mode == "script" && run.calls == 0', {}),
        ('now > timestamp("2026-01-01T00:00:00Z") && now.getHours() < 24', {}),
        (r'args.code.matches("^[A-Z]{2}\\d+$")', {"code": "AB12"}),
        ("args.amount == null", {"amount": None}),
        ("type(args.amount) == int", {"amount": 3}),
    ],
)
def test_a_condition_sees_the_call(source: str, arguments: dict[str, Any]) -> None:
    assert holds(source, arguments) is True


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("1 +", "Line 1, column 4"),
        ("amount > 3", "args.amount"),
        ("principal.password == 1", "principal has no password: it has team"),
        ("env(1) == 2", "There is no function env"),
        ("args.l.map(x, x) == []", "map\\(\\) is not offered"),
        ("args.l.filter(x, true) == []", "square of the list"),
        ("args.a.all(a, args.b.all(b, args.c.all(c, true)))", "3 deep"),
        ("args.a.all(args, true)", "has a meaning already"),
        ("(" * 21 + "true" + ")" * 21, "21 deep"),
        ("args.x == " + "+".join(["args.x"] * 12), "adds 11 times"),
        ('args.x.matches("(")', "cannot be used"),
        ('args.x.matches("(a{1000}){100}")', "too large"),
        ('args.x.matches("(?<!a)b")', "look-around"),
        ("args.x.matches(args.pattern)", "written out"),
        ('args.x.matches("a" + "b")', "written out"),
        ("true || " * 300 + "true", "2,000 is most"),
    ],
)
def test_what_cannot_be_used_says_why(source: str, says: str) -> None:
    with pytest.raises(ConditionError, match=says):
        compile_condition(source)


@pytest.mark.parametrize(
    ("source", "arguments", "says"),
    [
        ("args.amount > 3", {}, "no 'amount': guard it with has"),
        ("args.amount > 3", {"amount": "600"}, "different types"),
        ("args.amount", {"amount": 3}, "a number instead of true or false"),
        ("args.text", {"text": "x"}, "a text instead"),
        ("1 / args.n == 1", {"n": 0}, "divides by zero"),
        ("args.l[4] == 1", {"l": []}, "shorter"),
        ("args.n * args.n > 0", {"n": 2**62}, "too large"),
        ("timestamp(args.t) < now", {"t": "SECRET"}, "cannot be evaluated with"),
        ("args.x.y.z == 1", {"x": 1}, "different types"),
    ],
)
def test_an_error_is_raised_in_words_without_values(
    source: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConditionError, match=says) as raised:
        holds(source, arguments)
    assert "SECRET" not in str(raised.value)


def test_names_inside_texts_are_no_names() -> None:
    assert holds('args.x == "principal.password + map(1) [[["', {"x": 1}) is False


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ("args.l.all(x, x > 0)", {"l": [1] * 30_000}),
        ("args.l.all(x, args.l.all(y, x == y))", {"l": [1] * 2_000}),
        ("args.l.all(x, x in args.l)", {"l": list(range(2_000))}),
        ('args.l.all(x, x.matches("a+"))', {"l": ["a"] * 19_999}),
        ('args.l.all(x, args.t.contains("b"))', {"l": [1] * 9_000, "t": "a" * 10**6}),
    ],
)
def test_what_would_take_too_long_is_an_error(
    source: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ConditionError, match=r"too much|more than 20,000"):
        holds(source, arguments)


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ("args.l.all(x, x > 0)", {"l": [1] * 9_000}),
        ("args.l.all(x, args.l.all(y, x == y))", {"l": [1] * 900}),
        ('args.t.matches("(a*)*b")', {"t": "a" * 1_000_000}),
        ('args.t.matches("^(a+)+$")', {"t": "a" * 1_000_000 + "!"}),
    ],
)
def test_the_worst_that_is_let_through_ends_soon(
    source: str, arguments: dict[str, Any]
) -> None:
    started = time.process_time()
    holds(source, arguments)
    assert time.process_time() - started < 5


def test_no_condition_of_the_longest_form_ends_the_process() -> None:
    """A stack overflow in the library would: each form is tried in a child."""
    forms = ["!" * 1990 + "true", "-" * 1990 + "1", "args" + ".b" * 990, "1" * 1990]
    forms += ["[" * 20 + "]" * 20, "true?" * 280 + "1" + ":1" * 280, "{1:" * 600]
    forms += ["args.x" + "[0]" * 600, "x." * 900 + "size()", '"' + "\\" * 1900]
    program = (
        "import sys, policy.cel as c\n"
        "for form in sys.argv[1:]:\n"
        "    assert len(form) <= c.LONGEST\n"
        "    try: c.Scope(lambda _: {}).holds(c.compile_condition(form))\n"
        "    except c.ConditionError: pass\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, *forms], check=False)
    assert ended.returncode == 0
    assert LONGEST == 2_000
