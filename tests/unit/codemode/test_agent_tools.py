import json

import jsonschema_rs
import pytest
from mcp.types import Tool

from gateway.codemode import tokens
from gateway.codemode.agent_tools import AGENT_TOOLS
from gateway.codemode.preflight import MAX_CODE_CHARS


def test_the_definitions_cost_at_most_a_thousand_tokens() -> None:
    assert tokens.count(json.dumps(AGENT_TOOLS)) <= 1000


def test_the_four_tools_are_valid_mcp_tools() -> None:
    names = [Tool.model_validate(tool).name for tool in AGENT_TOOLS]
    assert names == ["search", "get_schema", "execute", "get_run"]


@pytest.mark.parametrize(
    ("name", "arguments", "valid"),
    [
        ("search", {"query": "orders"}, True),
        ("search", {"query": "", "detail": "brief", "limit": 50, "tags": ["a"]}, True),
        ("search", {"query": "orders", "limit": 51}, False),
        ("search", {"query": "orders", "detail": "all"}, False),
        ("search", {}, False),
        ("get_schema", {"tools": ["crm.x"], "path": "$.a"}, True),
        ("get_schema", {"tools": []}, False),
        ("execute", {"code": "1", "language": "python", "task": "t", "wait": 0}, True),
        ("execute", {"code": "return 1", "language": "typescript"}, True),
        ("execute", {"code": "1", "wait": 56}, False),
        ("execute", {"code": "1", "language": "ruby"}, False),
        ("execute", {"code": "x" * (MAX_CODE_CHARS + 1)}, False),
        ("get_run", {"run": "r", "path": "$", "offset": 0, "limit": 1}, True),
        ("get_run", {"run": "r", "offset": -1}, False),
        ("get_run", {"run": "r", "other": 1}, False),
    ],
)
def test_arguments(name: str, arguments: dict[str, object], valid: bool) -> None:
    schema = next(tool["inputSchema"] for tool in AGENT_TOOLS if tool["name"] == name)
    assert jsonschema_rs.is_valid(schema, arguments) is valid
