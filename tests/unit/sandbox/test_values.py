"""Values leave the sandbox as strict JSON, or the script is told what is wrong."""

import datetime
import decimal
import json
from typing import Any

import pytest

from gateway.sandbox.harness.values import NotJSON, is_deep, to_json


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1,
        -(2**63),
        2**64 - 1,
        1.5,
        "é \N{GRINNING FACE} \\ud800",
        [{"a": [1, "x"]}, (2, 3)],
        {1: "int key"},
        nested(100),
        [{}] * 500,
        "[" * 500,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_json_values_pass(value: Any) -> None:
    text = to_json(value, "result")
    assert text.isascii()
    assert json.loads(text) == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "result is of type set, which is not JSON: use sorted(…)"),
        ([1, {"a": b"x"}], "result[1]['a'] is of type bytes"),
        ({"at": datetime.date(2026, 1, 1)}, "result['at'] is of type date"),
        ({"sum": decimal.Decimal(1)}, "use str(…) or float(…)"),
        ({(1, 2): 3}, "result has a key of type tuple: use a string"),
        ([float("nan")], "result[0] is nan, which JSON does not have"),
        ({"a": float("inf")}, "result['a'] is inf"),
        ([2**64], "result[0] is an integer beyond 64 bits"),
        (["a\0b"], "result[0] holds a NUL character"),
        (["\ud800"], "result[0] holds a lone surrogate"),
        ({"\ud800": 1}, "a key of result holds a lone surrogate"),
        (nested(101), "is nested more than 100 levels deep"),
        (object, "result is of type type"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_other_values_are_named_with_their_place(value: Any, message: str) -> None:
    with pytest.raises(NotJSON) as caught:
        to_json(value, "result")
    assert message in str(caught.value)


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotJSON):
        to_json(value, "result")


@pytest.mark.parametrize(
    ("text", "deep"),
    [
        (b"[" * 100 + b"]" * 100, False),
        (b"[" * 101 + b"]" * 101, True),
        (b'{"a":' * 101 + b"1" + b"}" * 101, True),
        (b'["' + b"[" * 200 + b'"]', False),
        (b'["\\"' + b"]" * 200 + b'",' + b"[" * 101 + b"]" * 101 + b"]", True),
        (b"[" + b"[[]]," * 200 + b"[]]", False),
    ],
)
def test_depth_is_seen_in_the_text(text: bytes, deep: bool) -> None:
    assert is_deep(text) is deep
