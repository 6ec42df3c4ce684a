"""What `search` and `get_schema` answer, at three details and within a budget."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import Invalid
from gateway.codemode import tokens
from gateway.codemode.definitions import Schema, ToolDef
from gateway.codemode.paths import ITEMS, find_schema, parse, show
from gateway.codemode.pytypes import Types
from gateway.codemode.schemas import merged, parameters, required_names, resolve
from gateway.codemode.search import Hits
from gateway.codemode.stubs import call_line, first_sentence, signature
from gateway.codemode.typescript import (
    camel_case,
    typescript_call_line,
    typescript_signature,
)

BRIEF, DETAILED, TYPESCRIPT, FULL = "brief", "detailed", "typescript", "full"
DETAILS = (BRIEF, DETAILED, TYPESCRIPT, FULL)
_DIRECTLY = "not for scripts: call it directly, as the MCP tool {}"
_MAX_ROWS = 100
_MAX_NODES = 3000
_MAX_BRANCHES = 20
_NESTED = ("properties", "items", "anyOf", "oneOf", "additionalProperties")
_NOT_SHOWN = ("$defs", "definitions", "components", "example", "examples")
# Real schemas have 3 to 5 characters a token: what is longer than this many a token
# is over the budget without counting.
_MAX_CHARS_PER_TOKEN = 12


def render_search(hits: Hits, detail: str, token_budget: int) -> dict[str, Any]:
    """The answer of `search`: as many hits, best first, as the budget holds."""
    shown, left_out = _within(hits.tools, detail, token_budget)
    total = hits.total_visible
    answer: dict[str, Any] = {
        "summary": f"{len(shown)} of {total:,} tools",
        "tools": shown,
        "suggestions": list(hits.suggestions),
    }
    if left_out:
        names = ", ".join(tool.full_name for tool in left_out[:10])
        answer["suggestions"].append(
            f"Left out for length: {names}. Ask get_schema for them, or detail=brief."
        )
    return answer


def render_schema(
    tools: Sequence[ToolDef],
    missing: Mapping[str, Sequence[str]],
    detail: str,
    token_budget: int,
    path: str | None,
) -> dict[str, Any]:
    """The answer of `get_schema`; `missing` maps wrong names to close ones.

    With a path, the one tool's schema from there on. Raises Invalid, and NotFound
    for a path that leads nowhere.
    """
    if path is not None and path.strip() not in {"", "$"}:
        if len(tools) != 1:
            raise Invalid("A path goes with exactly one tool: name that tool alone.")
        return _part(tools[0], path, detail, token_budget) | _missing(missing)
    shown, left_out = _within(tools, detail, token_budget)
    answer: dict[str, Any] = {
        "summary": f"{len(shown)} of {len(tools) + len(missing)} tools asked for",
        "tools": shown,
    }
    if left_out:
        names = [tool.full_name for tool in left_out]
        answer["left_out"] = names
        answer["hint"] = "Ask for those left out in a second call."
    return answer | _missing(missing)


def _missing(missing: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    if not missing:
        return {}
    return {
        "unknown": [
            {"name": name[:200], "did_you_mean": list(close)}
            for name, close in missing.items()
        ]
    }


def _within(
    tools: Sequence[ToolDef], detail: str, budget: int
) -> tuple[list[Any], Sequence[ToolDef]]:
    """Rendered tools within the budget, each cut where it alone is too large."""
    shown: list[Any] = []
    left = budget
    for number, tool in enumerate(tools):
        row = _row(tool, detail)
        cost = _cost(row, budget)
        if cost > left:
            # The first one always comes, if need be in a smaller form; a schema asked
            # for in full is better read whole, in a second call.
            if shown and detail == FULL:
                return shown, tools[number:]
            row, cost = _smaller(tool, detail, budget if not shown else left)
        if cost > left and shown:
            return shown, tools[number:]
        shown.append(row)
        left -= cost
    return shown, ()


def _cost(row: Any, budget: int) -> int:
    text = row if isinstance(row, str) else json.dumps(row, default=str)
    if len(text) > budget * _MAX_CHARS_PER_TOKEN:
        return len(text)
    return tokens.count(text)


def _row(tool: ToolDef, detail: str) -> Any:
    if detail == BRIEF:
        text = first_sentence(tool.description or tool.title)
        name = tool.full_name if tool.scripted else f"{tool.full_name} (directly only)"
        return f"{name}: {text}" if text else name
    if detail in {DETAILED, TYPESCRIPT} and not tool.scripted:
        return f"# {_DIRECTLY.format(tool.full_name)}\n{signature(tool)}"
    if detail == DETAILED:
        return f"# from tools import {tool.server}; {tool.full_name}\n{signature(tool)}"
    if detail == TYPESCRIPT:
        call = f"// await tools.{tool.server}.{camel_case(tool.name)}(…)"
        return f"{call}\n{typescript_signature(tool)}"
    if detail != FULL:
        raise Invalid(
            f"The detail is one of {', '.join(DETAILS)}, not {detail[:20]!r}."
        )
    row: dict[str, Any] = {
        "name": tool.full_name,
        "description": tool.description,
        "effect": tool.effect,
        "tags": list(tool.tags),
        "version": tool.version,
        "inputSchema": tool.input_schema,
    }
    if not tool.scripted:
        row["called"] = _DIRECTLY.format(tool.full_name)
    if tool.output_schema is not None:
        row["outputSchema"] = tool.output_schema
    return row


def _smaller(tool: ToolDef, detail: str, budget: int) -> tuple[Any, int]:
    """A tool that does not fit: its schema cut by depth, else its one line."""
    if detail == FULL:
        for depth in (4, 3, 2, 1):
            row = _row(tool, FULL)
            row["inputSchema"] = prune(tool.input_schema, depth)
            row["description"] = tool.description[:600]
            row.pop("outputSchema", None)
            row["cut"] = "Schema cut: get_schema with a path such as $.name goes deeper"
            cost = _cost(row, budget)
            if cost <= budget:
                return row, cost
        names = list(
            merged(
                resolve(tool.input_schema, tool.input_schema).schema, tool.input_schema
            ).get("properties")
            or ()
        )
        row = {"name": tool.full_name, "parameters": names[:_MAX_ROWS], "cut": "…"}
        return row, _cost(row, budget)
    hint = "Cut: get_schema with a path such as $.name shows more"
    if not tool.scripted:
        hint = f"{_DIRECTLY.format(tool.full_name)}. {hint}"
    text = f"{call_line(tool)}\n# {hint}"
    if detail == TYPESCRIPT:
        text = f"{typescript_call_line(tool)}\n// {hint}"
    cost = tokens.count(text)
    if cost <= budget:
        return text, cost
    line = f"{tool.full_name}: {first_sentence(tool.description)}"
    return line, tokens.count(line)


@dataclass(slots=True)
class _Pruner:
    """Copies a schema down to a depth, references followed, at most so many nodes."""

    root: Schema
    left: int = _MAX_NODES

    def prune(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, Mapping):
            return schema
        self.left -= 1
        resolved = resolve(schema, self.root)
        part = dict(merged(resolved.schema, self.root))
        for key in _NOT_SHOWN:
            part.pop(key, None)
        if resolved.problem:
            part["$comment"] = resolved.problem
        for key in _NESTED:
            if isinstance(part.get(key), (Mapping, list)):
                if depth <= 0 or self.left <= 0:
                    del part[key]
                    part["$comment"] = "deeper parts left out"
                else:
                    part[key] = self._nested(key, part[key], depth - 1)
        return part

    def _nested(self, key: str, value: Any, depth: int) -> Any:
        if isinstance(value, list):
            return [self.prune(one, depth) for one in value[:_MAX_BRANCHES]]
        if key == "properties":
            return {name: self.prune(one, depth) for name, one in value.items()}
        return self.prune(value, depth)


def prune(schema: Any, depth: int, root: Schema | None = None) -> Any:
    """A schema without what lies deeper than `depth`, references followed."""
    return _Pruner(schema if root is None else root).prune(schema, depth)


def _part(tool: ToolDef, path: str, detail: str, budget: int) -> dict[str, Any]:
    root, steps = tool.input_schema, parse(path)
    into_result = steps[0] == "return" and "return" not in parameters(root).properties
    if into_result and tool.output_schema is not None:
        root, steps = tool.output_schema, steps[1:]
    schema = find_schema(root, show(steps))
    where = show(parse(path))
    answer: dict[str, Any] = {
        "summary": f"{tool.full_name} at {where}",
        "tool": tool.full_name,
        "path": where,
    }
    if detail == FULL:
        return answer | {"schema": _fitted(schema, root, budget)}
    types = Types(root, max_depth=2, max_fields=40)
    expression = types.of(schema, where, str(parse(path)[-1]))
    if tokens.count("\n".join([*types.classes, expression])) > budget:
        types = Types(root, max_depth=1, max_fields=20)
        expression = types.of(schema, where, str(parse(path)[-1]))
    answer["type"] = expression
    answer["definitions"] = types.classes
    if types.cuts:
        answer["cut"] = types.cuts[:20]
    return answer | _fields(schema, root, where, budget // 2)


def _fields(schema: Schema, root: Schema, where: str, budget: int) -> dict[str, Any]:
    """The parts below a path, one line each, with the way to each."""
    part = merged(resolve(schema, root).schema, root)
    rows: list[str] = []
    required = required_names(part)
    properties = part.get("properties")
    if isinstance(properties, Mapping):
        for name, value in properties.items():
            inner = resolve(value, root).schema
            text = first_sentence(str(inner.get("description") or ""))
            need = " (required)" if name in required else ""
            rows.append(f"{show((*parse(where), str(name)))}{need}: {text}")
    if "items" in part:
        rows.append(f"{where}{ITEMS}: the items")
    if not rows:
        text = str(part.get("description") or "")
        return {"description": text[:2000]} if text else {}
    kept: list[str] = []
    for row in rows[:_MAX_ROWS]:
        budget -= tokens.count(row)
        if budget < 0:
            break
        kept.append(row)
    if len(kept) < len(rows):
        kept.append(f"and {len(rows) - len(kept)} more")
    return {"fields": kept}


def _fitted(schema: Schema, root: Schema, budget: int) -> Any:
    for depth in (6, 4, 3, 2, 1, 0):
        part = prune(schema, depth, root)
        if _cost(part, budget) <= budget:
            return part
    return {"$comment": "too large even at depth 0: ask for detail=detailed"}
