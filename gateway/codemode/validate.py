"""Arguments and results against a tool's JSON Schemas, without network access."""

import difflib
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any

import jsonschema_rs

from gateway.codemode import definitions
from gateway.codemode.definitions import Schema, ToolDef
from gateway.codemode.schemas import allows_null, parameters

MAX_PROBLEMS = 20
_MAX_VALIDATORS = 4096
_MAX_SHOWN = 80
# Patterns come from strangers; a linear-time engine is tried first, this bounds the
# other one.
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)

_TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


class InvalidSchema(ValueError):
    """A tool's schema cannot be used to check anything; the text says why."""


@dataclass(frozen=True, slots=True)
class ArgumentProblem:
    """One thing wrong with a value: where, what, and what to do instead."""

    path: str
    message: str
    suggestion: str
    kind: str
    steps: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        return " ".join(
            part for part in (self.path, self.message, self.suggestion) if part
        )


def compile_schema(schema: Schema) -> jsonschema_rs.Validator:
    """A validator that never fetches anything.

    Raises InvalidSchema, also for references to other documents.
    """
    plain = dict(schema)
    try:
        return _compile(plain)
    except jsonschema_rs.ValidationError as error:
        if "Unknown meta-schema" not in error.message:
            raise InvalidSchema(_short(error.message, 300)) from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise InvalidSchema(_short(str(error), 300)) from None
    # A dialect of one's own still reads as JSON Schema 2020-12 in practice.
    plain.pop("$schema", None)
    try:
        return _compile(plain)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise InvalidSchema(_short(str(error), 300)) from None


def _compile(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        schema, offline=True, validate_formats=False, pattern_options=_PATTERNS
    )


class Validators:
    """Compiled validators, kept by fingerprint; safe to share between threads."""

    def __init__(self, size: int = _MAX_VALIDATORS) -> None:
        self._size = size
        self._lock = Lock()
        self._known: OrderedDict[str, jsonschema_rs.Validator] = OrderedDict()

    def check(self, tool: ToolDef, arguments: Any) -> list[ArgumentProblem]:
        """What is wrong with a call's arguments; an empty list when nothing is.

        A schema that cannot check anything is itself a problem: nothing passes.
        """
        return self._problems(tool, "input", tool.input_schema, arguments)

    def check_result(self, tool: ToolDef, value: Any) -> list[ArgumentProblem]:
        """What is wrong with a structured result; nothing without output schema."""
        if tool.output_schema is None:
            return []
        return self._problems(tool, "output", tool.output_schema, value)

    def _problems(
        self, tool: ToolDef, which: str, schema: Schema, value: Any
    ) -> list[ArgumentProblem]:
        try:
            validator = self._validator(tool, which, schema)
        except InvalidSchema as error:
            text = f"cannot be checked, the tool's {which} schema is invalid: {error}"
            hint = "Ask an administrator to mend or disable the tool."
            return [ArgumentProblem("$", text, hint, "invalid_schema")]
        try:
            errors = list(islice(validator.iter_errors(value), MAX_PROBLEMS))
        except (ValueError, RecursionError) as error:
            text = _short(str(error), 200)
            return [ArgumentProblem("$", f"is not JSON: {text}", "", "not_json")]
        return [_problem(error, schema if which == "input" else {}) for error in errors]

    def _validator(
        self, tool: ToolDef, which: str, schema: Schema
    ) -> jsonschema_rs.Validator:
        key = f"{which}:{tool.fingerprint or _own_fingerprint(schema)}"
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        validator = compile_schema(schema)
        with self._lock:
            self._known[key] = validator
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return validator


def without_omitted(tool: ToolDef, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments without the optional ones left at None, as signatures promise.

    A None stays where the schema takes null or where the argument is required.
    """
    takes = parameters(tool.input_schema)
    return {
        name: value
        for name, value in arguments.items()
        if value is not None
        or name in takes.required
        or name not in takes.properties
        or allows_null(takes.properties[name], tool.input_schema)
    }


def _own_fingerprint(schema: Schema) -> str:
    return definitions.fingerprint(
        name="", description="", input_schema=schema, output_schema=None, annotations={}
    )


def _problem(error: jsonschema_rs.ValidationError, schema: Schema) -> ArgumentProblem:
    path = show_path(error.instance_path)
    details = error.kind.as_dict()
    describe = _DESCRIBED.get(error.kind.name)
    if describe is not None:
        message, suggestion = describe(details, error, schema)
    else:
        message, suggestion = _masked(error), ""
    steps = tuple(error.instance_path)
    return ArgumentProblem(path, message, suggestion, error.kind.name, steps)


def _masked(error: jsonschema_rs.ValidationError) -> str:
    # The value stands first and may be long; what is wrong with it stands last.
    text = error.message.replace("\n", " ")
    return text if len(text) <= 200 else f"{text[:80]}…{text[-100:]}"


Described = tuple[str, str]
Error = jsonschema_rs.ValidationError


def _type(details: dict[str, Any], error: Error, schema: Schema) -> Described:
    wanted = " or ".join(_TYPES.get(kind, kind) for kind in details["types"])
    return f"must be {wanted}, not {_shown(error.instance)}", ""


def _enum(details: dict[str, Any], error: Error, schema: Schema) -> Described:
    options = details["options"]
    shown = ", ".join(_shown(option) for option in options[:12])
    more = f" and {len(options) - 12} more" if len(options) > 12 else ""
    texts = [option for option in options if isinstance(option, str)]
    close = difflib.get_close_matches(str(error.instance), texts, n=1)
    hint = f"Did you mean {_shown(close[0])}?" if close else ""
    return f"must be one of {shown}{more}, not {_shown(error.instance)}", hint


def _required(details: dict[str, Any], error: Error, schema: Schema) -> Described:
    return f"needs {_shown(details['property'])}", ""


def _unexpected(details: dict[str, Any], error: Error, schema: Schema) -> Described:
    names = [str(name) for name in details["unexpected"]]
    message = f"has no {', '.join(_shown(name) for name in names[:5])}"
    if error.instance_path or not schema:
        return message, ""
    close = difflib.get_close_matches(names[0], list(parameters(schema).properties))
    return message, f"Did you mean {_shown(close[0])}?" if close else ""


def _alternatives(details: dict[str, Any], error: Error, schema: Schema) -> Described:
    context = getattr(error.kind, "context", None) or []
    branches = [branch for branch in context if branch]
    hint = ""
    if branches:
        nearest = min(branches, key=len)[0]
        hint = f"{show_path(nearest.instance_path)}: {_masked(nearest)}"
    return f"fits none of the {len(context)} alternatives", hint


_DESCRIBED: dict[str, Callable[[dict[str, Any], Error, Schema], Described]] = {
    "type": _type,
    "enum": _enum,
    "required": _required,
    "additionalProperties": _unexpected,
    "unevaluatedProperties": _unexpected,
    "anyOf": _alternatives,
    "oneOf": _alternatives,
}


def show_path(path: Sequence[str | int]) -> str:
    """`$.items[0].name`, the notation `get_schema` and `get_run` take."""
    text = "$"
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier():
            text += f".{step}"
        else:
            text += f"[{json.dumps(step)}]"
    return text


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (list, dict)) and len(value) > 5:
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return _short(json.dumps(value, default=str), _MAX_SHOWN)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
