"""Names of tools in TypeScript are checked only where they are certain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codemode.checks import check
from gateway.codemode.preflight import MAX_CODE_CHARS, Preflight
from gateway.codemode.tstokens import tokenize
from tests.unit.codemode.makers import make_catalog, make_list_orders, make_tool

CATALOG = make_catalog(
    make_list_orders(), make_tool("crm.get_customers"), make_tool("mail.send")
)


def checked(code: str) -> Preflight:
    return check(code, "typescript", CATALOG)


def codes(code: str) -> list[str]:
    return [one.code for one in checked(code).diagnostics]


@pytest.mark.parametrize(
    "code",
    [
        'return await tools.crm.listOrders({since: "2026-04-01"})',
        "return await tools.crm.get_customers()",
        "return await tools?.crm?.getCustomers({})",
        'return await callTool("crm.list_orders", {since: ""})',
        "const { crm } = tools;\nreturn crm.listOrders()",
        "return tools",
        "// tools.crm.nothing()\n/* tools.no.such */ return 1",
        'return "tools.crm.nothing()" + `tools.crm.nothing`',
        "return /tools.crm.nothing/.test('x')",
        "x.tools.crm.nothing()",
        "callTool(`crm.${name}`)",
        'callTool("crm." + name)',
        "tools[name].nothing()",
        "tools.crm[name]()",
        'if (x) /"/.test(y); return tools.mail.send()',
        "return a.of / 2 + tools / 2",
    ],
)
def test_nothing_is_said_against_a_right_script(code: str) -> None:
    assert checked(code).ok


@pytest.mark.parametrize(
    "code",
    [
        "const tools = other; tools.crm.nothing()",
        "function f(tools) { return tools.crm.nothing() }",
        "rows.map(tools => tools.crm.nothing())",
        "rows.map((tools, i) => tools.crm.nothing())",
        "const { tools } = x; tools.crm.nothing()",
        "const { a: tools } = x; tools.crm.nothing()",
        "for (const tools of all) tools.crm.nothing()",
        "function callTool(x) {} callTool('a.b')",
        "x = {} / 2; tools.crm.nothing() / 3",
        "i++ / 2; tools.crm.nothing() / 3",
        "x! / 2; tools.crm.nothing() / 3",
        "`${",
    ],
)
def test_what_is_not_certain_is_left_alone(code: str) -> None:
    assert checked(code).ok


@pytest.mark.parametrize(
    ("code", "line", "column", "message"),
    [
        ("const a = 1;\n  tools.crm.listOrdrs()", 2, 3, "'crm.listOrdrs'"),
        ("tools.crmm.listOrders()", 1, 1, "no tool server 'crmm'"),
        ("return `${await tools.crm.nothing()}`", 1, 17, "'crm.nothing'"),
        ("await callTool('crm.nothing', {})", 1, 16, "'crm.nothing'"),
        ("a / tools.crm.nothing() / b", 1, 5, "'crm.nothing'"),
        ('if (x) /"/.test(y); tools.crm.nothing()', 1, 21, "'crm.nothing'"),
        ("const f = tools.crm.nothing;", 1, 11, "'crm.nothing'"),
    ],
)
def test_an_unknown_tool_is_found_with_its_place(
    code: str, line: int, column: int, message: str
) -> None:
    (found,) = checked(code).diagnostics
    assert (found.code, found.line, found.column) == ("unknown_tool", line, column)
    assert message in found.message


def test_the_signature_that_was_meant_is_suggested() -> None:
    (found,) = checked("return tools.crm.listOrdrs({})").diagnostics
    assert found.suggestions[0].startswith("tools.crm.listOrders(args: {since: string")
    (found,) = checked("return tools.crmm.listOrders({})").diagnostics
    assert found.suggestions == ("Servers: crm",)


def test_the_tools_a_script_names_are_listed_once() -> None:
    found = checked(
        "await tools.mail.send(); await tools.crm.listOrders({since});"
        "tools.mail.send();"
        "callTool('crm.get_customers')"
    )
    assert found.tools == ("mail.send", "crm.list_orders", "crm.get_customers")


def test_an_alias_that_is_a_tool_s_own_name_stays_that_tool() -> None:
    catalog = make_catalog(make_tool("a.list_it"), make_tool("a.listIt"))
    assert check("tools.a.listIt()", "typescript", catalog).tools == ("a.listIt",)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", "empty_script"),
        ("// nothing\n;", "empty_script"),
        ("x" * (MAX_CODE_CHARS + 1), "script_too_long"),
        ("return 1\0", "invalid_text"),
        ("return '\ud800'", "invalid_text"),
    ],
)
def test_what_is_no_script_is_refused(code: str, expected: str) -> None:
    assert codes(code) == [expected]


def test_findings_are_limited() -> None:
    assert len(codes("tools.crm.nothing();\n" * 100)) == 20


@given(st.text(alphabet="tools.crm()`${}/*\"'\\=> \nab?:,;", max_size=60))
def test_no_text_breaks_the_check(code: str) -> None:
    found = checked(code)
    assert all(1 <= one.line <= code.count("\n") + 1 for one in found.diagnostics)


def test_long_scripts_are_cut_in_no_time() -> None:
    for part in ("`${a}`;", "a/b/c;", "'x';", "/[/]x/.test(a);", "`", "/", "'", "/*"):
        tokenize(part * (MAX_CODE_CHARS // len(part)))


def test_other_languages_are_checked_as_python() -> None:
    found = check("from tools import crm\ncrm.nothing()", "python", CATALOG)
    assert [one.code for one in found.diagnostics] == ["unknown_tool"]
