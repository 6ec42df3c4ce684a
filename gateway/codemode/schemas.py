"""Reading JSON Schemas as they come: local references, merged parts, parameters."""

import keyword
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.codemode.definitions import Schema

_MAX_REFERENCES = 32
_MAX_PARTS = 50
_EMPTY: Schema = {}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A schema with its references followed."""

    schema: Schema
    references: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a tool takes: `closed` when any other name is refused or unheard of."""

    properties: dict[str, Any] = field(hash=False)
    required: frozenset[str]
    closed: bool


def pointer(root: Any, reference: str) -> Any:
    """The part of a document a local reference (`#/$defs/Order`) names.

    Raises LookupError when there is none, or when the reference is not local.
    """
    if not reference.startswith("#"):
        raise LookupError(reference)
    part = root
    for step in reference[1:].split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, list) and step.isdigit() and int(step) < len(part):
            part = part[int(step)]
        elif isinstance(part, Mapping) and step in part:
            part = part[step]
        else:
            raise LookupError(reference)
    return part


def resolve(schema: Any, root: Schema) -> Resolved:
    """Follow local references; what cannot be followed leaves a `problem`."""
    references: list[str] = []
    extra: dict[str, Any] = {}
    while isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
        reference = schema["$ref"]
        extra = {**{k: v for k, v in schema.items() if k != "$ref"}, **extra}
        if reference in references or len(references) >= _MAX_REFERENCES:
            return Resolved(extra, tuple(references), "cycle")
        references.append(reference)
        try:
            schema = pointer(root, reference)
        except LookupError:
            return Resolved(extra, tuple(references), f"unresolved {reference}")
    if not isinstance(schema, Mapping):
        return Resolved(extra, tuple(references))
    return Resolved({**schema, **extra} if extra else schema, tuple(references))


def _parts(schema: Schema, root: Schema, key: str) -> Iterator[Schema]:
    parts = schema.get(key)
    if isinstance(parts, (list, tuple)):
        for part in parts[:_MAX_PARTS]:
            yield resolve(part, root).schema


def required_names(schema: Schema) -> frozenset[str]:
    """The `required` list, wrong entries left out."""
    names = schema.get("required")
    if not isinstance(names, (list, tuple)):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str))


def merged(schema: Schema, root: Schema, depth: int = 0) -> Schema:
    """The schema with the objects of its `allOf` laid over one another."""
    if depth > _MAX_REFERENCES or not isinstance(schema.get("allOf"), (list, tuple)):
        return schema
    properties: dict[str, Any] = {}
    required: frozenset[str] = frozenset()
    result: dict[str, Any] = {}
    own = {key: value for key, value in schema.items() if key != "allOf"}
    parts = [merged(part, root, depth + 1) for part in _parts(schema, root, "allOf")]
    for part in (*parts, own):
        found = part.get("properties")
        if isinstance(found, Mapping):
            properties |= found
        required |= required_names(part)
        result |= part
    if properties:
        result["properties"] = properties
    if required:
        result["required"] = sorted(required)
    return result


def parameters(root: Schema) -> Parameters:
    """The named arguments of an input schema, those of its alternatives included."""
    schema = merged(resolve(root, root).schema, root)
    properties: dict[str, Any] = {}
    required = required_names(schema)
    open_ended = _takes_others(schema)
    for key in ("anyOf", "oneOf"):
        branches = [merged(part, root) for part in _parts(schema, root, key)]
        for branch in branches:
            found = branch.get("properties")
            properties |= dict(found) if isinstance(found, Mapping) else {}
            open_ended = open_ended or _takes_others(branch)
        if branches:
            required |= frozenset.intersection(*map(required_names, branches))
    own = schema.get("properties")
    properties |= dict(own) if isinstance(own, Mapping) else {}
    if any(key in schema for key in ("if", "dependentSchemas", "$dynamicRef")):
        open_ended = True
    declared = bool(properties) or isinstance(own, Mapping)
    closed = schema.get("additionalProperties") is False or (
        declared and not open_ended
    )
    return Parameters(properties, required, closed)


def _takes_others(schema: Schema) -> bool:
    extra = schema.get("additionalProperties")
    return (
        extra is True
        or (isinstance(extra, Mapping))
        or bool(schema.get("patternProperties"))
        or "unevaluatedProperties" in schema
        or "$ref" in schema
    )


def allows_null(schema: Any, root: Schema) -> bool:
    """Whether null itself is a value this schema takes, as far as can be seen."""
    part = resolve(schema, root).schema
    kind = part.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind):
        return True
    if part.get("nullable") is True:
        return True
    if isinstance(part.get("enum"), list) and None in part["enum"]:
        return True
    return any(
        branch.get("type") == "null"
        for key in ("anyOf", "oneOf")
        for branch in _parts(part, root, key)
    )


def is_plain_name(name: str) -> bool:
    """Whether a script can write `name=value` and the same name arrives."""
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and unicodedata.normalize("NFKC", name) == name
    )
