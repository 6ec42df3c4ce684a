"""What preflight has to say: one fault, its place in the script, the way out."""

import ast
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A fault that is certain; line and column count from 1."""

    code: str
    message: str
    line: int
    column: int
    suggestions: tuple[str, ...] = ()


class Source:
    """A script's lines, to give places in characters."""

    def __init__(self, code: str) -> None:
        self._lines = code.splitlines()

    def at(
        self,
        node: ast.AST,
        code: str,
        message: str,
        suggestions: tuple[str, ...] = (),
    ) -> Diagnostic:
        line = int(getattr(node, "lineno", 1))
        offset = int(getattr(node, "col_offset", 0))
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        # ast counts UTF-8 bytes.
        column = len(text.encode()[:offset].decode(errors="ignore")) + 1
        return Diagnostic(code, message, line, column, suggestions)
