"""The tools an agent sees, whatever the size of the catalog.

Four for every agent; one more for a key that may report what models used.
"""

from typing import Any

_DETAIL = {
    "type": "string",
    "enum": ["brief", "detailed", "typescript", "full"],
    "default": "detailed",
    "description": "brief: one line; detailed: Python signature; full: JSON Schema",
}

SEARCH: dict[str, Any] = {
    "name": "search",
    "title": "Search tools",
    "description": (
        "Find tools by what one step of the task needs, e.g. 'list orders by date'. "
        "Search per step, not per task. The answer says how many tools you "
        "may use; an empty query lists them."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {
            "query": {"type": "string", "maxLength": 1000},
            "detail": _DETAIL,
            "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 10},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 20},
            "server": {"type": "string"},
        },
        "required": ["query"],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}

GET_SCHEMA: dict[str, Any] = {
    "name": "get_schema",
    "title": "Get tool signatures",
    "description": (
        "Signatures of tools by full name ('crm.list_orders'). Read them before you "
        "write a script. For a schema that was cut, give one tool and a path such as "
        "'$.filter.items'."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {
            "tools": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "maxItems": 50,
            },
            "detail": _DETAIL,
            "path": {"type": "string", "maxLength": 1000},
        },
        "required": ["tools"],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}

EXECUTE: dict[str, Any] = {
    "name": "execute",
    "title": "Run a script that calls tools",
    "description": (
        "Run one Python script that does the whole task: call tools, filter and join "
        "in the script, return only what you need. Intermediate results never come "
        "back.\n"
        "from tools import crm\n"
        'orders = crm.list_orders(since="2026-04-01")  # keyword arguments, no await\n'
        'return [o["id"] for o in orders if o["total"] > 100]  # print() is shown too\n'
        "Names that are no identifiers: crm.find(**{'from': 1}). A failed call raises "
        "ToolError. In parallel: await asyncio.gather(...), then await every call. "
        "No network, files or packages. On an error mend the named line "
        "and send it again with the same task. While status is 'queued', "
        "'running' or 'awaiting_…', ask get_run."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {
            "code": {"type": "string", "maxLength": 100000},
            "language": {
                "type": "string",
                "enum": ["python", "typescript"],
                "default": "python",
                "description": (
                    "typescript: await tools.crm.listOrders({since: 'x'}); return …"
                ),
            },
            "task": {
                "type": "string",
                "maxLength": 200,
                "description": "Same name for all attempts at one piece of work",
            },
            "wait": {
                "type": "number",
                "minimum": 0,
                "maximum": 55,
                "default": 50,
                "description": "Seconds; 0 returns at once",
            },
        },
        "required": ["code"],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": False, "openWorldHint": True},
    "execution": {"taskSupport": "optional"},
}

GET_RUN: dict[str, Any] = {
    "name": "get_run",
    "title": "Get a run's result",
    "description": (
        "The answer of a run by its id. To page through a value that was cut give "
        "path ('$' or '$.items'), offset and limit."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {
            "run": {"type": "string", "maxLength": 200},
            "path": {"type": "string", "maxLength": 1000},
            "offset": {"type": "integer", "minimum": 0},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
            "cancel": {"type": "boolean", "description": "Stop the run"},
        },
        "required": ["run"],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": False, "openWorldHint": False},
}

_TOKENS = {"type": "integer", "minimum": 0}
REPORT_USAGE: dict[str, Any] = {
    "name": "report_usage",
    "title": "Report model tokens",
    "description": (
        "Report the tokens of one answer of a model, for the costs of a run or task. "
        "input includes cached_read and cache_write, output includes reasoning; leave "
        "out what the model did not report. The same id twice counts once."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1, "maxLength": 200},
            "provider": {"type": "string", "minLength": 1, "maxLength": 100},
            "model": {"type": "string", "minLength": 1, "maxLength": 100},
            "input": _TOKENS,
            "output": _TOKENS,
            "cached_read": _TOKENS,
            "cache_write": _TOKENS,
            "reasoning": _TOKENS,
            "at": {"type": "string", "description": "RFC 3339; now if left out"},
            "run": {"type": "string", "maxLength": 40},
            "task": {"type": "string", "maxLength": 200},
        },
        "required": ["id", "provider", "model"],
        "additionalProperties": False,
    },
    "annotations": {
        "readOnlyHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    },
}

AGENT_TOOLS: tuple[dict[str, Any], ...] = (SEARCH, GET_SCHEMA, EXECUTE, GET_RUN)
