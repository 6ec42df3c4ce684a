"""Which scripts Monty is given, and how their text is adapted."""

import ast
from collections.abc import Iterator

import pytest
from pydantic_monty import Monty

from gateway.sandbox.harness.monty.offers import MontyOffers
from gateway.sandbox.harness.monty.subset import OutsideSubset, prepare


@pytest.fixture(scope="module")
def offers() -> Iterator[MontyOffers]:
    """What the real Monty has."""
    with Monty(max_processes=1) as pool:
        yield MontyOffers(pool)


def test_monty_itself_says_what_it_has(offers: MontyOffers) -> None:
    assert offers.module("json")
    assert not offers.module("statistics")
    assert not offers.module("no_such_module")
    assert offers.attribute("math", "floor")
    assert not offers.attribute("sys", "exit")
    assert offers.builtin("sorted")
    assert not offers.builtin("memoryview")


@pytest.mark.parametrize("name", ["os", "os.path", "pathlib"])
def test_files_and_the_process_are_not_for_monty(
    offers: MontyOffers, name: str
) -> None:
    assert not offers.module(name)


OUTSIDE = [
    ("import statistics", "the module statistics", 1),
    ("x = 1\nimport os", "the module os", 2),
    ("from collections import ChainMap", "collections.ChainMap", 1),
    ("import collections as c\nc.ChainMap()", "collections.ChainMap", 2),
    ("from json import *", "an import of everything", 1),
    ("statistics.mean([1])", "the module statistics", 1),
    ("collections.ChainMap()", "collections.ChainMap", 1),
    ("open('x')", "the built-in open", 1),
    ("eval('1')", "the built-in eval", 1),
    ("raise ToolError('x')", "ToolError outside of except", 1),
    ("import tools\nraise tools.ToolError('x')", "ToolError outside of except", 2),
    ("from tools import ToolError as E", "ToolError by another name", 1),
    ("try:\n    f()\nexcept ToolError as e:\n    errors.append(e)", "handed on", 4),
    ("try:\n    f()\nexcept Exception as e:\n    note(error=e)", "handed on", 4),
    ("try:\n    f()\nexcept* ToolError:\n    pass", "except*", 1),
    ("try:\n    f()\nexcept ToolError as e:\n    x = 'e.code', e.code", "a text", 4),
]


@pytest.mark.parametrize(("code", "reason", "line"), OUTSIDE)
def test_what_monty_lacks_is_found_with_its_line(
    offers: MontyOffers, code: str, reason: str, line: int
) -> None:
    with pytest.raises(OutsideSubset) as caught:
        prepare(code, offers)
    assert reason in caught.value.reason
    assert caught.value.line == line


INSIDE = [
    "import json, re\njson.loads('1')",
    "from datetime import datetime, timedelta\ndatetime.now()",
    "from tools import crm\ncrm.list_orders()",
    "from tools.crm import list_orders\nlist_orders()",
    "from __future__ import annotations\nx: int = 1",
    "try:\n    f()\nexcept ToolError as e:\n    print(e, str(e), type(e), f'{e}')",
    "try:\n    f()\nexcept Exception as e:\n    raise ValueError('x') from e",
    "json = {'a': 1}\njson['a']",
]


@pytest.mark.parametrize("code", INSIDE)
def test_what_monty_has_is_left_as_it_is(offers: MontyOffers, code: str) -> None:
    assert prepare(code, offers).code == code


def test_fields_of_an_error_become_calls_on_the_same_lines(
    offers: MontyOffers,
) -> None:
    code = (
        "from tools import crm, ToolError\n"
        "try:\n"
        "    crm.fail()\n"
        "except (ValueError, ToolError) as e:\n"
        "    note = f'é {e.code!r}: {e.message}'; again = e.retryable\n"
        "    e.args\n"
    )
    prepared = prepare(code, offers)
    lines = prepared.code.splitlines()
    assert lines[4] == (
        "    note = f'é {__tool_error_code(e)!r}: {__tool_error_message(e)}'; "
        "again = __tool_error_retryable(e)"
    )
    assert lines[5] == "    e.args"
    assert len(lines) == 6
    assert prepared.prelude == "from binascii import Incomplete as ToolError"
    ast.parse(prepared.code)


def test_another_exceptions_fields_are_left_alone(offers: MontyOffers) -> None:
    code = "try:\n    f()\nexcept OSError as e:\n    e.code"
    assert prepare(code, offers).code == code


@pytest.mark.parametrize(
    ("code", "uses_await"),
    [
        ("1", False),
        ("from tools import crm\nawait crm.x()", True),
        ("async def main():\n    pass", True),
        ("def f():\n    return 1\nf()", False),
        ("x = [i async for i in y]", True),
    ],
)
def test_await_anywhere_makes_calls_coroutines(
    offers: MontyOffers, code: str, uses_await: bool
) -> None:
    assert prepare(code, offers).uses_await is uses_await


def test_a_script_that_does_not_parse_is_not_montys_business(
    offers: MontyOffers,
) -> None:
    with pytest.raises(SyntaxError):
        prepare("x = (", offers)
