"""Which tool definitions are refused, and why."""

from typing import Any

import pytest

from gateway.connectors.schemas import name_problem, schema_problem


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    "name", ["a", "get_order", "repo/list", "größe", "a.b-c", "x" * 128]
)
def test_usable_names(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "  ", " a", "a\n", "a\x00", "a\u202eb", "x" * 129, 7, None, "\ud800"]
)
def test_unusable_names(name: object) -> None:
    assert name_problem(name) is not None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"},
        {"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"type": "object", "properties": {"kids": {"items": {"$ref": "#"}}}},
        {**obj(a={"$ref": "#/$defs/A"}), "$defs": {"A": {"type": "integer"}}},
        {**obj(a={"$ref": "#/$defs/a~1b"}), "$defs": {"a/b": {"type": "integer"}}},
        obj(**{"$ref": {"type": "string"}}),
        obj(a={"enum": [{"$ref": "http://x/"}]}),
        obj(default={"$ref": "#/properties/b"}, b={"type": "string"}),
    ],
)
def test_usable_schemas(schema: dict[str, Any]) -> None:
    assert schema_problem(schema, kind="input") is None


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (None, "is not an object"),
        ([], "is not an object"),
        ({"type": "string"}, '"type": "object"'),
        (obj(a={"type": "nonsense"}), "not valid JSON Schema"),
        (obj(a={"$ref": "https://example.org/a.json"}), "another document"),
        (obj(a={"$ref": "#/$defs/none"}), "not valid JSON Schema"),
        (obj(default={"$ref": "https://example.org/a.json"}), "another document"),
        ({"type": "object", "$schema": "https://evil/meta"}, "unknown dialect"),
        ({"type": "object", "allOf": [{"$ref": "#"}]}, "without end"),
        (
            {
                **obj(a={"$ref": "#/$defs/A"}),
                "$defs": {
                    "A": {"anyOf": [{"$ref": "#/$defs/B"}]},
                    "B": {"not": {"$ref": "#/$defs/A"}},
                },
            },
            "without end",
        ),
        ({"type": "object", "description": "a\x00b"}, "NUL"),
        ({"type": "object", "description": "\ud800"}, "cannot be written"),
    ],
)
def test_unusable_schemas(schema: object, says: str) -> None:
    problem = schema_problem(schema, kind="input")
    assert problem is not None
    assert says in problem


def test_an_output_schema_need_not_be_an_object_type() -> None:
    assert schema_problem({"type": "array"}, kind="output") is None
