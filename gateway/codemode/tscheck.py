"""A TypeScript script checked against the catalog before anything of it runs."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gateway.codemode import tsawaits
from gateway.codemode.callcheck import CallChecker, Dialect
from gateway.codemode.definitions import ToolDef
from gateway.codemode.diagnostics import Diagnostic
from gateway.codemode.preflight import (
    MAX_CODE_CHARS,
    MAX_DIAGNOSTICS,
    MAX_LOOKUPS,
    Preflight,
    suggest,
    text_fault,
)
from gateway.codemode.tscalls import Value, read_arguments
from gateway.codemode.tstokens import IDENTIFIER, OTHER, STRING, Token, tokenize
from gateway.codemode.typescript import camel_case, typescript_call_line
from gateway.codemode.validate import Validators

_TOOLS, _CALL_TOOL = "tools", "callTool"
_DOTS = frozenset((".", "?."))
# Before a name these give it another meaning; after it, so does an equals sign.
_BINDING = frozenset(
    ("const", "let", "var", "function", "class", "import", "as", "catch", "enum")
)
_BEFORE_VALUE = frozenset(("=", "return", "of", "in", "=>"))
_NOTHING = Token(OTHER, "", 0)
_validators = Validators()


def check(
    code: str, catalog: Mapping[str, ToolDef], *, max_chars: int = MAX_CODE_CHARS
) -> Preflight:
    """Check a script; never raises, whatever the text, and runs nothing of it.

    Syntax is checked in the sandbox, before the first call; here tools and their
    arguments, and those only where nothing else in the script could be meant.
    """
    fault = text_fault(code, max_chars)
    if fault is not None:
        return Preflight((fault,), uses_await=True, tools=())
    tokens = tokenize(code)
    if tokens is None:
        return Preflight((), uses_await=True, tools=())
    if all(token.text == ";" for token in tokens):
        empty = Diagnostic(
            "empty_script", "The script is empty: write TypeScript.", 1, 1
        )
        return Preflight((empty,), uses_await=True, tools=())
    names = _Calls(code, tokens, catalog)
    found = list(dict.fromkeys(names.check()))[:MAX_DIAGNOSTICS]
    shown = tuple(names.with_suggestions(found))
    return Preflight(shown, uses_await=True, tools=tuple(names.used))


class _Calls:
    """The tools that a script names and calls, in the order of their places."""

    def __init__(
        self, code: str, tokens: list[Token], catalog: Mapping[str, ToolDef]
    ) -> None:
        self._code = code
        self._tokens = tokens
        self._catalog = catalog
        self._servers: dict[str, dict[str, str]] = {}
        for full_name, tool in catalog.items():
            known = self._servers.setdefault(tool.server, {})
            known[tool.name] = full_name
        for known in self._servers.values():
            for name, full_name in list(known.items()):
                known.setdefault(camel_case(name), full_name)
        typescript: Dialect[Value] = Dialect(
            lambda given: given.value,
            lambda given, *said: self._at(given.token, *said),
            typescript_call_line,
            "one object of named arguments",
        )
        self._checker = CallChecker(_validators, typescript)
        self._made: list[tsawaits.Made] = []
        self._unknown: dict[Diagnostic, str] = {}
        self.used: dict[str, None] = {}

    def check(self) -> Iterator[Diagnostic]:
        """What is named and is not there, called wrongly, or not waited for."""
        has_tools = not self._is_bound(_TOOLS)
        has_call_tool = not self._is_bound(_CALL_TOOL)
        for index, token in enumerate(self._tokens):
            if token.kind != IDENTIFIER or self._text(index - 1) in _DOTS:
                continue
            if token.text == _TOOLS and has_tools:
                yield from self._path(index)
            elif token.text == _CALL_TOOL and has_call_tool:
                yield from self._call_tool(index)
        for call in tsawaits.forgotten(self._tokens, self._made):
            yield self._at(
                self._tokens[call.first],
                "missing_await",
                f"{call.name}(…) gives a promise: await it before its value is used.",
                (f"(await {call.name}(…))",),
            )

    def with_suggestions(self, found: list[Diagnostic]) -> Iterator[Diagnostic]:
        """The same, with signatures of tools that were meant; for the first few."""
        close: dict[str, tuple[str, ...]] = {}
        for one in found:
            name = self._unknown.get(one)
            if name is None:
                yield one
                continue
            if name not in close and len(close) < MAX_LOOKUPS:
                close[name] = suggest(name, self._catalog, line=typescript_call_line)
            yield replace(one, suggestions=close.get(name, ()))

    def _token(self, index: int) -> Token:
        return self._tokens[index] if 0 <= index < len(self._tokens) else _NOTHING

    def _text(self, index: int) -> str:
        return self._token(index).text

    def _is_bound(self, name: str) -> bool:
        """Whether the script may mean something of its own by the name."""
        for index, token in enumerate(self._tokens):
            before, after = self._text(index - 1), self._text(index + 1)
            if token.text != name or token.kind != IDENTIFIER or before in _DOTS:
                continue
            if before in _BINDING or after in {"=", "=>", ":"}:
                return True
            is_used = after in _DOTS or after == "(" or before in _BEFORE_VALUE
            if not is_used:
                return True
        return False

    def _path(self, index: int) -> Iterator[Diagnostic]:
        server = self._token(index + 2)
        if self._text(index + 1) not in _DOTS or server.kind != IDENTIFIER:
            return
        known = self._servers.get(server.text)
        if known is None:
            yield self._unknown_server(self._tokens[index], server.text)
            return
        name = self._token(index + 4)
        if self._text(index + 3) not in _DOTS or name.kind != IDENTIFIER:
            return
        if name.text in known:
            self.used.setdefault(known[name.text])
            shown = f"tools.{server.text}.{name.text}"
            yield from self._call(index, index + 5, index + 6, known[name.text], shown)
        else:
            full_name = f"{server.text}.{name.text}"
            yield self._unknown_tool(self._tokens[index], full_name)

    def _call_tool(self, index: int) -> Iterator[Diagnostic]:
        name = self._token(index + 2)
        is_literal = name.kind == STRING and name.text[0] in "\"'"
        is_whole = self._text(index + 3) in {",", ")"}
        if self._text(index + 1) != "(" or not is_literal or not is_whole:
            return
        full_name = name.text[1:-1]
        if full_name in self._catalog:
            self.used.setdefault(full_name)
            after = index + (4 if self._text(index + 3) == "," else 3)
            yield from self._call(index, index + 1, after, full_name, _CALL_TOOL)
        elif "\\" not in full_name:
            yield self._unknown_tool(name, full_name)

    def _call(
        self, first: int, bracket: int, arguments: int, full_name: str, shown: str
    ) -> Iterator[Diagnostic]:
        """The call of a known tool: tokens of its name, its bracket, its argument."""
        if self._text(bracket) != "(" or self._text(first - 1) == "new":
            return
        made = tsawaits.made(self._tokens, first, bracket, shown)
        if made is None:
            return
        self._made.append(made)
        given = read_arguments(self._tokens, arguments)
        place = Value(self._tokens[first])
        yield from self._checker.check(self._catalog[full_name], place, given)

    def _unknown_server(self, token: Token, server: str) -> Diagnostic:
        servers = sorted(self._servers)
        shown = difflib.get_close_matches(server, servers, n=3) or servers[:10]
        hints = (f"Servers: {', '.join(shown)}",) if shown else ()
        return self._at(
            token,
            "unknown_tool",
            f"There is no tool server {server!r} for this key.",
            hints,
        )

    def _unknown_tool(self, token: Token, full_name: str) -> Diagnostic:
        shown = full_name if len(full_name) <= 100 else f"{full_name[:100]}…"
        found = self._at(
            token,
            "unknown_tool",
            f"There is no tool {shown!r} for this key: use search.",
        )
        self._unknown[found] = full_name[:100]
        return found

    def _at(
        self, token: Token, code: str, message: str, hints: tuple[str, ...] = ()
    ) -> Diagnostic:
        column = token.position - self._code.rfind("\n", 0, token.position)
        return Diagnostic(code, message, token.line, column, hints)
