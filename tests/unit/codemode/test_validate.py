import threading
from typing import Any

import pytest

from gateway.codemode.validate import (
    InvalidSchema,
    Validators,
    compile_schema,
    without_omitted,
)
from tests.unit.codemode.makers import (
    github_tools,
    make_list_orders,
    make_tool,
    needs_shared,
)


def problems(tool_properties: dict[str, Any], arguments: Any) -> list[str]:
    tool = make_tool(properties=tool_properties)
    return [str(one) for one in Validators().check(tool, arguments)]


def test_right_arguments_have_no_problems() -> None:
    assert Validators().check(make_list_orders(), {"since": "2026", "limit": 3}) == []


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "integer"}, "5", '$.x must be an integer, not "5"'),
        ({"type": "integer"}, True, "$.x must be an integer, not true"),
        ({"type": ["string", "null"]}, 5, "$.x must be null or a string, not 5"),
        (
            {"enum": ["open", "paid"]},
            "opne",
            '$.x must be one of "open", "paid", not "opne" Did you mean "open"?',
        ),
        (
            {"type": "array", "items": {"type": "object", "required": ["q"]}},
            [{"q": 1}, {}],
            '$.x[1] needs "q"',
        ),
        (
            {"properties": {"a b": {"type": "string"}}},
            {"a b": 1},
            '$.x["a b"] must be a string, not 1',
        ),
        ({"maximum": 5}, 6, "$.x 6 is greater than the maximum of 5"),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            5,
            '$.x fits none of the 2 alternatives $.x: 5 is not of type "string"',
        ),
        (
            {"properties": {"z": {}}, "additionalProperties": False},
            {"y": 1},
            '$.x has no "y"',
        ),
    ],
)
def test_problems_say_where_and_what(
    schema: dict[str, Any], value: Any, expected: str
) -> None:
    assert problems({"x": schema}, {"x": value}) == [expected]


def test_missing_and_unknown_arguments() -> None:
    tool = make_tool(
        schema={
            "properties": {"since": {}},
            "required": ["since"],
            "additionalProperties": False,
        }
    )
    found = {str(one) for one in Validators().check(tool, {"sinc": 1})}
    assert found == {'$ needs "since"', '$ has no "sinc" Did you mean "since"?'}


@pytest.mark.parametrize("value", [{1: 2}, object(), {1, 2}])
def test_what_is_not_json_is_a_problem(value: Any) -> None:
    (one,) = Validators().check(make_tool(properties={"x": {}}), value)
    assert one.kind == "not_json"


def test_long_values_are_shortened() -> None:
    (text,) = problems({"x": {"type": "integer"}}, {"x": "y" * 10_000})
    assert len(text) < 200


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:1/x.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/$defs/missing"},
        {"type": "strin"},
        {"pattern": "("},
    ],
)
def test_a_schema_that_cannot_check_anything_lets_nothing_pass(
    schema: dict[str, Any],
) -> None:
    with pytest.raises(InvalidSchema):
        compile_schema(schema)
    (one,) = Validators().check(make_tool(schema=schema), {})
    assert one.kind == "invalid_schema"
    assert one.suggestion == "Ask an administrator to mend or disable the tool."


def test_an_unknown_dialect_is_read_as_the_current_one() -> None:
    validator = compile_schema({"$schema": "https://acme.test/s", "type": "object"})
    assert validator.is_valid({})
    assert not validator.is_valid([])


def test_older_dialects_are_understood() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "minimum": 1,
        "exclusiveMinimum": True,
    }
    assert not compile_schema(schema).is_valid(1)


def test_a_pattern_that_explodes_is_stopped() -> None:
    found = problems({"x": {"pattern": "^(?=a)(a+)+$"}}, {"x": "a" * 200 + "!"})
    assert len(found) == 1


def test_results_are_checked_against_the_output_schema() -> None:
    tool = make_list_orders()
    validators = Validators()
    assert validators.check_result(tool, [{"id": 1}]) == []
    (one,) = validators.check_result(tool, [{"id": "1"}])
    assert one.path == "$[0].id"
    assert validators.check_result(make_tool(), object()) == []


def test_the_cache_stays_within_its_size_and_keeps_versions_apart() -> None:
    validators = Validators(size=2)
    for kind in ("string", "integer", "boolean", "string"):
        tool = make_tool(properties={"x": {"type": kind}})
        assert len(validators.check(tool, {"x": None})) == 1
    assert len(validators._known) == 2


def test_threads_share_validators() -> None:
    validators, tool, wrong = Validators(), make_list_orders(), []

    def work() -> None:
        for _ in range(200):
            if validators.check(tool, {"since": "x"}):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_optional_arguments_left_at_none_are_left_out() -> None:
    tool = make_tool(
        properties={
            "a": {"type": "string"},
            "b": {"type": ["string", "null"]},
            "c": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "d": {"type": "string"},
        },
        required=("d",),
    )
    given = {"a": None, "b": None, "c": None, "d": None, "e": None}
    assert without_omitted(tool, given) == {"b": None, "c": None, "d": None, "e": None}


@needs_shared
def test_every_schema_of_a_real_server_compiles() -> None:
    for tool in github_tools():
        compile_schema(tool.input_schema)
