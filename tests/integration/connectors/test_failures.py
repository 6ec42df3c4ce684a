"""What goes wrong with upstream servers, and what callers learn of it."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.connectors.api import ServerSpec, UpstreamError
from gateway.connectors.pool import UpstreamPool
from tests.integration.connectors.conftest import (
    SERVERS,
    alive,
    free_port,
    http_server,
    process,
    stdio_spec,
)


def failure(
    pool: UpstreamPool, spec: ServerSpec, tool: str, **more: int
) -> UpstreamError:
    timeout = more.pop("timeout", 10)
    with pytest.raises(UpstreamError) as caught:
        pool.call(spec, tool, dict(more), timeout=timeout)
    return caught.value


def test_a_dead_url_fails_fast_and_backs_off(pool: UpstreamPool) -> None:
    port = free_port()
    spec = ServerSpec("dead:1", "dead", "http", url=f"http://127.0.0.1:{port}/mcp")
    error = failure(pool, spec, "x")
    assert (error.code, error.retryable, error.sent) == (
        "upstream_unreachable",
        True,
        False,
    )
    started = time.perf_counter()
    again = failure(pool, spec, "x")
    assert time.perf_counter() - started < 0.1
    assert "The next attempt is in" in again.message
    health = pool.ping(spec, timeout=5)
    assert not health.ok
    assert "cannot be reached" in health.message


def test_a_server_that_comes_up_later_is_found(pool: UpstreamPool) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    spec = ServerSpec("late:1", "late", "http", url=url)
    assert failure(pool, spec, "add").code == "upstream_unreachable"
    with http_server("deploy.demo.servers.trivial", port, "--port"):
        # The pause after a first failure is half a second.
        time.sleep(0.6)
        assert pool.call(spec, "add", {"a": 1, "b": 2}, timeout=10).value == 3


def test_an_http_server_may_restart(pool: UpstreamPool) -> None:
    port = free_port()
    module = "deploy.demo.servers.trivial"
    with http_server(module, port, "--port") as spec:
        assert pool.call(spec, "negate", {"a": 1}, timeout=10).value == -1
    with http_server(module, port, "--port") as spec:
        assert pool.call(spec, "negate", {"a": 2}, timeout=10).value == -2


def test_a_legacy_session_lost_at_a_restart_is_opened_again(pool: UpstreamPool) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/legacy"
    spec = ServerSpec("legacy:1", "legacy", "http", url=url)
    command = (sys.executable, "-m", f"{SERVERS}.odd", str(port))
    for a in (1, 2):
        with process(*command, port=port):
            assert pool.call(spec, "add", {"a": a, "b": 2}, timeout=10).value == a + 2
            assert pool.ping(spec, timeout=10).protocol == "2025-11-25"


@pytest.mark.parametrize(
    ("path", "code", "retryable", "sent", "says"),
    [
        ("/nowhere", "upstream_protocol", False, False, "answered HTTP 404"),
        ("/html", "upstream_protocol", False, True, "answered with text/html"),
        (
            "/denied",
            "upstream_auth",
            False,
            False,
            "refused our credentials (HTTP 401)",
        ),
        ("/busy", "upstream_unreachable", True, True, "not available (HTTP 503)"),
        ("/away", "upstream_protocol", False, False, "redirects elsewhere"),
        ("/not-json", "upstream_result_invalid", False, True, "is not JSON"),
        ("/question", "upstream_protocol", False, True, "asks for further input"),
        ("/leak", "upstream_protocol", False, True, "Rejected [redacted] for you"),
    ],
)
def test_wrong_answers(
    path: str,
    code: str,
    retryable: bool,
    sent: bool,
    says: str,
    pool: UpstreamPool,
    odd: Callable[[str], ServerSpec],
) -> None:
    error = failure(pool, odd(path), "x", n=1)
    assert says in error.message
    assert (error.code, error.retryable, error.sent) == (code, retryable, sent)
    for secret in ("header-secret", "pass-word", "query-secret"):
        assert secret not in error.message


def test_a_result_beyond_the_limit_over_http(odd: Callable[[str], ServerSpec]) -> None:
    pool = UpstreamPool(max_result_bytes=100_000)
    spec = odd("/large")
    try:
        for size in (110_000, 5_000_000):
            error = failure(pool, spec, "x", n=size)
            assert error.code == "upstream_result_too_large"
            assert error.sent
        assert len(pool.call(spec, "x", {"n": 90_000}, timeout=10).value) == 90_000
    finally:
        pool.close()


def test_a_result_beyond_the_limit_over_stdio(rough: ServerSpec) -> None:
    pool = UpstreamPool(max_result_bytes=100_000)
    try:
        for size in (110_000, 5_000_000):
            error = failure(pool, rough, "big", n=size)
            assert error.code == "upstream_result_too_large"
        assert len(pool.call(rough, "big", {"n": 90_000}, timeout=10).value) == 90_000
    finally:
        pool.close()


def test_a_call_that_takes_too_long(pool: UpstreamPool, ops: ServerSpec) -> None:
    started = time.perf_counter()
    with pytest.raises(UpstreamError) as caught:
        pool.call(ops, "run_report", {"name": "usage", "seconds": 30}, timeout=0.3)
    assert time.perf_counter() - started < 2
    error = caught.value
    assert (error.code, error.retryable, error.sent) == ("upstream_timeout", True, True)
    # The connection is still good for others.
    assert pool.call(ops, "get_ticket", {"id": "T-30001"}, timeout=5).value


def test_a_legacy_call_that_takes_too_long(
    pool: UpstreamPool, odd: Callable[[str], ServerSpec]
) -> None:
    spec = odd("/legacy")
    with pytest.raises(UpstreamError) as caught:
        pool.call(spec, "wait", {"seconds": 30}, timeout=0.3)
    assert caught.value.code in ("upstream_timeout",)
    assert pool.call(spec, "add", {"a": 1, "b": 1}, timeout=5).value == 2


def test_a_crash_is_told_and_the_next_call_restarts(
    pool: UpstreamPool, rough: ServerSpec
) -> None:
    first = pool.call(rough, "pid", {}, timeout=10).value
    error = failure(pool, rough, "crash")
    assert (error.code, error.retryable, error.sent) == (
        "upstream_unreachable",
        True,
        True,
    )
    assert "stopped (exit code 3)" in error.message
    assert "out of luck, key [redacted]" in error.message
    second = pool.call(rough, "pid", {}, timeout=10).value
    assert second != first


def test_a_killed_server_is_restarted_at_the_next_call(
    pool: UpstreamPool, rough: ServerSpec
) -> None:
    first = pool.call(rough, "pid", {}, timeout=10).value
    assert first > 1
    os.kill(first, signal.SIGKILL)
    time.sleep(0.2)
    second = pool.call(rough, "pid", {}, timeout=10).value
    assert second != first


def test_a_server_that_closes_its_output(pool: UpstreamPool, rough: ServerSpec) -> None:
    first = pool.call(rough, "pid", {}, timeout=10).value
    error = failure(pool, rough, "mute")
    assert "closed its output" in error.message
    assert error.sent
    assert pool.call(rough, "pid", {}, timeout=20).value != first
    assert not alive(first)


def test_a_command_that_does_not_exist(pool: UpstreamPool) -> None:
    spec = ServerSpec("none:1", "none", "stdio", command=("/no/such/program",))
    error = failure(pool, spec, "x")
    assert (error.code, error.sent) == ("upstream_unreachable", False)
    assert "could not be started" in error.message


def test_a_command_that_ends_at_once(pool: UpstreamPool) -> None:
    spec = replace(stdio_spec("no_such_module_here"), key="ends:1")
    error = failure(pool, spec, "x", timeout=20)
    assert error.code == "upstream_unreachable"
    assert "No module named no_such_module_here" in error.message


def test_a_stdio_server_that_hangs(pool: UpstreamPool, rough: ServerSpec) -> None:
    pool.ping(rough, timeout=10)
    with pytest.raises(UpstreamError) as caught:
        pool.call(rough, "hang", {}, timeout=0.3)
    assert caught.value.code == "upstream_timeout"


def test_stdio_servers_do_not_get_our_environment(
    pool: UpstreamPool, rough: ServerSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    seen = set(pool.call(rough, "environment", {}, timeout=10).value)
    # LC_CTYPE is set by Python itself in the C locale.
    assert seen - {"LC_CTYPE"} == {"PATH", "HOME", "LANG", "API_KEY", "PYTHONPATH"}


def test_secrets_in_a_tools_error_are_redacted(
    pool: UpstreamPool, rough: ServerSpec
) -> None:
    outcome = pool.call(rough, "leak", {}, timeout=10)
    assert outcome.message == "Bad key [redacted]!"
    assert "hunter-two-2" not in repr(rough)


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("garbage", "is not JSON"),
        ("nan", "is not JSON"),
        ("nan_text", "NaN or Infinity"),
        ("wrong", "invalid result"),
    ],
)
def test_unusable_results(
    tool: str, says: str, pool: UpstreamPool, rough: ServerSpec
) -> None:
    error = failure(pool, rough, tool)
    assert says in error.message
    assert (error.code, error.sent) == ("upstream_result_invalid", True)


def test_an_unknown_tool_was_not_acted_on(
    pool: UpstreamPool, rough: ServerSpec
) -> None:
    error = failure(pool, rough, "no_such_tool")
    assert (error.code, error.sent) == ("upstream_protocol", False)
    assert "Unknown tool: no_such_tool" in error.message


def test_odd_but_usable_results(pool: UpstreamPool, rough: ServerSpec) -> None:
    def value(tool: str) -> object:
        return pool.call(rough, tool, {}, timeout=10).value

    assert value("prose") == "[draft] not JSON"
    assert value("nothing") is None
    assert value("wide_integer") == {"n": 2**70}
    assert value("several") == [
        {"a": 1},
        {"type": "image", "mime_type": "image/png", "data": "AAAA"},
        {"type": "resource_link", "uri": "file:///a", "name": "a", "mime_type": ""},
    ]
    # It printed prose, sent a notification and a ping before it answered.
    assert value("chatty") == {"jsonrpc": "2.0", "id": "p1", "result": {}}


def test_bad_definitions_are_refused_one_by_one(
    pool: UpstreamPool, rough: ServerSpec
) -> None:
    listing = pool.list_tools(rough, timeout=20)
    assert [tool.name for tool in listing.tools] == [
        "good",
        "tree",
        "named_ref",
        "data_ref",
    ]
    assert listing.tools[0].annotations == {"readOnlyHint": True}
    reasons: dict[str, str] = {}
    for tool in listing.refused:
        reasons.setdefault(tool.name, tool.reason)
    expected = {
        "bad_type": "not valid JSON Schema",
        "bad_pattern": "not valid JSON Schema",
        "remote": "refers to another document (http://127.0.0.1:9/schema.json)",
        "relative": "refers to another document (other.json)",
        "dangling": "not valid JSON Schema",
        "loop": "refers to itself without end",
        "deep": "nested deeper than 64 levels",
        "huge": "has 293 KiB; at most 256 KiB",
        "wide": "has more than 20,000 parts",
        "no_object": 'does not have "type": "object"',
        "no_schema": "The input schema is not an object",
        "bad_output": "The output schema is not valid JSON Schema",
        "bad_hint": "annotations.readOnlyHint",
        "bell�": "control characters",
        "n" * 128: "longer than 128 characters",
        "(no name)": "The tool has no name",
        "good": "listed twice",
    }
    assert set(reasons) == set(expected)
    for name, part in expected.items():
        assert part in reasons[name], name
    assert len(listing.refused) == 19


def test_a_new_revision_replaces_the_process(
    pool: UpstreamPool, rough: ServerSpec
) -> None:
    first = pool.call(rough, "pid", {}, timeout=10).value
    second = pool.call(replace(rough, key="rough:2"), "pid", {}, timeout=10).value
    assert first != second
    deadline = time.monotonic() + 8
    while alive(first) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(first)
    assert alive(second)


def test_discard_and_close_end_the_processes(rough: ServerSpec) -> None:
    pool = UpstreamPool()
    first = pool.call(rough, "pid", {}, timeout=10).value
    pool.discard(rough.key)
    second = pool.call(rough, "pid", {}, timeout=10).value
    assert second != first
    pool.close()
    assert not alive(second)
    assert not alive(first)
    with pytest.raises(UpstreamError, match="closed"):
        pool.call(rough, "pid", {}, timeout=1)
