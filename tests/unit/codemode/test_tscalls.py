"""Arguments and forgotten awaits in TypeScript are found, with line and suggestion."""

import pytest

from gateway.codemode.checks import check
from gateway.codemode.diagnostics import Diagnostic
from tests.unit.codemode.makers import make_catalog, make_list_orders, make_tool

CATALOG = make_catalog(
    make_list_orders(),
    make_tool("crm.get_customers"),
    make_tool("mail.send", {"to": {"type": "array", "items": {"type": "string"}}}),
)


def found(code: str) -> tuple[Diagnostic, ...]:
    return check(code, "typescript", CATALOG).diagnostics


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("{sinse: '2026'}", "unknown_argument", "no argument 'sinse'. Did you mean"),
        ("{since, 'limits': 5}", "unknown_argument", "no argument 'limits'"),
        ("{since, limits}", "unknown_argument", "no argument 'limits'"),
        ("", "missing_argument", "needs 'since'"),
        ("{}", "missing_argument", "needs 'since'"),
        ("{limit: 5,},", "missing_argument", "needs 'since'"),
        ("{limit: 5} as Filter<a, {b: 1}[]>", "missing_argument", "needs 'since'"),
        ("{since: 5}", "wrong_type", "since"),
        ("{since: -5.5}", "wrong_type", "since"),
        ("{since: ['a', {b: null}]}", "wrong_type", "since"),
        ("{since: null}", "wrong_type", "since"),
        ("{since: true as const}", "wrong_type", "since"),
        ("{since, limit: '5'}", "wrong_type", "limit"),
        ("{since, limit: 1_000}", "wrong_value", "limit"),
        ("{since, status: 'opne'}", "wrong_type", "status"),
        ("{...more, status: 'opne'}", "wrong_type", "status"),
        ("'2026-04-01'", "positional_argument", "one object of named arguments"),
        ("5, ", "positional_argument", "one object of named arguments"),
        ("null", "positional_argument", "one object of named arguments"),
        ("['2026']", "positional_argument", "one object of named arguments"),
    ],
)
@pytest.mark.parametrize("call", ["tools.crm.listOrders({})", "callTool('{}', {})"])
def test_a_wrong_argument_is_found(
    call: str, arguments: str, code: str, message: str
) -> None:
    if call.startswith("tools"):
        called = f"tools.crm.listOrders({arguments})"
    else:
        called = f"callTool('crm.list_orders', {arguments})"
    said = found(f"const a = 1;\nconst rows = await {called};\nreturn rows")
    assert {one.code for one in said} >= {code}, said
    assert any(message in one.message for one in said)
    assert {one.line for one in said} == {2}
    signature = "tools.crm.listOrders(args: {since: string"
    assert all(one.suggestions[0].startswith(signature) for one in said)


def test_each_argument_is_said_at_its_own_line() -> None:
    said = found(
        "return await tools.crm.listOrders({\n"
        "  // since when\n"
        "  since: 20260401,\n"
        "  limit: `5`, /* limit: '5' */\n"
        "  sort: 'asc',\n"
        "})"
    )
    places = [(one.code, one.line, one.column) for one in said]
    assert places == [("unknown_argument", 5, 9), ("wrong_type", 3, 10)]


@pytest.mark.parametrize(
    "arguments",
    [
        "given",
        "...given",
        "{...given}",
        "{limit: 'x', ...given}",
        "{limit: 'x', [key]: 5, since}",
        "{[`since`]: '2026'}",
        "{since, limit: undefined, sort: undefined}",
        "{since, sort: a ? b : undefined, limits: a?.b}",
        "{since, limit: null}",
        "{since: a ? 'b' : 5}",
        "{since: 5 + 'x'}",
        "{since: 5..toString()}",
        "{since: 'a' as unknown as string, limit: 5 as any}",
        "{since: `${a}, limits: {5}`}",
        "{since: new Map<string, number>().get('limits')!}",
        "{since: rows as Array<string, limits>}",
        "{since: f<A, B>(c, d)}",
        "{since: ((a, b) => { return `${{c: a}.c}` })(1, 2)}",
        "{since: /[,}]/.source}",
        "{get since() { return 'a' }}",
        "{since() {}, limit: 'x'}",
        "{async since() {}}",
        "{*since() {}}",
        "{__proto__: {since: 'a'}}",
        "{toJSON: () => ({since: 'a'})}",
        "{'since': 'a', limit: 2.0}",
        "{since: '\\x41'}",
        "{} || given",
        "{} as any || given",
        "{} as Filter & given",
        "{limit: 5}.since",
        "({since: 'a'})",
        "cond ? {} : given",
        "{}, ...more",
        "{since: 'a' /* { */, // }\n limit: 5}",
    ],
)
def test_what_is_not_certain_is_left_alone(arguments: str) -> None:
    assert found(f"return await tools.crm.listOrders({arguments})") == ()


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("return tools.crm.getCustomers().length", 1),
        ("return await tools.crm.getCustomers().length", 1),
        ("return tools.crm.getCustomers()[0]", 1),
        ("return callTool('crm.get_customers')?.map(f)", 1),
        ("for (const one of tools.crm.getCustomers()) print(one)", 1),
        ("if (tools.crm.getCustomers()) { return 1 }", 1),
        ("if (!tools.crm.getCustomers()) { return 1 }", 1),
        ("const {items} = tools.crm.getCustomers();", 1),
        ("const [{a}, b] = tools.crm.getCustomers()\nreturn a", 1),
        ("const rows = tools.crm.getCustomers();\nreturn rows.length", 1),
        ("let n = 0;\nconst rows = tools.crm.getCustomers()\nreturn rows[0]", 2),
        ("const r = tools.crm.getCustomers({})\nfor (const x of r) { n += x }", 1),
    ],
)
def test_a_forgotten_await_is_found(code: str, line: int) -> None:
    (said,) = found(code)
    assert (said.code, said.line) == ("missing_await", line)
    assert said.suggestions[0].startswith("(await ")


@pytest.mark.parametrize(
    "code",
    [
        "return (await tools.crm.getCustomers()).length",
        "return tools.crm.getCustomers()",
        "return tools.crm.getCustomers().then((rows) => rows.length)",
        "tools.crm.getCustomers().catch(() => 0).finally(f)",
        "const p = tools.crm.getCustomers();\nconst r = await p;\nreturn r.length",
        "const p = tools.crm.getCustomers();\nreturn (await p).length",
        "const p = tools.crm.getCustomers();\nreturn Promise.all([p, p])",
        "const p = tools.crm.getCustomers();\nall.map((p) => p.length); await p",
        "const p = tools.crm.getCustomers();\nall.map(p => p.length); await p",
        "const p = tools.crm.getCustomers();\nfor (const p of all) p.x()",
        "const p = tools.crm.getCustomers();\nfunction f({p}) { p.length }",
        "const p = tools.crm.getCustomers();\nfunction f({a: p}) { p.length }",
        "const p = tools.crm.getCustomers();\nfunction f(p: any[]) { p.length }",
        "const p = tools.crm.getCustomers();\nfunction f(...p) { p.length }",
        "const p = tools.crm.getCustomers();\np.label = 1; return p.label",
        "const p = tools.crm.getCustomers()\n  .then(f);\nreturn p.length",
        "const p = tools.crm.getCustomers() || [];\nreturn p.length",
        "const {then} = tools.crm.getCustomers();",
        "const {rows = []} = tools.crm.getCustomers();",
        "let p = tools.crm.getCustomers(); p = await p; return p.length",
        "for await (const one of [tools.crm.getCustomers()]) print(one)",
        "for (const one of await tools.crm.getCustomers()) print(one)",
        "if (await tools.crm.getCustomers()) { return 1 }",
        "Promise.prototype.x = 1; return tools.crm.getCustomers().x",
        "const list = tools.crm.getCustomers;\nreturn list.length",
    ],
)
def test_a_promise_that_is_waited_for_is_left_alone(code: str) -> None:
    assert found(code) == ()


def test_in_python_too_what_comes_later_may_replace_a_wrong_value() -> None:
    right = "crm.list_orders({'since': 5, **given})"
    wrong = "crm.list_orders({**given, 'since': 5})"
    said = [
        [one.code for one in check(code, "python", CATALOG).diagnostics]
        for code in (f"from tools import crm\n{code}" for code in (right, wrong))
    ]
    assert said == [[], ["wrong_type"]]
