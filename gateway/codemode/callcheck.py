"""A script's calls against the signatures of the tools they name."""

import ast
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from gateway.codemode.definitions import ToolDef
from gateway.codemode.diagnostics import Diagnostic
from gateway.codemode.schemas import Parameters, allows_null, parameters
from gateway.codemode.validate import ArgumentProblem, Validators, show_path

_TYPE_KINDS = frozenset({"type", "enum", "const"})
NO_LITERAL = object()
Place = TypeVar("Place")


@dataclass(frozen=True)
class Arguments(Generic[Place]):
    """What a call passes: expressions by name; `open` when there may be more.

    What is `doubtful` may turn out not to be passed.
    """

    values: dict[str, Place] = field(hash=False)
    open: bool
    positional: Place | None = None
    doubtful: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Dialect(Generic[Place]):
    """How a language says it: literals, places, signatures, and its one way to call."""

    literal: Callable[[Place], Any]
    at: Callable[[Place, str, str, tuple[str, ...]], Diagnostic]
    call_line: Callable[[ToolDef], str]
    takes: str


def literal(node: ast.expr) -> Any:
    """The JSON value of a literal expression, or a marker when it is none."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return NO_LITERAL
    return value if _is_json(value) else NO_LITERAL


def _is_json(value: Any, depth: int = 0) -> bool:
    if depth > 50:
        return False
    if isinstance(value, (list, tuple)):
        return all(_is_json(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return all(
            isinstance(key, str) and _is_json(item, depth + 1)
            for key, item in value.items()
        )
    return value is None or isinstance(value, (str, bool, int, float))


def _from_dict(node: ast.Dict) -> Arguments[ast.expr]:
    values: dict[str, ast.expr] = {}
    is_open = False
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            values[key.value] = value
        elif key is None and isinstance(value, ast.Dict):
            inner = _from_dict(value)
            values |= inner.values
            is_open = is_open or inner.open
        else:
            # It may replace what stands before it.
            values = {name: _replaceable(before) for name, before in values.items()}
            is_open = True
    return Arguments(values, is_open)


def _replaceable(node: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Starred(node, ast.Load()), node)


def read_call(call: ast.Call) -> Arguments[ast.expr]:
    """The arguments of `crm.list_orders(…)`."""
    args = call.args
    named = _from_keywords(call.keywords)
    if any(isinstance(arg, ast.Starred) for arg in args):
        return Arguments(named.values, open=True)
    if len(args) > 1 or (args and (call.keywords or _is_no_mapping(args[0]))):
        return Arguments({}, open=True, positional=args[0])
    if not args:
        return named
    # One positional mapping is the arguments.
    return _from_mapping(args[0])


def _from_mapping(node: ast.expr) -> Arguments[ast.expr]:
    return _from_dict(node) if isinstance(node, ast.Dict) else Arguments({}, open=True)


def _from_keywords(keywords: list[ast.keyword]) -> Arguments[ast.expr]:
    values: dict[str, ast.expr] = {}
    is_open = False
    for keyword in keywords:
        if keyword.arg is not None:
            values[keyword.arg] = keyword.value
            continue
        found = _from_mapping(keyword.value)
        values |= found.values
        is_open = is_open or found.open
    return Arguments(values, is_open)


def _is_no_mapping(node: ast.expr) -> bool:
    return isinstance(
        node,
        (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Set, ast.ListComp),
    )


def read_call_tool(call: ast.Call) -> tuple[str, Arguments[ast.expr]] | None:
    """Name and arguments of `call_tool("crm.list_orders", {…})`, None if unclear."""
    if not call.args or not isinstance(call.args[0], ast.Constant):
        return None
    name = call.args[0].value
    if not isinstance(name, str):
        return None
    named = _from_keywords(call.keywords)
    given: Arguments[ast.expr] = Arguments({}, open=False)
    if len(call.args) == 2:
        given = _from_mapping(call.args[1])
    elif len(call.args) > 2:
        given = Arguments({}, open=True)
    return name, Arguments(given.values | named.values, given.open or named.open)


class CallChecker(Generic[Place]):
    """Faults of single calls, each certain whatever the script does elsewhere."""

    def __init__(self, validators: Validators, dialect: Dialect[Place]) -> None:
        self._validators = validators
        self._dialect = dialect
        self._takes: dict[str, Parameters] = {}
        self._lines: dict[str, str] = {}

    def _parameters(self, tool: ToolDef) -> Parameters:
        name = tool.full_name
        if name not in self._takes:
            self._takes[name] = parameters(tool.input_schema)
        return self._takes[name]

    def _line(self, tool: ToolDef) -> tuple[str]:
        name = tool.full_name
        if name not in self._lines:
            self._lines[name] = self._dialect.call_line(tool)
        return (self._lines[name],)

    def check(
        self, tool: ToolDef, call: Place, given: Arguments[Place]
    ) -> Iterator[Diagnostic]:
        if given.positional is not None:
            yield self._dialect.at(
                given.positional,
                "positional_argument",
                f"{tool.full_name} takes {self._dialect.takes}.",
                self._line(tool),
            )
            return
        takes = self._parameters(tool)
        sure = [name for name in given.values if name not in given.doubtful]
        unknown = [name for name in sure if name not in takes.properties]
        if takes.closed:
            for name in unknown:
                yield self._unknown(tool, given.values[name], name, takes.properties)
        if not given.open:
            missing = sorted(takes.required - given.values.keys())
            if missing:
                names = ", ".join(repr(name) for name in missing)
                yield self._dialect.at(
                    call,
                    "missing_argument",
                    f"{tool.full_name} needs {names}.",
                    self._line(tool),
                )
        yield from self._wrong_values(tool, given.values, takes)

    def _unknown(
        self,
        tool: ToolDef,
        node: Place,
        name: str,
        known: Mapping[str, Any],
    ) -> Diagnostic:
        close = difflib.get_close_matches(name, list(known), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return self._dialect.at(
            node,
            "unknown_argument",
            f"{tool.full_name} has no argument {name!r}.{hint}",
            self._line(tool),
        )

    def _wrong_values(
        self, tool: ToolDef, values: dict[str, Place], takes: Parameters
    ) -> Iterator[Diagnostic]:
        known = takes.properties
        literals: dict[str, Any] = {}
        for name, node in values.items():
            value = self._dialect.literal(node)
            if value is NO_LITERAL or name not in known:
                continue
            # An optional argument left at None is left out of the call.
            omitted = value is None and name not in takes.required
            if omitted and not allows_null(known[name], tool.input_schema):
                continue
            literals[name] = value
        if not literals:
            return
        problems = self._validators.check(tool, literals)
        for problem, name in _by_argument(problems, literals):
            code = "wrong_type" if problem.kind in _TYPE_KINDS else "wrong_value"
            where = name + show_path(problem.steps[1:])[1:]
            text = f"{tool.full_name}: {where} {problem.message}."
            if problem.suggestion:
                text += f" {problem.suggestion}"
            yield self._dialect.at(values[name], code, text, self._line(tool))


def _by_argument(
    problems: list[ArgumentProblem], literals: Mapping[str, Any]
) -> Iterator[tuple[ArgumentProblem, str]]:
    # Faults of the whole (missing, unknown, alternatives) depend on the arguments that
    # are not literals; only those inside one argument are certain.
    for problem in problems:
        if problem.steps:
            first = problem.steps[0]
            if isinstance(first, str) and first in literals:
                yield problem, first
