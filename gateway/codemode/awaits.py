"""Tool calls whose `await` was certainly forgotten."""

import ast
from collections.abc import Iterable, Mapping

# Built-in functions that fail on a coroutine, or make nonsense of it.
_CONSUMERS = frozenset(
    {"abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "iter", "len"}
    | {"list", "max", "min", "next", "print", "repr", "reversed", "round", "set"}
    | {"sorted", "str", "sum", "tuple", "zip"}
)
Parents = Mapping[ast.AST, ast.AST]


def parents_of(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {
        child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
    }


def _is_consumed(node: ast.expr, parent: ast.AST, counts: Mapping[str, int]) -> bool:
    """Whether the value is used at once as if it were the result."""
    if isinstance(parent, (ast.Attribute, ast.Subscript)):
        return parent.value is node
    if isinstance(parent, (ast.For, ast.comprehension)):
        return parent.iter is node and not getattr(parent, "is_async", 0)
    if isinstance(parent, ast.Compare):
        # `x is None` is a fair question to ask of a coroutine.
        return not any(isinstance(op, (ast.Is, ast.IsNot)) for op in parent.ops)
    if isinstance(parent, ast.Call):
        return (
            isinstance(parent.func, ast.Name)
            and parent.func.id in _CONSUMERS
            and not counts.get(parent.func.id)
            and node in parent.args
        )
    if isinstance(parent, (ast.If, ast.While, ast.IfExp)):
        return parent.test is node
    if isinstance(parent, ast.keyword):
        return parent.arg is None
    if isinstance(parent, ast.UnaryOp):
        return True
    return isinstance(
        parent, (ast.BinOp, ast.AugAssign, ast.FormattedValue, ast.Starred)
    )


def _is_wasted(node: ast.expr, parent: ast.AST, parents: Parents) -> bool:
    """Whether nothing can ever wait for this call."""
    if isinstance(parent, ast.Expr):
        return True
    if not isinstance(parent, ast.Return):
        return False
    # A helper may return the coroutine for its caller to await; the script may not.
    above: ast.AST | None = parent
    while above is not None:
        above = parents.get(above)
        if isinstance(above, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return False
    return True


def forgotten(
    tree: ast.AST, calls: Iterable[ast.Call], counts: Mapping[str, int]
) -> list[ast.Call]:
    """The tool calls, out of `calls`, that certainly lack their `await`."""
    parents = parents_of(tree)
    loads: dict[str, list[ast.Name]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            loads.setdefault(node.id, []).append(node)

    def certain(call: ast.Call) -> bool:
        parent = parents[call]
        if _is_wasted(call, parent, parents) or _is_consumed(call, parent, counts):
            return True
        name = _assigned_name(parent)
        # One binding in the whole script: every use of the name is this coroutine.
        return (
            name is not None
            and counts.get(name) == 1
            and any(
                _is_consumed(use, parents[use], counts) for use in loads.get(name, ())
            )
        )

    return [call for call in calls if certain(call)]


def _assigned_name(parent: ast.AST) -> str | None:
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
        target: ast.expr = parent.targets[0]
    elif isinstance(parent, ast.AnnAssign):
        target = parent.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None
