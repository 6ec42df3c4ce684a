"""Which names of a script certainly stand for tool servers, tools and call_tool."""

import ast
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

CALL_TOOL = "call_tool"
MODULE = "tools"


@dataclass(frozen=True, slots=True)
class Import:
    """A server named in an import, and where."""

    server: str
    node: ast.alias | ast.stmt


@dataclass(frozen=True, slots=True)
class Bindings:
    """Names that have one meaning everywhere in the script; all others are left out."""

    modules: frozenset[str]
    servers: Mapping[str, str]
    functions: Mapping[str, str]
    call_tool: frozenset[str]
    imports: tuple[Import, ...]
    # (full name, where) of `from tools.crm import list_orders`
    imported_tools: tuple[tuple[str, ast.alias], ...]
    counts: Mapping[str, int] = field(hash=False)

    def server_of(self, node: ast.expr) -> str | None:
        """`crm` or `tools.crm` as the server they name, None when not certain."""
        if isinstance(node, ast.Name):
            return self.servers.get(node.id)
        if not isinstance(node, ast.Attribute) or node.attr.startswith("_"):
            return None
        if self._is_module(node.value) and not is_plain_export(node.attr):
            return node.attr
        return None

    def _is_module(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self.modules

    def tool_of(self, node: ast.expr) -> str | None:
        """`crm.list_orders` and the like as a full name, None when not certain."""
        if isinstance(node, ast.Name):
            return self.functions.get(node.id)
        if isinstance(node, ast.Attribute) and not node.attr.startswith("_"):
            server = self.server_of(node.value)
            return f"{server}.{node.attr}" if server else None
        return None

    def is_call_tool(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.call_tool
        return (
            isinstance(node, ast.Attribute)
            and node.attr == CALL_TOOL
            and self._is_module(node.value)
        )


def is_plain_export(name: str) -> bool:
    """Whether `tools` has this beside the servers: call_tool and error classes."""
    return name == CALL_TOOL or (name[:1].isupper() and name.endswith("Error"))


def bound_names(tree: ast.AST) -> Counter[str]:
    """How often each name is bound anywhere in the script, in any scope."""
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found[node.id] += 1
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] += 1
        elif isinstance(node, ast.arg):
            found[node.arg] += 1
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
            found[node.name or ""] += 1
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found[node.rest] += 1
        elif isinstance(node, ast.alias):
            found[node.asname or node.name.split(".")[0]] += 1
    return found


@dataclass(slots=True)
class _Found:
    meanings: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    imports: list[Import] = field(default_factory=list)
    tools: list[tuple[str, ast.alias]] = field(default_factory=list)

    def add(self, name: str, kind: str, target: str) -> None:
        self.meanings.setdefault(name, set()).add((kind, target))
        self.times[name] += 1


def _read_import(node: ast.Import, found: _Found) -> None:
    for alias in node.names:
        first, _, rest = alias.name.partition(".")
        if first != MODULE or "." in rest:
            continue
        if rest:
            found.imports.append(Import(rest, alias))
        if not alias.asname or not rest:
            found.add(alias.asname or MODULE, "module", MODULE)
        else:
            found.add(alias.asname, "server", rest)


def _read_from(node: ast.ImportFrom, found: _Found) -> None:
    if node.level or not node.module:
        return
    first, _, server = node.module.partition(".")
    if first != MODULE or "." in server:
        return
    if server:
        found.imports.append(Import(server, node))
    for alias in node.names:
        name = alias.asname or alias.name
        if alias.name == "*":
            continue
        if server:
            found.tools.append((f"{server}.{alias.name}", alias))
            found.add(name, "tool", f"{server}.{alias.name}")
        elif alias.name == CALL_TOOL:
            found.add(name, "call_tool", CALL_TOOL)
        elif not is_plain_export(alias.name):
            found.imports.append(Import(alias.name, alias))
            found.add(name, "server", alias.name)


def read(tree: ast.AST) -> Bindings:
    """Collect the imports of `tools`; a name with a second meaning is left out."""
    counts = bound_names(tree)
    found = _Found()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            _read_import(node, found)
        elif isinstance(node, ast.ImportFrom):
            _read_from(node, found)
    certain: dict[str, dict[str, str]] = {}
    for name, meanings in found.meanings.items():
        if len(meanings) == 1 and counts[name] == found.times[name]:
            ((kind, target),) = meanings
            certain.setdefault(kind, {})[name] = target
    call_tool = set(certain.get("call_tool", ()))
    modules = set(certain.get("module", ()))
    # Both are globals of every script, until the script gives the name away.
    if not counts[CALL_TOOL]:
        call_tool.add(CALL_TOOL)
    if not counts[MODULE]:
        modules.add(MODULE)
    return Bindings(
        modules=frozenset(modules),
        servers=certain.get("server", {}),
        functions=certain.get("tool", {}),
        call_tool=frozenset(call_tool),
        imports=tuple(found.imports),
        imported_tools=tuple(found.tools),
        counts=counts,
    )
