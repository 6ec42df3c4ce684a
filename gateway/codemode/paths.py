"""Paths into JSON values and schemas: `$.orders[0].lines`, `$["page[limit]"]`."""

import json
import re
from collections.abc import Mapping
from typing import Any

from core.errors import Invalid, NotFound
from gateway.codemode.definitions import Schema
from gateway.codemode.schemas import merged, resolve

ITEMS = "[]"
VALUES = "*"
_MAX_STEPS = 100
_STEP = re.compile(
    r"\.?(?:\[(?P<index>-?\d{1,18})\]|(?P<items>\[\*?\])"
    r'|\[(?P<double>"(?:[^"\\]|\\.)*")\]'
    r"|\['(?P<single>[^']*)'\]"
    r"|(?P<name>[^.\[\]]+))"
)

Step = str | int


def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path; `[]` stands for the items of a list.

    Raises Invalid.
    """
    text = path.strip()
    position = 1 if text.startswith("$") else 0
    steps: list[Step] = []
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or len(steps) >= _MAX_STEPS:
            raise Invalid(f"The path {text[:100]!r} is not like $.orders[0].lines.")
        position = match.end()
        steps.append(_step(match))
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    index, double = match.group("index"), match.group("double")
    if index is not None:
        return int(index)
    if match.group("items"):
        return ITEMS
    if double is not None:
        try:
            return str(json.loads(double))
        except ValueError:
            return double[1:-1]
    return match.group("single") or match.group("name") or ""


def show(steps: tuple[Step, ...]) -> str:
    """The steps as a path again."""
    text = "$"
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step == ITEMS:
            text += ITEMS
        elif step.isidentifier() or step == VALUES:
            text += f".{step}"
        else:
            text += f"[{json.dumps(step)}]"
    return text


def find_value(value: Any, path: str) -> Any:
    """The part of a JSON value at a path.

    Raises Invalid, and NotFound with what is there instead.
    """
    steps = parse(path)
    for number, step in enumerate(steps):
        if isinstance(value, Mapping) and str(step) in value:
            value = value[str(step)]
        elif (index := _index(value, step)) is not None:
            value = value[index]
        else:
            raise NotFound(
                f"There is nothing at {show(steps[: number + 1])}: "
                f"{show(steps[:number])} is {_describe(value)}."
            )
    return value


def _index(value: Any, step: Step) -> int | None:
    if not isinstance(value, list):
        return None
    if isinstance(step, str):
        if not re.fullmatch(r"\d{1,18}", step):
            return None
        step = int(step)
    return step if -len(value) <= step < len(value) else None


def _describe(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    if isinstance(value, Mapping):
        keys = [str(key)[:40] for key in list(value)[:10]]
        return f"an object with {', '.join(keys)}" if keys else "an empty object"
    return {str: "a string", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )


def find_schema(root: Schema, path: str) -> Schema:
    """The part of a JSON Schema that describes what a path leads to.

    Raises Invalid, and NotFound with the names that are there.
    """
    steps = parse(path)
    part: Any = root
    for number, step in enumerate(steps):
        found = _descend(part, step, root)
        if found is None:
            known = ", ".join(_names(part, root)[:20]) or "nothing to go into"
            raise NotFound(
                f"The schema has nothing at {show(steps[: number + 1])}. "
                f"At {show(steps[:number])}: {known}."
            )
        part = found
    return resolve(part, root).schema


def _branches(schema: Schema, root: Schema) -> list[Schema]:
    found = [schema]
    for key in ("anyOf", "oneOf"):
        parts = schema.get(key)
        if isinstance(parts, list):
            found += [merged(resolve(part, root).schema, root) for part in parts]
    return found


def _descend(part: Any, step: Step, root: Schema) -> Any:
    schema = merged(resolve(part, root).schema, root)
    for branch in _branches(schema, root):
        properties = branch.get("properties")
        if isinstance(properties, Mapping) and str(step) in properties:
            return properties[str(step)]
        inner = branch.get("items")
        if inner is not None and (step in (ITEMS, "items") or isinstance(step, int)):
            return inner
        if step == VALUES and isinstance(branch.get("additionalProperties"), Mapping):
            return branch["additionalProperties"]
    # Raw schema keys as well, for whoever reads the JSON Schema itself.
    raw = schema.get(str(step))
    return raw if isinstance(raw, Mapping) else None


def _names(part: Any, root: Schema) -> list[str]:
    schema = merged(resolve(part, root).schema, root)
    names: dict[str, None] = {}
    for branch in _branches(schema, root):
        properties = branch.get("properties")
        if isinstance(properties, Mapping):
            names |= dict.fromkeys(map(str, properties))
        if "items" in branch:
            names[ITEMS] = None
    return list(names)
