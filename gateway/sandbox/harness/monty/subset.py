"""Decides before anything runs whether Monty can run a script, and adapts its text.

Lines stay where they are. Monty itself parses the result before it runs any of it, so
only what its parser lets pass has to be found here: modules, names, tool errors.
"""

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from .offers import Offers

TOOL_ERROR = "binascii.Incomplete"
"""Carries a ToolError: Monty has no classes that inherit, and nobody raises this one.

Nothing in the library that scripts use raises or catches it, and it derives straight
from Exception, as ToolError does.
"""
FIELD_OF_ERROR = "__tool_error_"
"""Begins the names of functions that read a field of a ToolError."""
_BIND_TOOL_ERROR = "from binascii import Incomplete as ToolError"
_FIELDS = frozenset({"code", "message", "retryable", "tool", "suggestions", "details"})
_MODULE_NAMES = (
    "json re collections itertools functools math statistics decimal random uuid csv "
    "io base64 hashlib textwrap difflib dataclasses enum typing string operator heapq "
    "bisect fractions contextlib copy calendar abc zoneinfo urllib html traceback "
    "logging concurrent threading queue pprint asyncio datetime time"
)
_MODULES_THERE = frozenset(_MODULE_NAMES.split())
_BUILTINS = frozenset(dir(builtins))
_ISINSTANCE = frozenset({"isinstance"})
_TAKES_ERROR = frozenset({"str", "repr", "print", "type", "isinstance"})
_AWAITING = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)
_CATCHES_ALL = frozenset({"Exception", "BaseException", "ToolError"})


class OutsideSubset(Exception):
    """Monty cannot run the script; the message says what it lacks."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Prepared:
    """A script as Monty takes it."""

    prelude: str
    """Fed first: binds what the dialect has without an import."""
    code: str
    uses_await: bool


def prepare(source: str, offers: Offers) -> Prepared:
    """Check and adapt a script. Raises OutsideSubset and SyntaxError."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    bound = set(_bound_names(nodes))
    check = _Check(source, offers, nodes, bound)
    edits = [*check.imports(), *check.errors()]
    check.names()
    return Prepared(
        prelude="\n".join(dict.fromkeys(check.prelude)),
        code=_apply(source, edits),
        uses_await=any(isinstance(node, _AWAITING) for node in nodes)
        or any(isinstance(n, ast.comprehension) and n.is_async for n in nodes),
    )


@dataclass(frozen=True, slots=True)
class _Edit:
    """Replaces what stands between two places, lines from 1, columns in bytes."""

    line: int
    start: int
    end: int
    text: str


def _apply(source: str, edits: list[_Edit]) -> str:
    if not edits:
        return source
    lines = source.encode().splitlines(keepends=True)
    for edit in sorted(edits, key=lambda edit: (edit.line, edit.start), reverse=True):
        line = lines[edit.line - 1]
        lines[edit.line - 1] = (
            line[: edit.start] + edit.text.encode() + line[edit.end :]
        )
    return b"".join(lines).decode()


def _edit(node: ast.expr | ast.alias, text: str) -> _Edit:
    if node.end_lineno != node.lineno or node.end_col_offset is None:
        raise OutsideSubset("ToolError over two lines", node.lineno)
    return _Edit(node.lineno, node.col_offset, node.end_col_offset, text)


class _Check:
    """One script's walk."""

    def __init__(
        self, source: str, offers: Offers, nodes: list[ast.AST], bound: set[str]
    ) -> None:
        self._lines = source.encode().splitlines()
        self._offers = offers
        self._nodes = nodes
        self._bound = bound
        self._aliases: dict[str, str] = {}
        self._edited: set[tuple[int, int]] = set()
        self.prelude: list[str] = []

    def imports(self) -> Iterator[_Edit]:
        """Check every import; one of ToolError becomes one of nothing new."""
        for node in self._nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._import(alias, node.lineno)
            elif isinstance(node, ast.ImportFrom):
                yield from self._import_from(node)

    def _import(self, alias: ast.alias, line: int) -> None:
        root = alias.name.partition(".")[0]
        if root == "tools":
            return
        if not self._offers.module(alias.name):
            raise OutsideSubset(f"the module {alias.name}", line)
        self._aliases[alias.asname or root] = alias.name if alias.asname else root

    def _import_from(self, node: ast.ImportFrom) -> Iterator[_Edit]:
        module = node.module or ""
        names = [alias.name for alias in node.names]
        if node.level or names == ["*"]:
            raise OutsideSubset(
                "an import of everything, or a relative one", node.lineno
            )
        if module == "__future__":
            return
        if module.partition(".")[0] == "tools":
            for alias in node.names:
                if module == "tools" and alias.name == "ToolError":
                    if alias.asname:
                        raise OutsideSubset("ToolError by another name", node.lineno)
                    self._bound.discard("ToolError")
                    yield _edit(alias, "call_tool as __unused")
            return
        if not self._offers.module(module):
            raise OutsideSubset(f"the module {module}", node.lineno)
        for name in names:
            if not self._offers.attribute(module, name):
                raise OutsideSubset(f"{module}.{name}", node.lineno)

    def names(self) -> None:
        """Check names nobody binds, and attributes of modules."""
        seen = set(self._bound)
        for node in self._nodes:
            if isinstance(node, ast.Name) and node.id not in seen:
                seen.add(node.id)
                self._unbound(node)
        for node in self._nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = self._aliases.get(node.value.id)
                if module and not self._offers.attribute(module, node.attr):
                    raise OutsideSubset(f"{module}.{node.attr}", node.lineno)

    def _unbound(self, node: ast.Name) -> None:
        name = node.id
        if name in _MODULES_THERE:
            if not self._offers.module(name):
                raise OutsideSubset(f"the module {name}", node.lineno)
            self._aliases[name] = name
            self.prelude.append(f"import {name}")
        elif name == "ToolError":
            self.prelude.append(_BIND_TOOL_ERROR)
        elif name == "tools":
            self.prelude.append("import tools")
        elif name == "call_tool":
            self.prelude.append("from tools import call_tool")
        elif name in _BUILTINS and not self._offers.builtin(name):
            raise OutsideSubset(f"the built-in {name}", node.lineno)

    def errors(self) -> Iterator[_Edit]:
        """ToolError may be caught and its fields read; anything else is outside."""
        allowed: set[int] = set()
        for node in self._nodes:
            if isinstance(node, ast.ExceptHandler):
                yield from self._handler(node, allowed)
            elif isinstance(node, ast.TryStar):
                raise OutsideSubset("except*", node.lineno)
            elif _is_call_of(node, _ISINSTANCE) and len(node.args) == 2:
                allowed.update(id(name) for name in ast.walk(node.args[1]))
        for node in self._nodes:
            match node:
                case (
                    ast.Name(id="ToolError")
                    | ast.Attribute(value=ast.Name(id="tools"), attr="ToolError")
                ) if id(node) not in allowed:
                    raise OutsideSubset("ToolError outside of except", node.lineno)

    def _handler(
        self, handler: ast.ExceptHandler, allowed: set[int]
    ) -> Iterator[_Edit]:
        caught = [] if handler.type is None else list(ast.walk(handler.type))
        names = {node.id for node in caught if isinstance(node, ast.Name)}
        for node in caught:
            allowed.add(id(node))
            if isinstance(node, ast.Attribute) and _is_tools_error(node):
                names.add("ToolError")
                self.prelude.append(_BIND_TOOL_ERROR)
                yield _edit(node, "ToolError")
        if handler.name and (names & _CATCHES_ALL or handler.type is None):
            yield from self._fields(handler, handler.name)

    def _fields(self, handler: ast.ExceptHandler, name: str) -> Iterator[_Edit]:
        """Fields of the error become calls that the driver answers.

        They are found in the text, since places inside f-strings cannot be trusted;
        where text and tree disagree, the script is left to CPython.
        """
        count = _count_fields(handler, name)
        if not count:
            return
        pattern = re.compile(rf"\b{name}\.({'|'.join(_FIELDS)})\b".encode())
        first, last = handler.body[0].lineno, handler.body[-1].end_lineno or 0
        places = [
            (number, found)
            for number in range(first, last + 1)
            for found in pattern.finditer(self._lines[number - 1])
        ]
        if len(places) != count:
            raise OutsideSubset("an error's field inside a text", first)
        for number, found in places:
            if (number, found.start()) not in self._edited:
                self._edited.add((number, found.start()))
                text = f"{FIELD_OF_ERROR}{found[1].decode()}({name})"
                yield _Edit(number, found.start(), found.end(), text)


def _count_fields(handler: ast.ExceptHandler, name: str) -> int:
    """Reads of the error's fields. Raises OutsideSubset where it is handed on."""
    fine: set[int] = set()
    count = 0
    for node in (n for child in handler.body for n in ast.walk(child)):
        match node:
            case ast.Attribute(value=ast.Name(id=used), attr=attribute):
                if used == name:
                    fine.add(id(node.value))
                    count += attribute in _FIELDS
            case ast.Call() if _is_call_of(node, _TAKES_ERROR):
                fine.update(id(argument) for argument in node.args)
            case ast.FormattedValue():
                fine.add(id(node.value))
            case ast.Raise():
                fine.update(id(part) for part in (node.exc, node.cause) if part)
            case ast.Name(id=used) if used == name and id(node) not in fine:
                raise OutsideSubset("an error handed on", node.lineno)
    return count


def _is_call_of(node: ast.AST, names: frozenset[str]) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in names
    )


def _is_tools_error(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "ToolError"
        and isinstance(node.value, ast.Name)
        and node.value.id == "tools"
    )


def _bound_names(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.arg(arg=name):
                yield name
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import():
                for alias in node.names:
                    yield alias.asname or alias.name.partition(".")[0]
            case ast.ImportFrom():
                for alias in node.names:
                    yield alias.asname or alias.name
            case ast.ExceptHandler(name=str(name)):
                yield name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
