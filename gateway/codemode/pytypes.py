"""JSON Schemas as Python type expressions, short enough for an agent to read."""

import json
import re
from collections.abc import Mapping
from typing import Any

from gateway.codemode.definitions import Schema
from gateway.codemode.schemas import (
    allows_null,
    is_plain_name,
    merged,
    required_names,
    resolve,
)

_SCALARS = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}
_MAX_LITERALS = 12
_MAX_LITERAL_CHARS = 160
_MAX_UNION = 5
ANY = "Any"
ANY_OBJECT = "dict[str, Any]"


class Types:
    """Type expressions for one tool, with the TypedDicts they need and what was cut."""

    def __init__(
        self,
        root: Schema,
        *,
        max_depth: int = 3,
        max_fields: int = 12,
        max_classes: int = 6,
        taken: tuple[str, ...] = (),
    ) -> None:
        self._root = root
        self._max_depth = max_depth
        self._max_fields = max_fields
        self._max_classes = max_classes
        self._taken = set(taken)
        self._by_reference: dict[str, str] = {}
        self._open: list[str] = []
        self._started = 0
        self.classes: list[str] = []
        self.names: list[str] = []
        self.cuts: list[str] = []

    def of(self, schema: Any, path: str, hint: str, depth: int = 0) -> str:
        """The type of a part of the schema; `path` is where it is, for what is cut."""
        return " | ".join(self._options(schema, path, hint, depth))

    def _options(self, schema: Any, path: str, hint: str, depth: int) -> list[str]:
        resolved = resolve(schema, self._root)
        reference = resolved.references[-1] if resolved.references else ""
        if resolved.problem:
            self._cut(path, resolved.problem)
            return [ANY]
        if reference in self._by_reference:
            return [self._by_reference[reference]]
        if reference and reference in self._open:
            self._cut(path, "cycle")
            return [ANY_OBJECT]
        if depth > self._max_depth + 3:
            self._cut(path, "depth")
            return [ANY]
        if reference:
            hint = reference.rsplit("/", 1)[-1]
            self._open.append(reference)
        found = self._alternatives(
            merged(resolved.schema, self._root), path, hint, depth, reference
        )
        if reference:
            self._open.pop()
        if allows_null(resolved.schema, self._root) and "None" not in found:
            found = [*found, "None"]
        return found

    def _cut(self, path: str, why: str) -> None:
        note = f"{path} ({why})"
        if note not in self.cuts:
            self.cuts.append(note)

    def _alternatives(
        self, schema: Schema, path: str, hint: str, depth: int, reference: str
    ) -> list[str]:
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(values, list):
            options = _literal(values)
            if options:
                return options
        for key in ("anyOf", "oneOf"):
            branches = schema.get(key)
            if isinstance(branches, list) and branches and "properties" not in schema:
                return self._union(branches, path, hint, depth)
        kind = schema.get("type")
        if isinstance(kind, list):
            kinds = [{**schema, "type": one} for one in kind if isinstance(one, str)]
            return self._union(kinds, path, hint, depth) if kinds else [ANY]
        return [self._single(schema, path, hint, depth, reference)]

    def _single(
        self, schema: Schema, path: str, hint: str, depth: int, reference: str
    ) -> str:
        kind = schema.get("type")
        if isinstance(kind, str) and kind in _SCALARS:
            return _SCALARS[kind]
        if kind == "array" or (kind is None and "items" in schema):
            return self._array(schema, path, hint, depth)
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, path, hint, depth, reference)
        return ANY

    def _union(
        self, branches: list[Any], path: str, hint: str, depth: int
    ) -> list[str]:
        if len(branches) > _MAX_UNION:
            self._cut(path, f"{len(branches)} alternatives")
            return [ANY]
        found: dict[str, None] = {}
        for branch in branches:
            found |= dict.fromkeys(self._options(branch, path, hint, depth + 1))
        if ANY in found:
            return [ANY]
        # None reads best at the end.
        return sorted(found, key=lambda option: option == "None")

    def _array(self, schema: Schema, path: str, hint: str, depth: int) -> str:
        items = schema.get("items")
        if not isinstance(items, Mapping) or not items:
            return "list[Any]"
        single = hint[:-1] if hint.endswith("s") and len(hint) > 3 else f"{hint}_item"
        return f"list[{self.of(items, f'{path}[]', single, depth + 1)}]"

    def _object(
        self, schema: Schema, path: str, hint: str, depth: int, reference: str
    ) -> str:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping) or not properties:
            extra = schema.get("additionalProperties")
            if isinstance(extra, Mapping) and extra:
                value = self.of(extra, f"{path}.*", f"{hint}_value", depth + 1)
                return f"dict[str, {value}]"
            return ANY_OBJECT
        if depth >= self._max_depth or self._started >= self._max_classes:
            self._cut(path, "depth" if depth >= self._max_depth else "size")
            return ANY_OBJECT
        self._started += 1
        name = self._class_name(hint)
        if reference:
            self._by_reference[reference] = name
        self._define(name, schema, properties, path, depth)
        return name

    def _define(
        self,
        name: str,
        schema: Schema,
        properties: Mapping[str, Any],
        path: str,
        depth: int,
    ) -> None:
        required = required_names(schema)
        keys = sorted(map(str, properties), key=lambda key: key not in required)
        shown = keys[: self._max_fields]
        rows: list[tuple[str, str]] = []
        for key in shown:
            kind = self.of(properties[key], f"{path}.{key}", key, depth + 1)
            rows.append((key, kind if key in required else f"NotRequired[{kind}]"))
        if all(is_plain_name(key) for key in shown):
            body = "; ".join(f"{key}: {kind}" for key, kind in rows)
            text = f"class {name}(TypedDict): {body}"
        else:
            body = ", ".join(f"{_quoted(key)}: {kind}" for key, kind in rows)
            text = f'{name} = TypedDict("{name}", {{{body}}})'
        if len(keys) > len(shown):
            self._cut(path, f"{len(keys) - len(shown)} more fields of {name}")
        self.classes.append(text)
        self.names.append(name)

    def _class_name(self, hint: str) -> str:
        parts = re.findall(r"[A-Za-z0-9]+", hint)
        name = "".join(part[0].upper() + part[1:] for part in parts)[:40] or "Item"
        name = f"T{name}" if name[0].isdigit() else name
        name = f"{name}_" if name in {"None", "True", "False", ANY} else name
        number, unique = 2, name
        while unique in self._taken:
            unique, number = f"{name}{number}", number + 1
        self._taken.add(unique)
        return unique


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def literal(value: Any) -> str | None:
    """A JSON scalar as Python writes it, None when it is not one or is too long."""
    if value is None or isinstance(value, (bool, int)):
        text = repr(value)
    elif isinstance(value, str):
        text = _quoted(value)
    elif isinstance(value, float) and value == value and abs(value) != float("inf"):
        text = repr(value)
    else:
        return None
    return text if len(text) <= _MAX_LITERAL_CHARS else None


def _literal(values: list[Any]) -> list[str] | None:
    # Literal takes no floats, and a long list teaches nobody.
    if not values or len(values) > _MAX_LITERALS:
        return None
    nullable = None in values and len(values) > 1
    kept = [value for value in values if not (nullable and value is None)]
    if any(isinstance(value, float) for value in kept):
        return None
    texts = [literal(value) for value in kept]
    known = [text for text in texts if text is not None]
    joined = ", ".join(known)
    if len(known) < len(texts) or len(joined) > _MAX_LITERAL_CHARS:
        return None
    return [f"Literal[{joined}]", *(["None"] if nullable else [])]
