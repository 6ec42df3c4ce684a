"""What is sent back: one tool's answer, whether at once or through a task."""

from collections.abc import Mapping
from typing import Any

import mcp_types as types
import orjson

from gateway.mcp_server.tools import direct_answer
from gateway.models import Run
from gateway.services.envelope import envelope


def answer_of(run: Run) -> types.CallToolResult:
    """What the call that submitted this run is answered with."""
    if run.mode == Run.Mode.SCRIPT:
        return result(envelope(run), failed=run.error is not None)
    value, error = direct_answer(run)
    if error is not None:
        return failure(error["code"], error["message"], {"run": run.uid})
    if isinstance(value, dict):
        return result(value)
    return types.CallToolResult(content=[_text(value)])


def result(body: dict[str, Any], *, failed: bool = False) -> types.CallToolResult:
    """A JSON body as a result."""
    # The same JSON twice: clients read structured content or text, not all both.
    return types.CallToolResult(
        content=[_text(body)], structured_content=body, is_error=failed
    )


def failure(
    code: str, message: str, details: Mapping[str, Any]
) -> types.CallToolResult:
    """An error that the model is to see."""
    error = {"code": code, "message": message, "details": dict(details)}
    return result({"error": error}, failed=True)


def _text(value: Any) -> types.TextContent:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return types.TextContent(type="text", text=text)
