"""What TypeScript gives, prints and says when it fails."""

import threading
import time
from typing import Any

import pytest

from gateway.codemode.typescript import camel_case
from gateway.sandbox.api import Call, Reply
from tests.integration.sandbox.conftest import WHY, Run

pytestmark = pytest.mark.sandbox


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("return", None),
        ("const x = 1", None),
        ("return {a: [1, 2.5, null, true, 'é']}", {"a": [1, 2.5, None, True, "é"]}),
        ("return {a: undefined, b: 1}", {"b": 1}),
        ("return new Date(0)", "1970-01-01T00:00:00.000Z"),
        ("class P { constructor(readonly_ = 1) { this.x = readonly_ } x: number }\n"
         "return new P()", {"x": 1}),
        ("return await tools.crm.echo({a: 1})", {"step": 1, "a": 1}),
        ("return tools.crm.echo({a: 1})", {"step": 1, "a": 1}),
        ("const { crm } = tools;\nreturn await crm.echo({a: undefined})", {"step": 1}),
        ("return await tools.crm.listOrders()", {"step": 1}),
        ("return await tools.crm.list_orders()", {"step": 1}),
        ("return await callTool('crm.echo', {a: 3})", {"step": 1, "a": 3}),
        ("return await callTool('unknown.tool')", {"step": 1}),
        ("type Row = {id: number; name: string};\n"
         "const rows = (await tools.crm.rows({n: 3})) as Row[];\n"
         "return rows.map((row: Row): string => row.name!).at(-1)", "row 2"),
        ("const all = await Promise.all([...Array(40).keys()]"
         ".map((i) => tools.crm.echo({i})));\nreturn all.every(({i}, at) => i === at)",
         True),
        ("await new Promise((done) => setTimeout(done, 5));\n"
         "return (await tools.crm.echo()).step", 1),
        ("const late = new Promise((done) => setTimeout(done, 5, 'late'));\n"
         "return Promise.race([late, new Promise(() => 0)])", "late"),
        ("return require('node:crypto').createHash('sha256').update('x').digest('hex')"
         ".slice(0, 8)", "2d711642"),
        ("return Buffer.from('x').toString('base64')", "eA=="),
        ("return new Intl.NumberFormat('de').format(1234.5)", "1.234,5"),
        ("const hash = await crypto.subtle.digest('SHA-256', new Uint8Array(1));\n"
         "return hash.byteLength", 32),
        ("process.exit()", None),
        ("return 1 // the last line", 1),
    ],
)  # fmt: skip
def test_a_script_gives_its_value(run_typescript: Run, code: str, value: Any) -> None:
    result = run_typescript(code)
    assert result.error is None
    assert result.value == value


def test_names_in_camel_case_are_those_that_signatures_show(
    run_typescript: Run,
) -> None:
    names = [
        "list_orders",
        "getIt",
        "a__b_c",
        "x",
        "repos_list_for_org",
        "from_",
        "A_b",
    ]
    tools = {"s": {name: f"s.{name}" for name in names}}
    calls: list[str] = []

    def on_call(call: Call) -> Reply:
        calls.append(call.tool)
        return Reply()

    lines = [f"await tools.s.{camel_case(name)}();" for name in names]
    result = run_typescript("\n".join(lines), on_call=on_call, tools=tools)
    assert result.error is None
    assert calls == [f"s.{name}" for name in names]


def test_parallel_calls_are_parallel(run_typescript: Run) -> None:
    together = threading.Barrier(10, timeout=10)

    def wait_for_the_others(call: Call) -> Reply:
        together.wait()
        return Reply(value=call.step)

    result = run_typescript(
        "return Promise.all(Array.from({length: 10}, () => tools.crm.echo()))",
        on_call=wait_for_the_others,
    )
    assert result.value == list(range(1, 11))


CHAINS = """
const chain = async (name: string) => {
  await tools.crm.echo({ name, at: 1 });
  for (let i = 0; i < (name === "a" ? 7 : 1); i++) await null;
  await tools.crm.echo({ name, at: 2 });
};
await Promise.all([chain("a"), chain("b"), chain("c")]);
"""


@pytest.mark.parametrize("order", ["abc", "cba", "bac"])
def test_later_calls_are_numbered_in_the_order_of_replies(
    run_typescript: Run, order: str
) -> None:
    seen: dict[int, str] = {}

    def in_order(call: Call) -> Reply:
        name = str(call.arguments["name"])
        seen[call.step] = name
        if call.arguments["at"] == 1:
            time.sleep(0.1 * order.index(name))
        return Reply()

    result = run_typescript(CHAINS, on_call=in_order)
    assert result.error is None
    assert [seen[step] for step in (4, 5, 6)] == list(order)


def test_a_call_that_is_not_awaited_is_cut_off_by_the_return(
    run_typescript: Run,
) -> None:
    result = run_typescript("tools.crm.echo(); return 'end'")
    assert result.value == "end"
    assert result.calls <= 1


def test_output_is_captured_beside_the_value(run_typescript: Run) -> None:
    result = run_typescript(
        "console.log('out', 1, {a: [1]}); console.error('err');\n"
        "process.stdout.write('raw\\n'); console.log('\\ud800\\0'); return 'value'"
    )
    assert result.value == "value"
    assert result.stdout == "out 1 { a: [ 1 ] }\nerr\nraw\n\ufffd\ufffd\n"


def test_long_output_is_cut_and_the_run_goes_on(run_typescript: Run) -> None:
    result = run_typescript(
        "for (let i = 0; i < 10_000; i++) console.log('é'.repeat(10)); return 'end'"
    )
    assert result.value == "end"
    assert result.stdout_truncated
    assert 65_530 <= len(result.stdout.encode()) <= 65_536


def test_output_before_an_endless_loop_is_kept(run_typescript: Run) -> None:
    result = run_typescript("console.log('here'); while (true);", cpu_seconds=0.2)
    assert result.error is not None
    assert (result.error.code, result.stdout) == ("cpu_time", "here\n")


ERRORS = [
    ("const x = (", "syntax_error", 1, "Expression expected"),
    ("const x = 1;\nif x { }", "syntax_error", 2, ""),
    ("let a = 1;\nlet a = 2;", "syntax_error", 2, "already been declared"),
    ("const f = (x: string) => x;\n\nreturn f(await)", "syntax_error", 3, ""),
    ("\nenum A { B }", "syntax_error", 2, "enum is not supported"),
    ("\nimport { crm } from 'tools';", "syntax_error", 2, "import"),
    ("type A = {\n  b: string;\n};\nconst a: A = null as any;\n\nreturn a.b.length",
     "script_error", 6, "TypeError: Cannot read properties of null"),
    ("function f(): void {\n  throw new RangeError('far');\n}\n\nf()",
     "script_error", 2, "RangeError: far"),
    ("\nreturn nothing", "script_error", 2, "nothing is not defined"),
    ("throw 'text'", "script_error", None, 'threw "text"'),
    ("throw {get stack() { throw 1 }}", "script_error", None, ""),
    ("\nprocess.exit(2)", "script_error", 2, "exit code 2"),
    ("tools.crm.echo(1, 2)", "script_error", 1, "one object of named arguments"),
    ("\ntools.crm.echo({at: new Set()})", "script_error", 2, "arguments.at"),
    ("const a = 1;\n\nawait tools.crm.fail()", "denied", 3, "crm.fail: no grant"),
    ("await Promise.all([\n  tools.crm.echo(),\n  tools.crm.fail(),\n])",
     "denied", 3, "crm.fail: no grant"),
    ("tools.crm.fail();\nawait new Promise((done) => setTimeout(done, 9_000))",
     "denied", 1, "crm.fail: no grant"),
    ("setTimeout(() => {\n  throw new Error('late')\n}, 1);\n"
     "await new Promise(() => 0)",
     "script_error", 2, "Error: late"),
    ("await new Promise(() => 0)", "script_error", None, "never happens"),
    ("return {a: [new Map()]}", "not_json", None, "result.a[0] is of type Map"),
    ("return {a: () => 1}", "not_json", None, "result.a is a function"),
    ("return {'a b': tools.crm.echo()}", "not_json", None, 'result["a b"] is of type'),
    ("return [NaN]", "not_json", None, "result[0] is NaN"),
    ("return [undefined]", "not_json", None, "result[0] is undefined"),
    ("return 2 ** 64", "not_json", None, "beyond 64 bits"),
    ("return 5n", "not_json", None, "bigint"),
    ("return '\\ud800'", "not_json", None, "lone surrogate"),
    ("return '\\0'", "not_json", None, "NUL"),
    ("const a: any = {}; a.a = a; return a", "not_json", None, "100 levels"),
    ("return 'x'.repeat(2_000_000)", "output_too_large", None, "1048576"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "error", "line", "message"), ERRORS)
def test_an_error_has_its_code_and_line(
    run_typescript: Run, code: str, error: str, line: int | None, message: str
) -> None:
    result = run_typescript(code)
    assert not result.ok
    assert result.error is not None
    assert (result.error.code, result.error.line) == (error, line)
    assert message in result.error.message
    assert "/opt/tollgate" not in result.error.message


@pytest.mark.parametrize(
    ("code", "suggestion"),
    [
        ("tools.crm.listOrder()", "tools.crm.listOrders"),
        ("tools.crn.echo()", "tools.crm"),
        ("crm.echo()", "tools.crm"),
        ("print(1)", "console.log"),
        ("callTol('a.b')", "callTool"),
        ("for (const x of tools.crm.rows({n: 1})) x",
         "write `await` before the tool call"),
        ("return tools.crm.rows({n: 1}).map((x) => x)",
         "write `await` before the tool call"),
        ("enum A { B }", "const Color"),
        ("import x from 'tools'", "without import"),
    ],
)  # fmt: skip
def test_an_error_suggests_what_was_meant(
    run_typescript: Run, code: str, suggestion: str
) -> None:
    result = run_typescript(code)
    assert result.error is not None
    assert suggestion in " ".join(result.error.suggestions)


def test_a_tool_error_can_be_caught(run_typescript: Run) -> None:
    result = run_typescript(
        "try { await tools.crm.fail() } catch (e) {\n"
        "  return [e instanceof ToolError, e instanceof Error, e.name, e.code, "
        "e.message, e.retryable, e.tool, e.suggestions, e.details, e.stack]\n}"
    )
    assert result.value == [
        True, True, "ToolError", "denied", "no grant", True, "crm.fail", ["crm.echo"],
        WHY, "ToolError: no grant\n    at script (script.ts:1:23)",
    ]  # fmt: skip


def test_an_uncaught_tool_error_is_the_host_s_account(run_typescript: Run) -> None:
    result = run_typescript("await tools.crm.fail()")
    assert result.error is not None
    assert result.error.retryable
    assert result.error.suggestions == ("crm.echo",)
    assert result.error.details == WHY


def test_a_script_cannot_pass_its_own_error_for_a_tool_s(run_typescript: Run) -> None:
    result = run_typescript("throw new ToolError('denied', 'forged', true)")
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("tool_error", False)


def test_a_reply_that_is_too_large_can_be_handled(run_typescript: Run) -> None:
    result = run_typescript(
        "try { await tools.crm.rows({n: 9_000}) } catch (e) { return e.code }",
        message_bytes=100_000,
    )
    assert result.value == "message_too_large"


def test_ten_thousand_rows_stay_in_the_sandbox(run_typescript: Run) -> None:
    result = run_typescript("return (await tools.crm.rows({n: 10_000})).length")
    assert result.value == 10_000


PINNED = """
const nodeCrypto = require("node:crypto");
return [Date.now(), new Date().toISOString(), String(Date()), performance.now(),
  Math.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint8Array(4))],
  nodeCrypto.randomBytes(4).toString("hex"), nodeCrypto.randomInt(1_000_000),
  nodeCrypto.randomUUID(), process.hrtime(), String(process.hrtime.bigint()),
  [...nodeCrypto.randomFillSync(new Uint8Array(4))], nodeCrypto.getRandomValues(
  new Uint16Array(2))[0], new Intl.DateTimeFormat("en", {timeStyle: "full"}).format(),
  new Date(2026, 0, 1) instanceof Date, Date.length, performance.timeOrigin];
"""


def test_clock_and_randomness_are_pinned_to_the_run(run_typescript: Run) -> None:
    first, again = run_typescript(PINNED), run_typescript(PINNED)
    other = run_typescript(PINNED, seed=2)
    assert first.error is None
    assert first.value == again.value
    assert isinstance(first.value, list)
    assert isinstance(other.value, list)
    assert first.value[:2] == [1_790_000_000_001, "2026-09-21T14:13:20.002Z"]
    assert first.value[3] == 4
    assert first.value[-2:] == [7, 1_790_000_000_000]
    for index in range(4, 10):
        assert first.value[index] != other.value[index]


def test_usage_is_measured_by_the_host(run_typescript: Run) -> None:
    def slow(call: Call) -> Reply:
        time.sleep(0.1)
        return Reply()

    result = run_typescript(
        "const x = Buffer.alloc(50_000_000, 1);\n"
        "for (let i = 0; i < 2; i++) await tools.crm.echo()",
        on_call=slow,
    )
    usage = result.usage
    assert 0.2 <= usage.waiting_seconds < usage.wall_seconds
    assert usage.cpu_seconds < usage.wall_seconds
    assert usage.peak_memory_bytes > 60_000_000


def test_both_languages_run_at_once(run: Run, run_typescript: Run) -> None:
    results: list[Any] = []

    def one(number: int) -> None:
        if number % 2:
            code = f"return (await tools.crm.echo({{n: {number}}})).n"
            results.append((number, run_typescript(code).value))
        else:
            code = f"from tools import crm\ncrm.echo(n={number})['n']"
            results.append((number, run(code).value))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(n, n) for n in range(6)]


FILL = """
const rows: number[][] = [];
for (let i = 0; i < {mb} * 8; i++) rows.push(new Array(16_384).fill(i + 0.5));
return rows.length / 8;
"""


def test_a_script_may_use_the_memory_it_is_allowed(run_typescript: Run) -> None:
    script = FILL.replace("{mb}", "350")
    result = run_typescript(script)
    assert result.error is not None
    assert result.error.code == "memory"
    result = run_typescript(script, memory_mb=500, wall_seconds=30)
    assert result.error is None
    assert result.value == 350
    result = run_typescript(script, memory_mb=300)
    assert result.error is not None
    assert result.error.code == "memory"


def test_garbage_is_not_counted_as_use(run_typescript: Run) -> None:
    result = run_typescript(
        "let sum = 0;\n"
        "for (let i = 0; i < 400; i++) sum += new Array(16_384).fill(i).length;\n"
        "for (let i = 0; i < 300_000; i++) "
        "sum += JSON.stringify({i, at: [i]}).length;\n"
        "return sum > 0",
        memory_mb=128,
    )
    assert result.error is None
    assert result.usage.peak_memory_bytes < 128 << 20
