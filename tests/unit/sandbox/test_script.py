"""How a script becomes a function: returns, awaits, names and lines."""

import asyncio
import inspect
from typing import Any

import pytest

from gateway.sandbox.harness.script import ENTRY, STAR_IMPORT, compile_script


def run(source: str) -> Any:
    names: dict[str, Any] = {"__name__": "__main__"}
    names[STAR_IMPORT] = lambda module: names.update(starred=module)
    exec(compile_script(source).code, names)  # noqa: S102 - our own test scripts
    result = names[ENTRY]()
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("1 + 1", 2),
        ("x = 2", None),
        ("x = 2\nx", 2),
        ("return 3", 3),
        ("return", None),
        ("if True:\n    return 4\n5", 4),
        ("for i in range(3):\n    if i == 1:\n        return i", 1),
        ("x: int = 1\ny: str\nx", 1),
        ("def f():\n    global x\n    x = 9\nf()\nx", 9),
        ("x = 1\ndef f():\n    return x\nx = 2\nf()", 2),
        ("global x\nx = 1\nx", 1),
        ("import os.path as p\np.sep", "/"),
        ("import os.path\nos.sep", "/"),
        ("from math import *\nstarred", "math"),
        ("[y for y in range(3)]", [0, 1, 2]),
        ("y = 7\n[y for y in range(3)]\ny", 7),
        ("[last := y for y in range(3)]\nlast", 2),
        (
            "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    x = str(e)\nx",
            "division by zero",
        ),
        ("match [1, 2, 3]:\n    case [first, *rest]:\n        pass\nrest", [2, 3]),
        (
            "match {'a': 1, 'b': 2}:\n    case {'a': x, **more}:\n        pass\nmore",
            {"b": 2},
        ),
        ("from __future__ import annotations\ndef f(x: Missing): ...\n1", 1),
        ("class A:\n    x: int = 1\nA.x", 1),
        ("with open('/dev/null') as file:\n    pass\nfile.closed", True),
        ("lambda_ = lambda: 5\nlambda_()", 5),
        ("import asyncio\nawait asyncio.sleep(0)\n6", 6),
        ("import asyncio\nreturn [await asyncio.sleep(0, i) for i in (1, 2)]", [1, 2]),
        ("async def f():\n    yield 1\nreturn [x async for x in f()]", [1]),
    ],
)
def test_a_script_gives_its_return_or_its_last_expression(
    source: str, value: Any
) -> None:
    assert run(source) == value


@pytest.mark.parametrize(
    ("source", "uses_await", "awaits"),
    [
        ("1", False, False),
        ("await f()", True, True),
        ("[await f() for x in y]", True, True),
        ("async with f(): pass", True, True),
        ("async def f():\n    await g()\nasyncio.run(f())", True, False),
        ("await_ = 'await'", False, False),
    ],
)
def test_await_decides_the_dialect(source: str, uses_await: bool, awaits: bool) -> None:
    script = compile_script(source)
    assert (script.uses_await, script.awaits) == (uses_await, awaits)


@pytest.mark.parametrize("prefix", ["", "return_ = 1\n", "await f()\n"])
def test_lines_stay_those_of_the_script(prefix: str) -> None:
    source = prefix + "x = 1\n\nx / 0"
    names: dict[str, Any] = {"f": lambda: asyncio.sleep(0)}
    exec(compile_script(source).code, names)  # noqa: S102 - our own test scripts

    def call() -> None:
        result = names[ENTRY]()
        if inspect.iscoroutine(result):
            asyncio.run(result)

    with pytest.raises(ZeroDivisionError) as caught:
        call()
    assert caught.traceback[-1].lineno + 1 == source.count("\n") + 1


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("x = (", 1),
        ("x = 1\nyield x", 2),
        ("a\nb c", 2),
        ("break", 1),
        ("nonlocal x", 1),
    ],
)
def test_what_does_not_parse_names_its_line(source: str, line: int) -> None:
    with pytest.raises(SyntaxError) as caught:
        compile_script(source)
    assert caught.value.lineno == line
