"""Says in one line what went wrong in Monty, and in which line of the script."""

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic_monty import MontyCrashedError, MontyError, MontyRuntimeError

_LONGEST = 2_000
_TIME_LIMIT = re.compile(r"(feed|turn) time limit exceeded: ")
_MEMORY_LIMIT = re.compile(r"memory limit exceeded: ")
_NO_TOOL = re.compile(r"module 'tools\.(\w+)' has no attribute '(\w+)'")
_NO_SERVER = re.compile(r"(?:module 'tools' has no attribute|import name) '(\w+)'")


class Limit(Exception):
    """The script passed a limit that is counted here; ends the run."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def frame(
    code: str,
    message: str,
    line: int | None = None,
    step: int = 0,
    suggestions: list[str] | None = None,
) -> str:
    """The `done` frame of a failed run."""
    text = message[:_LONGEST].encode("utf-8", "replace").decode()
    error = {
        "code": code,
        "message": text,
        "line": line,
        "step": step,
        "suggestions": [str(item)[:300] for item in (suggestions or [])[:5]],
    }
    return f'{{"t":"done","ok":false,"error":{json.dumps(error)}}}'


def syntax(error: SyntaxError) -> str:
    """A script that does not parse."""
    return frame("syntax_error", error.msg or "invalid syntax", error.lineno)


def not_json(message: str) -> str:
    """A result that is not JSON."""
    return frame("not_json", message)


def line(error: MontyError) -> int | None:
    """Line of the script that raised; None where none did."""
    if not isinstance(error, MontyRuntimeError):
        return None
    frames = error.traceback()
    return frames[-1].line if frames else None


def describe(
    error: MontyError,
    tool_errors: Mapping[str, Mapping[str, Any]],
    tools: Mapping[str, Mapping[str, str]],
) -> str:
    """The `done` frame for what Monty raised."""
    if isinstance(error, MontyCrashedError):
        return _crashed(error)
    raised = error.exception()
    kind, text = type(raised).__name__, str(raised)
    place = line(error)
    if kind == "TimeoutError" and place is None and _TIME_LIMIT.match(text):
        return frame("cpu_time", text)
    if kind == "MemoryError":
        used = "The script used more memory than it may: keep fewer rows at a time"
        limit = place is None or _MEMORY_LIMIT.match(text)
        return frame("memory", used if limit else text or used, place)
    tool_error = tool_errors.get(text)
    if kind == "Incomplete" and tool_error is not None:
        return frame(
            "tool_error",
            f"{tool_error['tool']}: {text}",
            place,
            tool_error["step"],
            list(tool_error["suggestions"]),
        )
    if kind == "KeyError":
        text = f"no key {text}"
    shown = f"{kind}: {text}" if text else kind
    return frame("script_error", shown, place, 0, _suggestions(text, tools))


def _crashed(error: MontyCrashedError) -> str:
    if error.timed_out:
        return frame("cpu_time", "the interpreter did not stop by itself")
    return frame("sandbox_died", "the interpreter crashed")


def _suggestions(text: str, tools: Mapping[str, Mapping[str, str]]) -> list[str]:
    if found := _NO_TOOL.search(text):
        known = list(tools.get(found[1], ()))
        close = difflib.get_close_matches(found[2], known, 3, 0.5)
        return [f"tools.{found[1]}.{name}" for name in close]
    if found := _NO_SERVER.search(text):
        close = difflib.get_close_matches(found[1], list(tools), 3, 0.5)
        return [f"tools.{name}" for name in close]
    return []
