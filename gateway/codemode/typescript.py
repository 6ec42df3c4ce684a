"""TypeScript signatures of tools: `crm.listOrders({since: string}): Promise<…>`."""

import json
import re
from collections.abc import Mapping
from typing import Any

from gateway.codemode.definitions import Schema, ToolDef
from gateway.codemode.schemas import allows_null, merged, parameters, resolve

_SCALARS = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}
_MAX_DEPTH = 3
_MAX_FIELDS = 12
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")


def camel_case(name: str) -> str:
    """`list_orders` as TypeScript scripts call it: `listOrders`."""
    head, *rest = [part for part in name.split("_") if part] or ["tool"]
    return head[0].lower() + head[1:] + "".join(p[0].upper() + p[1:] for p in rest)


def typescript_signature(tool: ToolDef) -> str:
    """A declaration of the tool's function within the namespace of its server."""
    argument, returns = _argument(tool), _returns(tool)
    text = " ".join(tool.description.split()).replace("*/", "* /")[:300]
    return (
        f"namespace {tool.server} {{\n  /** {text} */\n"
        f"  function {camel_case(tool.name)}({argument}): Promise<{returns}>;\n}}"
    )


def typescript_call_line(tool: ToolDef) -> str:
    """The call on one line, for error messages."""
    call = f"tools.{tool.server}.{camel_case(tool.name)}({_argument(tool)})"
    return f"{call}: Promise<{_returns(tool)}>"


def _argument(tool: ToolDef) -> str:
    takes = parameters(tool.input_schema)
    fields = [
        f"{_key(name)}{'' if name in takes.required else '?'}: "
        f"{_type(schema, tool.input_schema, 1)}"
        for name, schema in takes.properties.items()
    ]
    if not takes.closed:
        fields.append("[other: string]: unknown")
    optional = "" if takes.required else "?"
    return f"args{optional}: {{{'; '.join(fields)}}}" if fields else ""


def _returns(tool: ToolDef) -> str:
    if not tool.output_schema:
        return "unknown"
    return _type(tool.output_schema, tool.output_schema, 0)


def _key(name: str) -> str:
    return name if _IDENTIFIER.match(name) else json.dumps(name)


def _type(schema: Any, root: Schema, depth: int) -> str:
    resolved = resolve(schema, root)
    if resolved.problem or depth > _MAX_DEPTH:
        return "unknown"
    part = merged(resolved.schema, root)
    found = _known(part, root, depth)
    if allows_null(part, root) and not found.endswith("null"):
        return f"{found} | null"
    return found


def _known(part: Schema, root: Schema, depth: int) -> str:
    values = [part["const"]] if "const" in part else part.get("enum")
    if isinstance(values, list) and 0 < len(values) <= _MAX_FIELDS:
        return " | ".join(json.dumps(value) for value in values)
    for key in ("anyOf", "oneOf"):
        branches = part.get(key)
        if isinstance(branches, list) and branches and "properties" not in part:
            found = [_type(branch, root, depth + 1) for branch in branches[:5]]
            return " | ".join(dict.fromkeys(found))
    kind = part.get("type")
    if isinstance(kind, list):
        return " | ".join(_SCALARS.get(str(one), "unknown") for one in kind)
    if isinstance(kind, str) and kind in _SCALARS:
        return _SCALARS[kind]
    if kind == "array":
        return f"Array<{_type(part.get('items', {}), root, depth + 1)}>"
    if kind == "object" or "properties" in part:
        return _object(part, root, depth)
    return "unknown"


def _object(part: Schema, root: Schema, depth: int) -> str:
    properties = part.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return "Record<string, unknown>"
    required = part.get("required") or ()
    fields = [
        f"{_key(str(name))}{'' if name in required else '?'}: "
        f"{_type(schema, root, depth + 1)}"
        for name, schema in list(properties.items())[:_MAX_FIELDS]
    ]
    more = len(properties) - len(fields)
    note = f" /* and {more} more */" if more > 0 else ""
    return f"{{{'; '.join(fields)}{note}}}"
