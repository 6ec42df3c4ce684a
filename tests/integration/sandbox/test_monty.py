"""The dialect in Monty, at level `team` and without gVisor: as at level `run`."""

import logging
import threading
import time
from typing import Any

import pytest

from gateway.sandbox.api import Call, Job, Limits, OnCall, Provider, Reply, Result
from tests.integration.sandbox.conftest import STARTED_AT, TOOLS, WHY, Run, serve

pytestmark = pytest.mark.sandbox


@pytest.fixture(params=["team", "monty"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a script in Monty; asserts that it was not handed on."""
    name = {"team": "team_provider", "monty": "bare_provider"}[request.param]
    provider: Provider = request.getfixturevalue(name)

    def run_script(
        code: str,
        *,
        on_call: OnCall = serve,
        seed: int = 1,
        cancelled: threading.Event | None = None,
        **limits: Any,
    ) -> Result:
        logging.disable(logging.CRITICAL)
        try:
            held = Limits(**({"wall_seconds": 20.0} | limits))
            job = Job("t", code, "python", seed, STARTED_AT, TOOLS, held, "sales/dev")
            result = provider.run(job, on_call, cancelled)
        finally:
            logging.disable(logging.NOTSET)
        assert result.level == request.param, result.note
        return result

    return run_script


VALUES = [
    ("", None),
    ("1 + 1", 2),
    ("return {'a': [1, 2.5, None, True, 'é']}", {"a": [1, 2.5, None, True, "é"]}),
    ("if True:\n    return 3\nreturn 4", 3),
    ("from tools import crm\ncrm.echo(a=1)", {"step": 1, "a": 1}),
    ("from tools import crm\ncrm.echo({'a': 1})", {"step": 1, "a": 1}),
    ("import tools\ntools.crm.echo()", {"step": 1}),
    ("tools.crm.echo(a=3)", {"step": 1, "a": 3}),
    ("from tools.crm import echo\necho(a=2)", {"step": 1, "a": 2}),
    ("from tools import call_tool\ncall_tool('crm.echo', {'a': 3})",
     {"step": 1, "a": 3}),
    ("call_tool('unknown.tool')", {"step": 1}),
    ("from tools import crm\nlen(crm.rows(n=3))", 3),
    ("from tools import crm\nawait crm.echo(a=1)", {"step": 1, "a": 1}),
    ("from tools import crm\nimport asyncio\n"
     "got = await asyncio.gather(*(crm.echo(i=i) for i in range(40)))\n"
     "[row['i'] for row in got] == list(range(40))", True),
    ("from tools import crm\nasync def main():\n    return await crm.echo(a=1)\n"
     "asyncio.run(main())", {"step": 1, "a": 1}),
    ("from tools import crm\nasync def one(i):\n    await asyncio.sleep(0.001)\n"
     "    return (await crm.echo(i=i))['i']\n"
     "await asyncio.gather(*map(one, range(5)))", [0, 1, 2, 3, 4]),
    ("sorted(json.loads(json.dumps({'b': 1, 'a': 2})))", ["a", "b"]),
    ("__name__ == '__main__'", True),
    ("from tools import crm, ToolError\ntry:\n    crm.fail()\n"
     "except ToolError as e:\n"
     "    x = [e.code, e.message, e.retryable, e.details, e.tool, f'{e}']\nx",
     ["denied", "no grant", True, WHY, "crm.fail", "no grant"]),
    ("from tools import crm\ntry:\n    crm.fail()\nexcept ValueError:\n    1\n"
     "except Exception as e:\n    x = isinstance(e, ToolError)\nx", True),
]  # fmt: skip


@pytest.mark.parametrize(("code", "value"), VALUES)
def test_a_script_gives_its_value(run: Run, code: str, value: Any) -> None:
    result = run(code)
    assert result.error is None
    assert result.value == value


ERRORS = [
    ("x = 1\n\ny = {}\ny['k']", "script_error", 4, {}),
    ("from tools import crm\ndef f():\n    return crm.fail()\nf()", "denied", 3, {}),
    ("1 +", "syntax_error", 1, {}),
    ("{1, 2}", "not_json", None, {}),
    ("float('nan')", "not_json", None, {}),
    ("10 ** 30", "not_json", None, {}),
    ("lambda: 1", "not_json", None, {}),
    ("x = []\nfor _ in range(200): x = [x]\nx", "not_json", None, {}),
    ("while True: pass", "cpu_time", None, {"cpu_seconds": 0.3}),
    ("import time\ntime.sleep(60)", "wall_time", None, {"wall_seconds": 0.4}),
    ("await asyncio.sleep(60)", "wall_time", None, {"wall_seconds": 0.4}),
    ("while True: pass", "wall_time", None, {"wall_seconds": 0.4}),
    ("x = []\nwhile True: x.append('a' * 100_000)", "memory", None,
     {"memory_mb": 32}),
    ("9 ** 9 ** 9", "memory", 1, {"memory_mb": 32}),
    ("while True: print('x' * 100_000)", "output_limit", None, {}),
    ("from tools import crm\nwhile True: crm.echo()", "too_many_calls", None,
     {"calls": 50}),
    ("from tools import crm\nwhile True: await crm.echo()", "too_many_calls", None,
     {"calls": 50}),
    ("from tools import crm\ncrm.echo(x='y' * 200_000)", "message_too_large", None,
     {"message_bytes": 100_000}),
    ("'x' * 100_000", "output_too_large", None, {"result_bytes": 10_000}),
    ("def f(): return f()\nf()", "script_error", 1, {}),
    ("from tools import crm\ncrm.explode()", "internal", None, {}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "error", "line", "limits"), ERRORS)
def test_an_error_has_its_code_and_line_and_the_next_run_works(
    run: Run, code: str, error: str, line: int | None, limits: dict[str, float]
) -> None:
    started = time.monotonic()
    result = run(code, **limits)
    assert time.monotonic() - started < 15
    assert result.error is not None
    assert (result.error.code, result.error.line) == (error, line)
    assert result.value is None
    assert run("'next'").value == "next"


def test_parallel_calls_are_parallel(run: Run) -> None:
    together = threading.Barrier(10, timeout=10)

    def wait(call: Call) -> Reply:
        together.wait()
        return Reply(value=call.step)

    code = (
        "from tools import crm\nawait asyncio.gather(*(crm.echo() for _ in range(10)))"
    )
    assert run(code, on_call=wait).value == list(range(1, 11))


def test_no_more_calls_are_in_flight_than_allowed(run: Run) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def count(call: Call) -> Reply:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        return Reply(value=call.step)

    gather = "await asyncio.gather(*(crm.echo() for _ in range(12)))"
    code = f"from tools import crm\nlen({gather})"
    assert run(code, on_call=count, calls_in_flight=3).value == 12
    assert 2 <= most[0] <= 3


PINNED = (
    "import random, time\nfrom datetime import datetime, date, timezone\n"
    "time.sleep(0.01)\n"
    "[random.random(), random.randint(1, 10**6), random.sample(range(99), 3), "
    "time.time(), datetime.now().isoformat(), date.today().isoformat(), "
    "datetime.now(timezone.utc).isoformat()]"
)


def test_clock_and_randomness_are_those_of_level_run(
    run: Run, provider: Provider
) -> None:
    job = Job("t", PINNED, "python", 5, STARTED_AT, TOOLS, Limits())
    expected = provider.run(job, serve)
    assert expected.ok
    for _ in range(2):
        assert run(PINNED, seed=5).value == expected.value
    assert run(PINNED, seed=6).value != expected.value


def test_output_is_captured_beside_the_value(run: Run) -> None:
    result = run("print('a', end='')\nprint('b', 2)\n3")
    assert (result.stdout, result.value) == ("ab 2\n", 3)
    cut = run("print('x' * 200)", stdout_bytes=100)
    assert (len(cut.stdout), cut.stdout_truncated) == (100, True)


def test_a_cancelled_run_ends_soon(run: Run) -> None:
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    started = time.monotonic()
    result = run("while True: pass", cancelled=cancelled)
    assert time.monotonic() - started < 3
    assert result.error is not None
    assert result.error.code == "cancelled"


def test_one_run_leaves_nothing_for_the_next(run: Run) -> None:
    for _ in range(10):  # every worker has served one
        assert run("mark = 2\nmark").value == 2
    for _ in range(10):
        result = run("from tools import crm\ncrm.echo()\nmark")
        assert result.error is not None
        assert result.error.message == "NameError: name 'mark' is not defined"


def test_usage_is_measured_by_the_host(run: Run) -> None:
    result = run("x = 0\nfor i in range(3_000_000): x += i\nx")
    assert result.usage.cpu_seconds > 0.02
    assert result.usage.peak_memory_bytes > 1_000_000
    assert result.usage.wall_seconds >= 0.02


def test_a_script_outside_the_subset_calls_nothing_without_gvisor(
    bare_provider: Provider,
) -> None:
    called: list[Call] = []

    def note(call: Call) -> Reply:
        called.append(call)
        return Reply()

    code = "from tools import crm\ncrm.echo()\nimport statistics"
    job = Job("t", code, "python", 1, STARTED_AT, TOOLS, Limits())
    result = bare_provider.run(job, note)
    assert result.error is not None
    assert result.error.code == "outside_subset"
    assert "the module statistics" in result.error.message
    assert result.error.line == 3
    assert not called
    other = Job("t", "1", "typescript", 1, 0.0, {}, Limits())
    refused = bare_provider.run(other, note)
    assert refused.error is not None
    assert refused.error.code == "sandbox_unavailable"
