"""How results become plain values."""

from typing import Any

import pytest

from gateway.connectors.api import UpstreamError
from gateway.connectors.values import (
    decode,
    encode,
    error_text,
    is_wrapper,
    unwrap,
    value_schema,
)

SDK_WRAPPER: dict[str, Any] = {
    "title": "list_ordersOutput",
    "type": "object",
    "required": ["result"],
    "properties": {"result": {"title": "Result", "items": {"$ref": "#/$defs/Order"}}},
    "$defs": {"Order": {"type": "object"}},
}


def text(*texts: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": t} for t in texts]}


def test_wrapper_schemas_are_known() -> None:
    assert is_wrapper(SDK_WRAPPER)
    assert is_wrapper(
        {"properties": {"result": {}}, "x-fastmcp-wrap-result": True, "type": "object"}
    )


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"type": "array"},
        {"type": "object", "properties": {"result": {}}, "required": ["result"]},
        {**SDK_WRAPPER, "title": "Verdict"},
        {**SDK_WRAPPER, "properties": {"result": {}, "more": {}}},
    ],
)
def test_ordinary_schemas_are_no_wrappers(schema: dict[str, Any] | None) -> None:
    assert not is_wrapper(schema)
    assert value_schema(schema) == schema


def test_the_schema_of_a_wrapped_value_keeps_its_definitions() -> None:
    assert value_schema(SDK_WRAPPER) == {
        "items": {"$ref": "#/$defs/Order"},
        "$defs": {"Order": {"type": "object"}},
    }


@pytest.mark.parametrize(
    ("result", "wrapped", "value"),
    [
        ({"structuredContent": {"result": 7}, "content": []}, True, 7),
        ({"structuredContent": {"result": 7}, "content": []}, False, {"result": 7}),
        ({"structuredContent": None, "content": []}, False, None),
        ({"structuredContent": [1], "content": []}, False, [1]),
        (text('{"a": 1}'), False, {"a": 1}),
        (text("7"), False, 7),
        (text("007"), False, "007"),
        (text("true"), False, True),
        (text("truly"), False, "truly"),
        (text(" plain "), False, " plain "),
        (text(""), False, ""),
        (text("one", "two"), False, "one\ntwo"),
        (text('{"a": 1}', '{"a": 2}'), False, [{"a": 1}, {"a": 2}]),
        ({"content": []}, False, None),
        ({}, False, None),
    ],
)
def test_unwrap(result: dict[str, Any], wrapped: bool, value: object) -> None:
    found = unwrap(result, wrapped=wrapped)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("body", ['{"a": NaN}', "[Infinity]", '{"a": [-Infinity]}'])
def test_not_a_number_is_an_error(body: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        unwrap(text(body), wrapped=False)
    assert caught.value.code == "upstream_result_invalid"
    with pytest.raises(ValueError, match=r"."):
        decode(body)


def test_embedded_resources() -> None:
    inner = {"uri": "file:///a", "mimeType": "text/plain", "text": "hello"}
    result = {"content": [{"type": "resource", "resource": inner}]}
    assert unwrap(result, wrapped=False) == {
        "type": "resource",
        "uri": "file:///a",
        "mime_type": "text/plain",
        "text": "hello",
    }


def test_decode_keeps_large_integers_and_reads_deep_values() -> None:
    assert decode(str(2**80)) == 2**80
    deep = decode("[" * 300 + "]" * 300)
    assert len(deep) == 1
    with pytest.raises(ValueError, match="deep"):
        decode("[" * 100_000 + "]" * 100_000)


def test_encode_refuses_what_is_not_json() -> None:
    assert encode({"a": "ä"}) == '{"a": "ä"}'.encode()
    with pytest.raises(ValueError, match="Out of range"):
        encode(float("nan"))


def test_error_text() -> None:
    assert error_text(text("a", "b")) == "a\nb"
    assert error_text({"content": []}) == "The tool failed without saying why."
