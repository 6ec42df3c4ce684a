"""Where in a script a tool is certainly called, for people who decide on a call."""

import ast
import warnings

from gateway.codemode import bindings

_LONGEST = 100_000


def lines_calling(code: str, tool: str) -> tuple[int, ...]:
    """Numbers of the lines that call ``server.tool`` by name; () when not certain."""
    if not code or len(code) > _LONGEST:
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
        names = bindings.read(tree)
        found = {
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and _tool_of(node, names) == tool
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(sorted(found))


def _tool_of(node: ast.Call, names: bindings.Bindings) -> str | None:
    if names.is_call_tool(node.func):
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return first.value
        return None
    return names.tool_of(node.func)
