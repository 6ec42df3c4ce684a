"""Says in one line what went wrong in a script, and in which line of it."""

import builtins
import difflib
import errno
import sys
import types
from typing import Any

from .script import FILENAME
from .toolkit import LimitReached, Missing, ToolError
from .values import NotJSON

_LONGEST = 2_000


class ProcessRefused(PermissionError):
    """The script tried to start a process."""


def refuse_process(*args: object, **kwargs: object) -> Any:
    """Stands in for fork and its like, which the sandbox refuses anyway."""
    raise ProcessRefused("a script cannot start processes: use tools, or threads")


def describe(error: BaseException, names: dict[str, Any]) -> dict[str, Any]:
    """The error of a `done` frame; `names` are the script's globals."""
    return {
        "code": _code(error),
        "message": _message(error)[:_LONGEST],
        "line": line(error),
        "step": error._step if isinstance(error, ToolError) else 0,
        "suggestions": _suggestions(error, names)[:5],
    }


def _code(error: BaseException) -> str:
    match error:
        case SyntaxError() if _line_in_script(error.__traceback__) is None:
            return "syntax_error"
        case LimitReached():
            return error.code
        case MemoryError():
            return "memory"
        case OSError() if error.errno in {errno.ENOSPC, errno.EFBIG}:
            return "tmp_full"
        case ProcessRefused():
            return "processes"
        case RuntimeError() if str(error) == "can't start new thread":
            return "processes"
        case ToolError():
            return "tool_error"
        case _:
            return "script_error"


def _message(error: BaseException) -> str:
    match error:
        case SyntaxError():
            return error.msg or "invalid syntax"
        case LimitReached():
            return str(error)
        case ToolError():
            return f"{error.tool}: {error}" if error.tool else str(error)
        case MemoryError():
            return "The script used more memory than it may: keep fewer rows at a time"
        case SystemExit():
            return f"The script ended itself with exit code {error.code!r}"
        case KeyError():
            return f"KeyError: no key {error}"
        case NotJSON():
            return f"TypeError: {error}"
        case Missing():
            return f"AttributeError: {error}"
        case _:
            try:
                text = str(error)
            except Exception:  # noqa: BLE001 - the script's own __str__
                text = "(its text cannot be shown)"
            name = type(error).__name__
            return f"{name}: {text}" if text else name


def line(error: BaseException) -> int | None:
    """Line of the script that raised; None where none did."""
    found = _line_in_script(error.__traceback__)
    if found is None and isinstance(error, SyntaxError):
        return error.lineno
    return found


def _line_in_script(traceback: types.TracebackType | None) -> int | None:
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILENAME:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _suggestions(error: BaseException, names: dict[str, Any]) -> list[str]:
    match error:
        case ToolError():
            return [str(text) for text in error.suggestions]
        case Missing():
            return list(error.suggestions)
        case NameError(name=str(name)):
            known = [*names, *vars(builtins)]
            return difflib.get_close_matches(name, known, 3, 0.6)
        case ModuleNotFoundError(name=str(name)):
            return difflib.get_close_matches(name, sys.stdlib_module_names, 3, 0.7)
        case ImportError(name=str(name)) if name.split(".")[0] == "tools":
            return _imports(str(error), sys.modules.get(name))
        case TypeError() if "coroutine" in str(error):
            return ["write `await` before the tool call"]
        case _:
            return []


def _imports(message: str, module: types.ModuleType | None) -> list[str]:
    wanted = message.split("'")[1] if "'" in message else ""
    known = [key for key in vars(module) if not key.startswith("_")] if module else []
    close = difflib.get_close_matches(wanted, known, 3, 0.5)
    return [f"from {module.__name__} import {name}" for name in close] if module else []
