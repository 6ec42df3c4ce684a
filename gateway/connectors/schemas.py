"""Decides which of a server's tool definitions can be used, one by one."""

import unicodedata
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from gateway.connectors.values import encode

MAX_NAME = 128
MAX_SCHEMA_BYTES = 256 * 1024
MAX_DEPTH = 64
MAX_NODES = 20_000

_METASCHEMAS = (
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
# Keywords whose values are data, not schemas.
_DATA = frozenset({"const", "default", "enum", "example", "examples"})
# Keywords that hold named schemas: their keys are names, not keywords.
_NAMED = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)
# Keywords that apply a schema to the same value, so that a loop never ends.
_IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_IN_PLACE = ("not", "if", "then", "else")


def name_problem(name: object) -> str | None:
    """Why this is no usable tool name, or None."""
    if not isinstance(name, str) or not name.strip():
        return "The tool has no name."
    if len(name) > MAX_NAME:
        return f"The name is longer than {MAX_NAME} characters."
    if name != name.strip() or any(unicodedata.category(c)[0] == "C" for c in name):
        return "The name holds control characters or starts or ends with a space."
    return None


def schema_problem(schema: object, *, kind: str) -> str | None:
    """Why this schema cannot be used, or None. `kind` is `input` or `output`."""
    if not isinstance(schema, dict):
        return f"The {kind} schema is not an object."
    # Depth first: the serialiser and the compiler recurse.
    shape = _shape_problem(schema)
    if shape is None:
        shape = _size_problem(schema) or _reference_problem(schema)
    if shape is None and kind == "input" and schema.get("type") != "object":
        shape = 'does not have "type": "object"'
    if shape is not None:
        return f"The {kind} schema {shape}."
    try:
        jsonschema_rs.meta.validate(schema)
        jsonschema_rs.validator_for(schema, retriever=_refuse)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        first = str(error).strip().partition("\n")[0][:300]
        return f"The {kind} schema is not valid JSON Schema: {first}"
    return None


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


def _size_problem(schema: dict[str, Any]) -> str | None:
    try:
        body = encode(schema)
    except (ValueError, UnicodeEncodeError):
        return "cannot be written as JSON"
    if len(body) > MAX_SCHEMA_BYTES:
        return (
            f"has {len(body) // 1024:,} KiB; "
            f"at most {MAX_SCHEMA_BYTES // 1024} KiB are imported"
        )
    if b"\\u0000" in body:
        return "holds a NUL character"
    return None


def _shape_problem(schema: dict[str, Any]) -> str | None:
    nodes = 0
    stack: list[tuple[Any, int]] = [(schema, 1)]
    while stack:
        node, depth = stack.pop()
        nodes += 1
        if depth > MAX_DEPTH:
            return f"is nested deeper than {MAX_DEPTH} levels"
        if nodes > MAX_NODES:
            return f"has more than {MAX_NODES:,} parts"
        if isinstance(node, dict):
            stack.extend((child, depth + 1) for child in node.values())
        elif isinstance(node, list):
            stack.extend((child, depth + 1) for child in node)
    return None


def _reference_problem(schema: dict[str, Any]) -> str | None:
    for node in _subschemas(schema):
        dialect = node.get("$schema")
        if isinstance(dialect, str) and dialect.rstrip("#") not in _METASCHEMAS:
            return "names an unknown dialect in $schema"
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            target = node.get(keyword)
            if not isinstance(target, str):
                continue
            if not target.startswith("#"):
                return f"refers to another document ({target[:200]}), never fetched"
    return "refers to itself without end" if _loops(schema) else None


def _subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    stack: list[tuple[Any, bool]] = [(schema, False)]
    while stack:
        node, named = stack.pop()
        if isinstance(node, list):
            stack.extend((child, False) for child in node)
        elif isinstance(node, dict):
            if not named:
                yield node
            for keyword, child in node.items():
                if named or keyword not in _DATA:
                    stack.append((child, not named and keyword in _NAMED))


def _loops(schema: dict[str, Any]) -> bool:
    """Whether some schema leads back to itself without consuming any input."""
    done: set[int] = set()
    for start in _subschemas(schema):
        path: set[int] = set()
        stack: list[tuple[dict[str, Any], bool]] = [(start, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                path.discard(id(node))
                done.add(id(node))
            elif id(node) in path:
                return True
            elif id(node) not in done:
                path.add(id(node))
                stack.append((node, True))
                stack.extend((n, False) for n in _in_place(node, schema))
    return False


def _in_place(node: dict[str, Any], root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    target = node.get("$ref")
    found = _resolve(root, target) if isinstance(target, str) else None
    candidates: list[Any] = [found]
    for keyword in _IN_PLACE_LISTS:
        listed = node.get(keyword)
        candidates.extend(listed if isinstance(listed, list) else ())
    candidates.extend(node.get(keyword) for keyword in _IN_PLACE)
    yield from (c for c in candidates if isinstance(c, dict))


def _resolve(root: dict[str, Any], reference: str) -> Any:
    if reference == "#":
        return root
    node: Any = root
    for part in reference.removeprefix("#/").split("/"):
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and part in node:
            node = node[part]
        elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node
