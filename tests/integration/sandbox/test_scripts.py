"""What ordinary scripts see: values, output, tools, errors with their line."""

import threading
import time
from typing import Any

import pytest

from gateway.sandbox.api import Call, Reply
from tests.integration.sandbox.conftest import WHY, Run, serve

pytestmark = pytest.mark.sandbox


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("", None),
        ("1 + 1", 2),
        ("return {'a': [1, 2.5, None, True, 'é']}", {"a": [1, 2.5, None, True, "é"]}),
        ("from tools import crm\ncrm.echo(a=1)", {"step": 1, "a": 1}),
        ("from tools import crm\ncrm.echo({'a': 1})", {"step": 1, "a": 1}),
        ("import tools\ntools.crm.echo()", {"step": 1}),
        ("from tools.crm import echo\necho(a=2)", {"step": 1, "a": 2}),
        ("from tools import call_tool\ncall_tool('crm.echo', {'a': 3})",
         {"step": 1, "a": 3}),
        ("call_tool('unknown.tool')", {"step": 1}),
        ("from tools import crm\nrows = crm.rows(n=3)\nlen(rows)", 3),
        ("from tools import crm\nawait crm.echo(a=1)", {"step": 1, "a": 1}),
        ("await call_tool('crm.echo', {'a': 3})", {"step": 1, "a": 3}),
        ("from tools import crm\nimport asyncio\n"
         "got = await asyncio.gather(*(crm.echo(i=i) for i in range(40)))\n"
         "[row['i'] for row in got] == list(range(40))", True),
        ("from tools import crm\nasync def main():\n    return await crm.echo(a=1)\n"
         "asyncio.run(main())", {"step": 1, "a": 1}),
        ("from concurrent.futures import ThreadPoolExecutor\nfrom tools import crm\n"
         "with ThreadPoolExecutor(4) as pool:\n"
         "    got = list(pool.map(lambda i: crm.echo(i=i)['i'], range(8)))\ngot",
         list(range(8))),
        ("from tools import crm\nasync def one(i):\n    await asyncio.sleep(0.001)\n"
         "    return (await crm.echo(i=i))['i']\n"
         "await asyncio.gather(*map(one, range(5)))", [0, 1, 2, 3, 4]),
        ("await asyncio.wait_for(asyncio.to_thread(lambda: 7), 5)", 7),
        ("sorted(json.loads(json.dumps({'b': 1, 'a': 2})))", ["a", "b"]),
        ("from zoneinfo import ZoneInfo\nfrom datetime import datetime\n"
         "datetime(2026, 7, 1, tzinfo=ZoneInfo('Europe/Berlin')).isoformat()",
         "2026-07-01T00:00:00+02:00"),
        ("__name__ == '__main__'", True),
        ("import sys\nsys.exit()", None),
    ],
)  # fmt: skip
def test_a_script_gives_its_value(run: Run, code: str, value: Any) -> None:
    result = run(code)
    assert result.error is None
    assert result.ok
    assert result.value == value


def test_parallel_calls_are_parallel(run: Run) -> None:
    together = threading.Barrier(10, timeout=10)

    def wait_for_the_others(call: Call) -> Reply:
        together.wait()
        return Reply(value=call.step)

    result = run(
        "from tools import crm\nawait asyncio.gather(*(crm.echo() for _ in range(10)))",
        on_call=wait_for_the_others,
    )
    assert result.value == list(range(1, 11))
    assert result.calls == 10


def test_output_is_captured_beside_the_value(run: Run) -> None:
    result = run(
        "import sys\nprint('out', 1)\nprint('err', file=sys.stderr)\n"
        "sys.stdout.buffer.write(b'bytes\\n')\nprint('\\ud800\\0')\n'value'"
    )
    assert result.value == "value"
    assert result.stdout == "out 1\nerr\nbytes\n?\ufffd\n"
    assert not result.stdout_truncated


def test_long_output_is_cut_and_the_run_goes_on(run: Run) -> None:
    result = run("for i in range(10_000):\n    print('é' * 10)\n'end'")
    assert result.value == "end"
    assert result.stdout_truncated
    assert 65_530 <= len(result.stdout.encode()) <= 65_536


def test_output_before_an_endless_loop_is_kept(run: Run) -> None:
    result = run("print('here')\nwhile True: pass", cpu_seconds=0.2)
    assert result.error is not None
    assert (result.error.code, result.stdout) == ("cpu_time", "here\n")


ERRORS = [
    ("x = (", "syntax_error", 1, "never closed"),
    ("x = 1\nif x\n    2", "syntax_error", 2, "expected ':'"),
    ("x = 1\0", "syntax_error", None, "null bytes"),
    ("x = 1\n\nx / 0", "script_error", 3, "ZeroDivisionError: division by zero"),
    ("def f():\n    return {}['k']\n\nf()", "script_error", 2, "no key 'k'"),
    ("def f():\n    f()\nf()", "script_error", 2, "RecursionError"),
    ("import nothing_such", "script_error", 1, "ModuleNotFoundError"),
    ("import sys\nsys.exit(2)", "script_error", 2, "exit code 2"),
    ("raise KeyboardInterrupt", "script_error", 1, "KeyboardInterrupt"),
    ("from tools import crm\ncrm.echo(1, 2)", "script_error", 2, "keyword arguments"),
    ("from tools import crm\ncrm.echo(at={1})", "script_error", 2, "arguments['at']"),
    ("from tools import crm\n\ncrm.fail()", "denied", 3, "crm.fail: no grant"),
    ("from tools import crm\nawait crm.fail()", "denied", 2, "crm.fail: no grant"),
    ("from tools import crm\nx = 1\nawait asyncio.gather(crm.echo(), crm.fail())",
     "denied", 3, "crm.fail: no grant"),
    ("await asyncio.Event().wait()", "script_error", 1, "never happens"),
    ("{'a': {1, 2}}", "not_json", None, "result['a'] is of type set"),
    ("float('nan')", "not_json", None, "nan"),
    ("'\\ud800'", "not_json", None, "lone surrogate"),
    ("async def f(): ...\nf()", "not_json", None, "await"),
    ("'x' * 2_000_000", "output_too_large", None, "1048576"),
    ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
     "script_error", 3, "E: (its text cannot be shown)"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "error", "line", "message"), ERRORS)
def test_an_error_has_its_code_and_line(
    run: Run, code: str, error: str, line: int | None, message: str
) -> None:
    result = run(code)
    assert not result.ok
    assert result.value is None
    assert result.error is not None
    assert (result.error.code, result.error.line) == (error, line)
    assert message in result.error.message
    assert "/opt/tollgate" not in result.error.message


@pytest.mark.parametrize(
    ("code", "suggestion"),
    [
        ("from tools import crm\ncrm.list_order()", "tools.crm.list_orders"),
        ("from tools import crmm", "from tools import crm"),
        ("total = 1\ntotl", "total"),
        ("import jason", "json"),
        ("from tools import crm\nawait asyncio.sleep(0)\nfor x in crm.rows(n=1): 1",
         "write `await` before the tool call"),
    ],
)  # fmt: skip
def test_an_error_suggests_what_was_meant(run: Run, code: str, suggestion: str) -> None:
    result = run(code)
    assert result.error is not None
    assert suggestion in result.error.suggestions


def test_a_tool_error_can_be_caught(run: Run) -> None:
    result = run(
        "from tools import crm, ToolError\ntry:\n    crm.fail()\n"
        "except ToolError as e:\n    got = [e.code, e.message, e.retryable, e.tool, "
        "e.details]\ngot"
    )
    assert result.value == ["denied", "no grant", True, "crm.fail", WHY]


def test_an_uncaught_tool_error_is_the_host_s_account(run: Run) -> None:
    result = run("from tools import crm\ncrm.fail()")
    assert result.error is not None
    assert result.error.retryable
    assert result.error.suggestions == ("crm.echo",)
    assert result.error.details == WHY


def test_a_script_cannot_pass_its_own_error_for_a_tool_s(run: Run) -> None:
    result = run("from tools import ToolError\nraise ToolError('denied', 'forged')")
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("tool_error", False)


def test_a_bug_in_a_tool_ends_the_run_as_internal(run: Run) -> None:
    for code in ("crm.explode()", "await asyncio.gather(crm.explode(), crm.echo())"):
        result = run(f"from tools import crm\n{code}")
        assert result.error is not None
        assert result.error.code == "internal"
        assert "a bug of ours" not in result.error.message


def test_a_reply_that_is_too_large_can_be_handled(run: Run) -> None:
    result = run(
        "from tools import crm, ToolError\ntry:\n    crm.rows(n=9_000)\n"
        "except ToolError as e:\n    code = e.code\ncode",
        message_bytes=100_000,
    )
    assert result.value == "message_too_large"


def test_ten_thousand_rows_stay_in_the_sandbox(run: Run) -> None:
    result = run("from tools import crm\nlen(crm.rows(n=10_000))")
    assert result.value == 10_000


PINNED = """
import datetime, os, random, secrets, time, uuid
[time.time(), str(datetime.datetime.now()), str(datetime.date.today()),
 random.random(), random.Random().random(), str(uuid.uuid4()), os.urandom(4).hex(),
 secrets.token_hex(4), time.monotonic(), hash("x"), [*{"a", "b", "c"}],
 random.SystemRandom().random(), time.strftime("%Y")]
"""


def test_clock_and_randomness_are_pinned_to_the_run(run: Run) -> None:
    first, again, other = run(PINNED), run(PINNED), run(PINNED, seed=2)
    assert first.error is None
    assert first.value == again.value
    assert isinstance(first.value, list)
    assert isinstance(other.value, list)
    assert first.value[:2] == [1_790_000_000.001, "2026-09-21 14:13:20.002000"]
    assert first.value[3:8] != other.value[3:8]


def test_sleep_moves_the_pinned_clock(run: Run) -> None:
    result = run("import time\na = time.time()\ntime.sleep(0.2)\ntime.time() - a")
    assert isinstance(result.value, float)
    assert round(result.value, 3) == 0.201
    assert result.usage.wall_seconds > 0.2


def test_usage_is_measured_by_the_host(run: Run) -> None:
    def slow(call: Call) -> Reply:
        time.sleep(0.1)
        return Reply()

    result = run(
        "from tools import crm\nx = bytearray(50_000_000)\n"
        "for _ in range(2): crm.echo()\n"
        "await_ = 1",
        on_call=slow,
    )
    usage = result.usage
    assert 0.2 <= usage.waiting_seconds < usage.wall_seconds
    assert usage.cpu_seconds < usage.wall_seconds
    assert usage.peak_memory_bytes > 60_000_000
    assert usage.dispatch_seconds > 0


def test_waiting_counts_parallel_calls_once(run: Run) -> None:
    def slow(call: Call) -> Reply:
        time.sleep(0.2)
        return Reply()

    code = (
        "from tools import crm\nawait asyncio.gather(*(crm.echo() for _ in range(5)))"
    )
    result = run(code, on_call=slow)
    assert 0.2 <= result.usage.waiting_seconds < 0.6


def test_many_runs_at_once(run: Run) -> None:
    results: list[Any] = []

    def one(number: int) -> None:
        code = f"from tools import crm\ncrm.echo(n={number})['n']"
        results.append((number, run(code, on_call=serve).value))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(n, n) for n in range(6)]
