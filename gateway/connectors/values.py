"""Turns the result of a tool call into the plain value a script sees."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pydantic_core

from gateway.connectors.api import JSON, RESULT_INVALID, UpstreamError


def decode(body: bytes | str) -> JSON:
    """Parse JSON strictly: no NaN, no Infinity, integers of any size kept exact.

    Raises ValueError.
    """
    try:
        return pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        if "recursion limit" not in str(error):
            raise
    # The fast parser stops at 200 levels; one tool schema may well be deeper,
    # and must not take the others of its page with it.
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def encode(value: JSON) -> bytes:
    """Serialise a JSON value. Raises ValueError for NaN and what is not JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def is_wrapper(output_schema: Mapping[str, Any] | None) -> bool:
    """Whether a server framework made this schema only to hold a non-object.

    FastMCP marks its wrapper; the `mcp` SDK names it after the function
    (`list_ordersOutput`) and gives it the one required property `result`.
    """
    if not output_schema:
        return False
    properties = output_schema.get("properties")
    if not isinstance(properties, dict) or set(properties) != {"result"}:
        return False
    if output_schema.get("x-fastmcp-wrap-result") is True:
        return True
    title = output_schema.get("title")
    return (
        isinstance(title, str)
        and title.endswith("Output")
        and output_schema.get("required") == ["result"]
    )


def value_schema(output_schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """The schema of the value a script sees: without the wrapper, if it has one."""
    if output_schema is None or not is_wrapper(output_schema):
        return output_schema
    inner = output_schema["properties"]["result"]
    if not isinstance(inner, dict):
        return output_schema
    shared = {
        k: output_schema[k] for k in ("$defs", "definitions") if k in output_schema
    }
    kept = {k: v for k, v in inner.items() if k != "title"}
    return {**kept, **shared}


def is_structured(result: Mapping[str, Any]) -> bool:
    """Whether the result carries structured content (which may be null)."""
    return "structuredContent" in result


def looks_wrapped(result: Mapping[str, Any]) -> bool:
    """Whether the structured content may be a wrapper; only the schema can tell."""
    content = result.get("structuredContent")
    return isinstance(content, dict) and len(content) == 1 and "result" in content


def unwrap(result: Mapping[str, Any], *, wrapped: bool) -> JSON:
    """The plain value of a successful result. Raises UpstreamError."""
    if is_structured(result):
        content = result["structuredContent"]
        return content["result"] if wrapped and looks_wrapped(result) else content
    blocks = result.get("content") or []
    values = [_block_value(block) for block in blocks]
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    if all(b.get("type") == "text" for b in blocks) and all(
        isinstance(v, str) for v in values
    ):
        return "\n".join(values)
    return values


def error_text(result: Mapping[str, Any]) -> str:
    """The text of a tool's own error."""
    texts = [
        block["text"]
        for block in result.get("content") or []
        if block.get("type") == "text" and isinstance(block.get("text"), str)
    ]
    return "\n".join(texts) or "The tool failed without saying why."


def _block_value(block: dict[str, Any]) -> JSON:
    kind = block.get("type")
    if kind == "text":
        return _text_value(block["text"])
    if kind in ("image", "audio"):
        return {
            "type": kind,
            "mime_type": block.get("mimeType", ""),
            "data": block.get("data", ""),
        }
    if kind == "resource_link":
        return {
            "type": kind,
            "uri": block.get("uri", ""),
            "name": block.get("name", ""),
            "mime_type": block.get("mimeType") or "",
        }
    if kind == "resource":
        inner = block.get("resource") or {}
        held = "text" if "text" in inner else "blob"
        return {
            "type": kind,
            "uri": inner.get("uri", ""),
            "mime_type": inner.get("mimeType") or "",
            "text" if held == "text" else "data": inner.get(held, ""),
        }
    return block


def _text_value(text: str) -> JSON:
    # Most texts are prose: do not pay for an exception to learn that.
    start = text.lstrip()[:1]
    if not start or start not in '{["-0123456789tfn':
        return text
    try:
        return decode(text)
    except ValueError:
        pass
    if start in "{[" and _holds_non_finite(text):
        raise UpstreamError(
            RESULT_INVALID,
            "The result holds NaN or Infinity, which JSON does not know. "
            "The server must send null or a string instead.",
            sent=True,
        )
    return text


def _holds_non_finite(text: str) -> bool:
    found: list[str] = []
    try:
        json.loads(text, parse_constant=found.append)
    except (ValueError, RecursionError):
        return False
    return bool(found)


def as_object(message: JSON) -> dict[str, Any] | None:
    """The message if it is a JSON object."""
    return cast("dict[str, Any]", message) if isinstance(message, dict) else None
