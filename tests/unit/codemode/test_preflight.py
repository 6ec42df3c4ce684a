import ast
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.codemode import preflight
from gateway.codemode.preflight import Preflight, check
from tests.unit.codemode.makers import make_catalog, make_list_orders, make_tool

CATALOG = make_catalog(
    make_list_orders(),
    make_tool("crm.get_customers", {"ids": {"type": "array"}}, required=("ids",)),
    make_tool(
        "crm.find",
        {"from": {"type": "string"}, "page[limit]": {"type": "integer"}},
        required=("from",),
        original="crm-find",
    ),
    make_tool("crm.ping", {}),
    make_tool("crm.open_ended", schema={"type": "object"}),
    make_tool("billing.refund", {"id": {"type": "integer"}}, required=("id",)),
)
CRM = "from tools import crm\n"
LINE = (
    "crm.list_orders(*, since: str, limit: int = 50, "
    'status: Literal["open", "paid"] | None = None)'
)


def found(code: str) -> list[tuple[str, int]]:
    return [(one.code, one.line) for one in check(code, CATALOG).diagnostics]


@pytest.mark.parametrize(
    "code",
    [
        "return 1",
        "1",
        "from __future__ import annotations\nreturn 1",
        "from tools import *\ncrm.nope()",
        f"{CRM}return crm.list_orders(since='2026-04-01', limit=5)",
        f"{CRM}return crm.list_orders({{'since': 'x'}})",
        f"{CRM}query = {{'since': 'x'}}\nreturn crm.list_orders(query)",
        f"{CRM}return crm.list_orders(**query())",
        f"{CRM}return crm.find(**{{'from': 'x', 'page[limit]': 3}})",
        f"{CRM}return crm.list_orders(since='x', limit=None)",
        f"{CRM}return crm.list_orders(since=str(1), limit=n)",
        f"{CRM}return crm.open_ended(anything=1)",
        f"{CRM}return getattr(crm, 'nope')()",
        f"{CRM}return crm.__name__",
        f"{CRM}crm = object()\ncrm.nope()",
        f"{CRM}def f(crm):\n    return crm.nope()",
        f"{CRM}for crm in []:\n    crm.nope()",
        f"{CRM}return [crm.nope() for crm in []]",
        f"{CRM}if (crm := 1):\n    crm.nope()",
        f"{CRM}try:\n    1\nexcept Exception as crm:\n    crm.nope()",
        f"{CRM}match 1:\n    case crm:\n        crm.nope()",
        f"{CRM}class crm:\n    pass\ncrm.nope()",
        "if 1:\n    from tools import crm\nelse:\n    crm = None\ncrm.nope()",
        "crm.nope()",
        "from other import crm\ncrm.nope()",
        "from .tools import crm\ncrm.nope()",
        "from tools import call_tool, ToolError\ncall_tool('crm.ping')",
        "call_tool(name, {})",
        "call_tool = print\ncall_tool('crm.nope')",
        "call_tool('crm.list_orders', {'since': 'x'}, limit=3)",
        "tools.crm.ping()",
        "tools = {}\ntools.crm.nope()",
        "'\\d'",
    ],
)
def test_what_is_not_certainly_wrong_passes(code: str) -> None:
    assert found(code) == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", [("empty_script", 1)]),
        ("# only a comment\n", [("empty_script", 1)]),
        ("pass", [("empty_script", 1)]),
        ("def f(:\n  pass", [("syntax_error", 1)]),
        ("x = 1\nif x\n  y", [("syntax_error", 2)]),
        ("break", [("syntax_error", 1)]),
        ("1\nyield 2", [("syntax_error", 2)]),
        ("a\n\0", [("invalid_text", 2)]),
        ("a\nb\ud800", [("invalid_text", 2)]),
        ("x" * 100_001, [("script_too_long", 1)]),
        ("(" * 5000, [("syntax_error", 1)]),
        ("-" * 50_000 + "1", [("syntax_error", 1)]),
        ("a" + ".b" * 30_000, [("syntax_error", 1)]),
        ("9" * 10_000, [("syntax_error", 1)]),
        (f"{CRM}crm.list_order(since='x')", [("unknown_tool", 2)]),
        (f"{CRM}f = crm.nope", [("unknown_tool", 2)]),
        ("from tools import crn\ncrn.ping()", [("unknown_tool", 1)]),
        (
            "import tools as t\nt.crm.nope()\nt.crn.x()",
            [("unknown_tool", 2), ("unknown_tool", 3)],
        ),
        ("import tools.crm as c\nc.nope()", [("unknown_tool", 2)]),
        ("import tools.crm\ntools.crm.nope()", [("unknown_tool", 2)]),
        ("from tools import crm as c\nc.nope()", [("unknown_tool", 2)]),
        ("from tools.crm import ping, nope", [("unknown_tool", 1)]),
        ("from tools.crm import find as f\nf()", [("missing_argument", 2)]),
        ("call_tool('crm.nope', {})", [("unknown_tool", 1)]),
        ("call_tool('crm.find', {})", [("missing_argument", 1)]),
        ("call_tool('crm.find', {'from': 3})", [("wrong_type", 1)]),
        (f"{CRM}crm.list_orders()", [("missing_argument", 2)]),
        (f"{CRM}crm.list_orders(limit=1)", [("missing_argument", 2)]),
        (f"{CRM}crm.ping(x=1)", [("unknown_argument", 2)]),
        (f"{CRM}crm.list_orders(since='x', status='opn')", [("wrong_type", 2)]),
        (f"{CRM}crm.list_orders(since=None)", [("wrong_type", 2)]),
        (f"{CRM}crm.list_orders(since='x', limit='5')", [("wrong_type", 2)]),
        (f"{CRM}crm.list_orders(since='x', limit=True)", [("wrong_type", 2)]),
        (f"{CRM}crm.list_orders(since='x', limit=501)", [("wrong_value", 2)]),
        (f"{CRM}crm.list_orders('x')", [("positional_argument", 2)]),
        (f"{CRM}crm.list_orders(a, b)", [("positional_argument", 2)]),
        (
            f"{CRM}crm.list_orders({{'since': 'x'}}, limit=1)",
            [("positional_argument", 2)],
        ),
        (f"{CRM}crm.list_orders({{'since': 5}})", [("wrong_type", 2)]),
        (
            f"{CRM}def f():\n    return crm.ping(\n        x=1)",
            [("unknown_argument", 4)],
        ),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_is_certainly_wrong_is_found_with_its_line(
    code: str, expected: list[tuple[str, int]]
) -> None:
    assert found(code) == expected


@pytest.mark.parametrize(
    "line",
    [
        "orders = crm.list_orders(since='x')\nreturn [o for o in orders]",
        "orders = crm.list_orders(since='x')\nreturn len(orders)",
        "return crm.list_orders(since='x')",
        "crm.list_orders(since='x')",
        "x = crm.list_orders(since='x')[0]",
        "x = crm.list_orders(since='x').items",
        "x = sorted(crm.list_orders(since='x'))",
        "for order in crm.list_orders(since='x'):\n    print(order)",
        "x = f\"{crm.list_orders(since='x')}\"",
        "x = crm.list_orders(since='x') + []",
        "if crm.list_orders(since='x'):\n    x = 1",
        "x = [*crm.list_orders(since='x')]",
        "x = call_tool('crm.ping')['x']",
    ],
)
def test_a_forgotten_await_is_found(line: str) -> None:
    assert found(f"{CRM}await crm.ping()\n{line}") == [("missing_await", 3)]


@pytest.mark.parametrize(
    "line",
    [
        "return await crm.ping()",
        "import asyncio\nreturn await asyncio.gather(crm.ping(), crm.ping())",
        "import asyncio\nt = asyncio.create_task(crm.ping())\nreturn await t",
        "import asyncio\nreturn await asyncio.gather(*[crm.ping() for _ in range(3)])",
        "calls = []\ncalls.append(crm.ping())\nreturn await calls[0]",
        "call = crm.ping()\nreturn await call",
        "def later():\n    return crm.ping()\nreturn await later()",
        "later = lambda: crm.ping()\nreturn await later()",
        "x = crm.ping()\nx = await x\nreturn x['a']",
        "call = crm.ping()\nif call is not None:\n    return await call",
        "len = run\nreturn len(crm.ping())",
        "calls = {'a': crm.ping()}\nreturn await calls['a']",
        "return (await crm.ping())['x']",
    ],
)
def test_a_coroutine_that_is_awaited_later_passes(line: str) -> None:
    assert found(f"{CRM}await crm.ping()\n{line}") == []


def test_without_await_functions_are_plain() -> None:
    result = check(f"{CRM}return len(crm.list_orders(since='x'))", CATALOG)
    assert result == Preflight((), uses_await=False, tools=("crm.list_orders",))
    assert result.ok


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("return 1", False),
        ("await f()", True),
        ("async def f():\n    return 1\nimport asyncio\nasyncio.run(f())", True),
        ("async with f():\n    pass", True),
    ],
)
def test_the_dialect_is_told(code: str, expected: bool) -> None:
    assert check(code, CATALOG).uses_await is expected


def test_tools_are_named_in_order_of_use() -> None:
    code = "call_tool('crm.ping')\nfrom tools import billing, crm\nbilling.refund(id=1)"
    code += "\ncrm.find(**x)\nx = lambda: crm.ping()"
    assert check(code, CATALOG).tools == ("crm.ping", "billing.refund", "crm.find")


def test_an_unknown_tool_is_answered_with_the_right_signature() -> None:
    (one,) = check(f"{CRM}x = crm.list_order()", CATALOG).diagnostics
    assert (one.line, one.column) == (2, 5)
    assert one.message == "There is no tool 'crm.list_order' for this key: use search."
    assert one.suggestions == (LINE,)


def test_an_original_name_leads_to_the_alias() -> None:
    (one,) = check("call_tool('crm.crm-find', {})", CATALOG).diagnostics
    assert one.suggestions[0].startswith("crm.find(")


def test_a_tool_of_another_server_is_suggested() -> None:
    (one,) = check(f"{CRM}crm.refund(id=1)", CATALOG).diagnostics
    assert one.suggestions[0] == "billing.refund(*, id: int)"


def test_wrong_arguments_are_answered_with_the_right_signature() -> None:
    result = check(f"{CRM}crm.list_orders(\n  sinc='x', status='opne')", CATALOG)
    assert [(one.code, one.line, one.message) for one in result.diagnostics] == [
        ("missing_argument", 2, "crm.list_orders needs 'since'."),
        (
            "unknown_argument",
            3,
            "crm.list_orders has no argument 'sinc'. Did you mean 'since'?",
        ),
        (
            "wrong_type",
            3,
            'crm.list_orders: status must be one of "open", "paid", not "opne". '
            'Did you mean "open"?',
        ),
    ]
    assert {one.suggestions for one in result.diagnostics} == {(LINE,)}


def test_columns_count_characters() -> None:
    (one,) = check(f"{CRM}x = 'äöü'; crm.nope()", CATALOG).diagnostics
    assert one.column == 12


def test_the_limit_on_length_is_an_argument() -> None:
    (one,) = check("x = 12345", CATALOG, max_chars=5).diagnostics
    assert one.code == "script_too_long"


def test_a_tool_with_an_unusable_schema_is_not_the_scripts_fault() -> None:
    tool = make_tool(
        "crm.x", schema={"properties": {"a": {"$ref": "http://127.0.0.1/"}}}
    )
    assert check(f"{CRM}crm.x(a=1)", make_catalog(tool)).diagnostics == ()


@pytest.mark.parametrize(
    "body",
    ["crm.nope()\n" * 5000, "".join(f"crm.n{n}()\n" for n in range(5000))],
    ids=["same", "different"],
)
def test_a_flood_of_faults_is_cut_and_quick(body: str) -> None:
    catalog = make_catalog(*(make_tool(f"crm.tool_{n}") for n in range(5000)))
    started = time.process_time()
    result = check(f"{CRM}{body}", catalog)
    assert time.process_time() - started < 5
    assert len(result.diagnostics) == preflight.MAX_DIAGNOSTICS
    assert result.diagnostics[0].line == 2


@settings(deadline=None)
@given(st.text(max_size=300))
@example("\ud800")
@example("match x:\n case {**y}: pass")
@example("f'{x!r:{y}}'")
def test_no_text_makes_it_raise(code: str) -> None:
    assert isinstance(check(code, CATALOG), Preflight)


FRAGMENTS = st.sampled_from(
    [
        *("from tools import crm\n", "import tools as t\n", "crm", "t", ".", "(", ")"),
        *("list_orders", "since=", "'x'", "**", "{", "}", ":", "await ", "lambda "),
        *("async ", "def f():\n ", "return ", "\n", " ", ",", "[", "]", "for x in "),
        *("=", "1", "*", "call_tool", "'crm.ping'", "class A:\n ", "with ", "as y"),
        *("del ", "global x\n"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAGMENTS, max_size=30).map("".join))
def test_no_python_makes_it_raise(code: str) -> None:
    result = check(code, CATALOG)
    if result.ok:
        ast.parse(code)
