"""A script checked against the catalog before anything of it runs."""

import ast
import difflib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Lock

from gateway.codemode import awaits, bindings
from gateway.codemode.bindings import Bindings
from gateway.codemode.callcheck import (
    Arguments,
    CallChecker,
    Dialect,
    literal,
    read_call,
    read_call_tool,
)
from gateway.codemode.definitions import ToolDef
from gateway.codemode.diagnostics import Diagnostic, Source
from gateway.codemode.stubs import call_line
from gateway.codemode.validate import Validators
from gateway.sandbox.harness.script import FILENAME, compile_script

__all__ = ["Diagnostic", "Preflight", "check"]

MAX_CODE_CHARS = 100_000
MAX_DIAGNOSTICS = 20
MAX_LOOKUPS = 5

_SURROGATE = re.compile("[\ud800-\udfff]")
_validators = Validators()
_warnings = Lock()


@dataclass(frozen=True, slots=True)
class Preflight:
    """What is certainly wrong with a script, its dialect and the tools it names."""

    diagnostics: tuple[Diagnostic, ...]
    uses_await: bool
    tools: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.diagnostics


def check(
    code: str,
    catalog: Mapping[str, ToolDef],
    *,
    max_chars: int = MAX_CODE_CHARS,
    validators: Validators = _validators,
) -> Preflight:
    """Check a script; never raises, whatever the text, and runs nothing of it.

    `catalog` maps full names to what the caller may use.
    """
    fault = text_fault(code, max_chars)
    if fault is not None:
        return Preflight((fault,), uses_await=False, tools=())
    parsed = _parse(code)
    if isinstance(parsed, Diagnostic):
        return Preflight((parsed,), uses_await=False, tools=())
    if not any(_does_something(node) for node in parsed.tree.body):
        empty = Diagnostic("empty_script", "The script is empty: write Python.", 1, 1)
        return Preflight((empty,), uses_await=False, tools=())
    try:
        return _analyse(code, parsed, catalog, validators)
    except RecursionError:
        return Preflight((_too_deep(),), uses_await=False, tools=())


def text_fault(code: str, max_chars: int) -> Diagnostic | None:
    """What is wrong with a script as mere text."""
    if len(code) > max_chars:
        return Diagnostic(
            "script_too_long",
            f"The script has {len(code):,} characters, {max_chars:,} are allowed: "
            "fetch data with tools instead of writing it into the script.",
            1,
            1,
        )
    match = _SURROGATE.search(code)
    position = match.start() if match else code.find("\0")
    if position >= 0:
        before = code[:position]
        return Diagnostic(
            "invalid_text",
            "The script holds a character that is no text (null byte or half of a "
            "surrogate pair): remove it.",
            before.count("\n") + 1,
            position - (before.rfind("\n") + 1) + 1,
        )
    return None


@dataclass(frozen=True, slots=True)
class _Parsed:
    tree: ast.Module
    uses_await: bool


def _parse(code: str) -> _Parsed | Diagnostic:
    # Warnings about `\d` and the like are not faults; the lock, because the filters
    # are global to the process.
    with _warnings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # Compiled as the sandbox will, so that neither accepts what the other
            # refuses.
            script = compile_script(code)
            return _Parsed(ast.parse(code, FILENAME), script.uses_await)
        except SyntaxError as error:
            return _syntax_fault(error)
        except (RecursionError, MemoryError):
            return _too_deep()
        except (ValueError, OverflowError) as error:
            return Diagnostic("syntax_error", f"{error}", 1, 1)


def _too_deep() -> Diagnostic:
    return Diagnostic(
        "syntax_error", "The script is nested too deeply: write it in steps.", 1, 1
    )


def _syntax_fault(error: SyntaxError) -> Diagnostic:
    text = (error.msg or "invalid syntax").replace(f" ({FILENAME})", "")
    line = (error.text or "").strip()
    shown = f": {line[:120]}" if line else ""
    return Diagnostic(
        "syntax_error",
        f"{text[:1].upper()}{text[1:]}{shown}",
        max(error.lineno or 1, 1),
        max(error.offset or 1, 1),
    )


def _does_something(node: ast.stmt) -> bool:
    if isinstance(node, ast.Pass):
        return False
    return not (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and node.value.value is Ellipsis
    )


def _analyse(
    code: str,
    parsed: _Parsed,
    catalog: Mapping[str, ToolDef],
    validators: Validators,
) -> Preflight:
    analysis = _Analysis(code, parsed, catalog, validators)
    found = sorted(
        set(analysis.run()), key=lambda one: (one.line, one.column, one.code)
    )
    used = sorted(analysis.used, key=lambda name: analysis.used[name])
    return Preflight(
        tuple(analysis.with_suggestions(found[:MAX_DIAGNOSTICS])),
        parsed.uses_await,
        tuple(used),
    )


class _Analysis:
    def __init__(
        self,
        code: str,
        parsed: _Parsed,
        catalog: Mapping[str, ToolDef],
        validators: Validators,
    ) -> None:
        self._tree = parsed.tree
        self._uses_await = parsed.uses_await
        self._catalog = catalog
        self._source = Source(code)
        self._names: Bindings = bindings.read(parsed.tree)
        python: Dialect[ast.expr] = Dialect(
            literal, self._source.at, call_line, "keyword arguments only"
        )
        self._calls = CallChecker(validators, python)
        self._servers = sorted({tool.server for tool in catalog.values()})
        self._known: list[ast.Call] = []
        self._unknown: dict[Diagnostic, str] = {}
        # Full names with the place of their first use.
        self.used: dict[str, tuple[int, int]] = {}

    def with_suggestions(self, found: list[Diagnostic]) -> Iterator[Diagnostic]:
        # Looking for close names takes milliseconds in a large catalog, so only for
        # what is shown, and only for the first few names.
        close: dict[str, tuple[str, ...]] = {}
        for one in found:
            name = self._unknown.get(one)
            if name is None:
                yield one
                continue
            if name not in close and len(close) < MAX_LOOKUPS:
                close[name] = suggest(name, self._catalog)
            yield replace(one, suggestions=close.get(name, ()))

    def _use(self, full_name: str, node: ast.AST) -> None:
        place = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
        self.used[full_name] = min(place, self.used.get(full_name, place))

    def run(self) -> Iterator[Diagnostic]:
        yield from self._imports()
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from self._call(node)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield from self._attribute(node)
        if self._uses_await:
            for call in awaits.forgotten(self._tree, self._known, self._names.counts):
                name = ast.unparse(call.func)
                yield self._source.at(
                    call,
                    "missing_await",
                    f"This script uses await, so {name}(…) gives a coroutine.",
                    (f"(await {name}(…))",),
                )

    def _imports(self) -> Iterator[Diagnostic]:
        for one in self._names.imports:
            if one.server not in self._servers:
                yield self._unknown_server(one.node, one.server)
        for full_name, alias in self._names.imported_tools:
            yield from self._named(alias, full_name)

    def _attribute(self, node: ast.Attribute) -> Iterator[Diagnostic]:
        full_name = self._names.tool_of(node)
        if full_name is not None:
            yield from self._named(node, full_name)
            return
        server = self._names.server_of(node)
        if server is not None and server not in self._servers:
            yield self._unknown_server(node, server)

    def _named(self, node: ast.AST, full_name: str) -> Iterator[Diagnostic]:
        server = full_name.partition(".")[0]
        if full_name in self._catalog:
            self._use(full_name, node)
        elif server in self._servers:
            yield self._unknown_tool(node, full_name)

    def _call(self, call: ast.Call) -> Iterator[Diagnostic]:
        full_name = self._names.tool_of(call.func)
        given: Arguments[ast.expr]
        if full_name is not None:
            given = read_call(call)
        elif self._names.is_call_tool(call.func):
            read = read_call_tool(call)
            if read is None:
                self._known.append(call)
                return
            full_name, given = read
            if full_name not in self._catalog:
                yield self._unknown_tool(call, full_name)
            else:
                self._use(full_name, call)
        else:
            return
        tool = self._catalog.get(full_name)
        if tool is not None:
            self._known.append(call)
            yield from self._calls.check(tool, call, given)

    def _unknown_server(self, node: ast.AST, server: str) -> Diagnostic:
        close = difflib.get_close_matches(server, self._servers, n=3)
        shown = close or self._servers[:10]
        return self._source.at(
            node,
            "unknown_tool",
            f"There is no tool server {server!r} for this key.",
            (f"Servers: {', '.join(shown)}",) if shown else (),
        )

    def _unknown_tool(self, node: ast.AST, full_name: str) -> Diagnostic:
        shown = full_name if len(full_name) <= 100 else f"{full_name[:100]}…"
        found = self._source.at(
            node,
            "unknown_tool",
            f"There is no tool {shown!r} for this key: use search.",
        )
        self._unknown[found] = full_name[:100]
        return found


def suggest(
    full_name: str,
    catalog: Mapping[str, ToolDef],
    limit: int = 3,
    *,
    line: Callable[[ToolDef], str] = call_line,
) -> tuple[str, ...]:
    """Signatures of the tools whose names come closest, of the same server first."""
    server, _, name = full_name.rpartition(".")
    same = {tool.name: tool for tool in catalog.values() if tool.server == server}
    exact = [
        tool for tool in catalog.values() if name and name in (tool.original, tool.name)
    ]
    close = difflib.get_close_matches(name, list(same), n=limit, cutoff=0.5)
    found = [*exact, *(same[one] for one in close)]
    if not found:
        names = difflib.get_close_matches(full_name, list(catalog), n=limit)
        found = [catalog[one] for one in names]
    return tuple(dict.fromkeys(line(tool) for tool in found))[:limit]
