"""Compiles a script: top-level return, await, and the last expression's value."""

import ast
from collections.abc import Iterator
from types import CodeType

FILENAME = "<script>"
ENTRY = "__script__"
STAR_IMPORT = "__import_names__"
_FUTURE_FLAGS = {"annotations": 0x1000000}
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_AWAITING = (ast.Await, ast.AsyncFor, ast.AsyncWith)


class Script:
    """A compiled script, ready to be called."""

    def __init__(self, code: CodeType, *, uses_await: bool, awaits: bool) -> None:
        self.code = code
        self.uses_await = uses_await
        """Tool functions are coroutines."""
        self.awaits = awaits
        """The entry function itself is a coroutine function."""


def compile_script(source: str) -> Script:
    """Compile to a module that defines the function ENTRY.

    The body becomes that function's body with every name it binds declared global,
    so that names behave as in a module, `return` and `await` work, and lines stay.

    Raises SyntaxError.
    """
    tree = ast.parse(source, FILENAME)
    body, flags = _take_future_imports(tree.body)
    own = [node for statement in body for node in _own_scope(statement)]
    _refuse_yield(own)
    awaits = any(
        isinstance(node, _AWAITING)
        or (isinstance(node, ast.comprehension) and node.is_async)
        for node in own
    )
    uses_await = any(
        isinstance(node, (*_AWAITING, ast.AsyncFunctionDef)) for node in ast.walk(tree)
    )
    names = sorted(set(_bound_names(own)))
    body = [_AtTopLevel().visit(statement) for statement in body]
    body = [statement for statement in body if statement is not None]
    if body and isinstance(body[-1], ast.Expr):
        last = body[-1]
        body[-1] = ast.copy_location(ast.Return(value=last.value), last)
    if names:
        body.insert(0, ast.Global(names=names))
    module = ast.Module(body=[_entry(body, awaits=awaits)], type_ignores=[])
    ast.fix_missing_locations(module)
    code = compile(module, FILENAME, "exec", flags=flags, dont_inherit=True)
    return Script(code, uses_await=uses_await, awaits=awaits)


def _entry(body: list[ast.stmt], *, awaits: bool) -> ast.stmt:
    nothing = ast.arguments(
        posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    kind = ast.AsyncFunctionDef if awaits else ast.FunctionDef
    return kind(
        name=ENTRY,
        args=nothing,
        body=body or [ast.Pass()],
        decorator_list=[],
        lineno=1,
        col_offset=0,
    )


def _take_future_imports(body: list[ast.stmt]) -> tuple[list[ast.stmt], int]:
    flags, rest = 0, []
    for statement in body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            for alias in statement.names:
                flags |= _FUTURE_FLAGS.get(alias.name, 0)
        else:
            rest.append(statement)
    return rest, flags


def _own_scope(node: ast.AST) -> Iterator[ast.AST]:
    """The node and what lies in the same scope; comprehensions count as the same."""
    yield node
    if isinstance(node, _SCOPES):
        return
    for child in ast.iter_child_nodes(node):
        yield from _own_scope(child)


def _refuse_yield(nodes: list[ast.AST]) -> None:
    for node in nodes:
        if isinstance(node, ast.Yield | ast.YieldFrom):
            raise SyntaxError(
                "'yield' outside function", (FILENAME, node.lineno, 1, None)
            )


def _bound_names(nodes: list[ast.AST]) -> Iterator[str]:
    local: set[int] = set()  # targets of comprehensions stay inside them
    for node in nodes:
        if isinstance(node, ast.comprehension):
            local.update(id(target) for target in ast.walk(node.target))
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                if id(node) not in local:
                    yield name
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import():
                for alias in node.names:
                    yield alias.asname or alias.name.split(".")[0]
            case ast.ImportFrom():
                for alias in node.names:
                    if alias.name != "*":
                        yield alias.asname or alias.name
            case ast.ExceptHandler(name=str(name)):
                yield name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name


class _AtTopLevel(ast.NodeTransformer):
    """Rewrites what a function's body does not allow; leaves inner scopes alone."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        assign = ast.Assign(targets=[node.target], value=node.value)
        return ast.copy_location(assign, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if [alias.name for alias in node.names] != ["*"]:
            return node
        call = ast.Call(
            func=ast.Name(id=STAR_IMPORT, ctx=ast.Load()),
            args=[ast.Constant(value=node.module)],
            keywords=[],
        )
        return ast.copy_location(ast.Expr(value=call), node)
