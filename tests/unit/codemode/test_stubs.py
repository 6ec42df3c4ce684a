import ast
from typing import Any

import pytest

from gateway.codemode.stubs import (
    call_line,
    first_sentence,
    signature,
    typescript_signature,
)
from tests.unit.codemode.makers import (
    github_tools,
    make_list_orders,
    make_tool,
    needs_shared,
)


def last_def(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("def "))


def test_a_signature_is_typed_and_keyword_only() -> None:
    assert signature(make_list_orders()) == (
        "class Order(TypedDict): id: int; total: NotRequired[float]\n"
        "def list_orders(*, since: str, limit: int = 50, "
        'status: Literal["open", "paid"] | None = None) -> list[Order]:\n'
        '    """List orders since a date. Newest first.\n'
        "\n"
        "    since: ISO date.\n"
        "    limit: (1..500)\n"
        '    """'
    )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "str"),
        ({"type": ["integer", "null"]}, "int | None"),
        ({"type": "string", "nullable": True}, "str | None"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "str | None"),
        (
            {"type": "array", "items": {"type": ["string", "number"]}},
            "list[str | float]",
        ),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            "dict[str, int]",
        ),
        ({"type": "object"}, "dict[str, Any]"),
        ({"const": "a"}, 'Literal["a"]'),
        ({"enum": ["a", None]}, 'Literal["a"] | None'),
        ({"enum": [1.5, 2.5], "type": "number"}, "float"),
        ({"enum": [f"v{n}" for n in range(40)], "type": "string"}, "str"),
        ({"enum": ['it"s', "b\\"]}, 'Literal["it\\"s", "b\\\\"]'),
        (
            {
                "oneOf": [
                    {"enum": ["a | b"]},
                    {"type": "array", "items": {"enum": ["a | b"]}},
                ]
            },
            'Literal["a | b"] | list[Literal["a | b"]]',
        ),
        ({"allOf": [{"type": "object", "properties": {"a": {}}}]}, "X"),
        (True, "Any"),
        ({}, "Any"),
        ({"$ref": "https://example.com/x.json"}, "Any"),
        ({"type": 5, "enum": "no", "anyOf": {}}, "Any"),
    ],
)
def test_types_of_parameters(schema: Any, expected: str) -> None:
    text = signature(make_tool(properties={"x": schema}, required=("x",)))
    ast.parse(text)
    assert last_def(text).startswith(f"def list_orders(*, x: {expected}) ->")


def test_names_that_are_no_identifiers_are_passed_by_two_stars() -> None:
    tool = make_tool(
        properties={
            "from": {"type": "string"},
            "page[limit]": {"type": "integer"},
            "X-Token": {"type": "string"},
            "ok": {"type": "boolean"},
        },
        required=("from",),
    )
    text = signature(tool)
    ast.parse(text)
    assert last_def(text) == (
        "def list_orders(*, ok: bool | None = None, **others: Any) -> Any:"
    )
    assert 'Pass by **{"from": …, "page[limit]": …, "X-Token": …}:' in text
    assert '  "from": str, required' in text
    assert '**{"from": str, "page[limit]": int | omitted' in call_line(tool)


def test_cycles_and_depth_are_cut_with_a_comment() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    deep: dict[str, Any] = {"type": "string"}
    for name in "edcba":
        deep = {"type": "object", "properties": {name: deep}}
    tool = make_tool(
        schema={
            "type": "object",
            "properties": {"node": {"$ref": "#/$defs/Node"}, "deep": deep},
            "$defs": {"Node": node},
        }
    )
    text = signature(tool)
    ast.parse(text)
    assert "class Node(TypedDict): next: NotRequired[Node]" in text
    assert "$.deep.a.b (depth)" in text
    assert "# Cut from the input:" in text


def test_a_reference_to_itself_ends() -> None:
    tool = make_tool(
        properties={"x": {"$ref": "#/$defs/A"}},
    )
    schema = {**tool.input_schema, "$defs": {"A": {"$ref": "#/$defs/A"}}}
    text = signature(make_tool(schema=schema))
    assert "$.x (cycle)" in text


def test_hostile_descriptions_stay_inside_the_docstring() -> None:
    tool = make_tool(
        properties={"x": {"type": "string", "description": '"""\nimport os #'}},
        description='Ends with a quote"\n"""\nimport os\\\x00\u202e',
    )
    tree = ast.parse(signature(tool))
    assert [type(node) for node in tree.body] == [ast.FunctionDef]


def test_hostile_names_of_types_and_fields_stay_data() -> None:
    schema = {
        "type": "object",
        "properties": {
            'a"]}; import os; x = {["': {
                "type": "object",
                "properties": {'"\n)': {"enum": ["x\n'\"", "\u2028"]}, "class": {}},
            }
        },
    }
    tree = ast.parse(signature(make_tool(schema=schema, returns=schema)))
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))


def test_many_parameters_are_cut() -> None:
    tool = make_tool(properties={f"p{n}": {"type": "string"} for n in range(100)})
    assert "and 60 more optional parameters" in signature(tool)


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ({"type": "object", "properties": {}}, ""),
        ({"type": "object"}, "**others: Any"),
        ({"type": "object", "additionalProperties": False}, ""),
        (
            {"properties": {"a": {"type": "string"}}, "additionalProperties": True},
            "*, a: str | None = None, **others: Any",
        ),
        (
            {"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}]},
            "*, a: str",
        ),
    ],
)
def test_whether_other_arguments_are_taken_is_shown(
    schema: dict[str, Any], arguments: str
) -> None:
    assert call_line(make_tool(schema=schema)) == f"crm.list_orders({arguments})"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two.", "One."),
        ("Version 1.5 of it. Two.", "Version 1.5 of it."),
        ("Headline\nMore text here.", "Headline"),
        ("wrapped\nline. Two", "wrapped line."),
        ("", ""),
    ],
)
def test_first_sentence(text: str, expected: str) -> None:
    assert first_sentence(text) == expected


def test_typescript_is_camel_case_in_the_servers_namespace() -> None:
    assert typescript_signature(make_list_orders()) == (
        "namespace crm {\n"
        "  /** List orders since a date. Newest first. */\n"
        "  function listOrders(args: {since: string; limit?: number; "
        'status?: "open" | "paid"}): Promise<Array<{id: number; total?: number}>>;\n'
        "}"
    )


@needs_shared
def test_every_tool_of_a_real_server_has_a_short_valid_signature() -> None:
    tools = github_tools()
    assert len(tools) > 100
    for tool in tools:
        text = signature(tool)
        ast.parse(text)
        assert len(text) < 8000
        assert call_line(tool).startswith(tool.full_name)
        assert typescript_signature(tool)
