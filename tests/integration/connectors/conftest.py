"""Real servers as real processes, and a pool to reach them with."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.connectors.api import ServerSpec
from gateway.connectors.pool import UpstreamPool

ROOT = Path(__file__).parents[3]
SERVERS = "tests.integration.connectors.servers"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(*command: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(command, cwd=ROOT)
    try:
        _await_port(port, child)
        yield child
    finally:
        child.terminate()
        child.wait(10)


def _await_port(port: int, child: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        assert child.poll() is None, "the server ended at once"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not open its port")


@contextmanager
def http_server(module: str, port: int, *options: str) -> Iterator[ServerSpec]:
    with process(sys.executable, "-m", module, *options, str(port), port=port):
        name = module.rpartition(".")[2]
        yield ServerSpec(f"{name}:1", name, "http", url=f"http://127.0.0.1:{port}/mcp")


def stdio_spec(
    module: str, *, key: str = "stdio:1", env: dict[str, str] | None = None
) -> ServerSpec:
    return ServerSpec(
        key,
        module.rpartition(".")[2],
        "stdio",
        command=(sys.executable, "-m", module),
        env={"PYTHONPATH": str(ROOT), **(env or {})},
        timeout_seconds=20,
    )


@pytest.fixture
def pool() -> Iterator[UpstreamPool]:
    pool = UpstreamPool()
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def shop() -> Iterator[ServerSpec]:
    with http_server("deploy.demo.servers.shop", free_port(), "--port") as spec:
        yield spec


@pytest.fixture(scope="session")
def ops() -> Iterator[ServerSpec]:
    with http_server("deploy.demo.servers.ops", free_port(), "--port") as spec:
        yield spec


@pytest.fixture(scope="session")
def crm() -> ServerSpec:
    return stdio_spec("deploy.demo.servers.crm", key="crm:1")


@pytest.fixture
def rough() -> ServerSpec:
    secret = {"API_KEY": "hunter-two-2"}
    return stdio_spec(f"{SERVERS}.rough", key="rough:1", env=secret)


@pytest.fixture(scope="session")
def odd_port() -> Iterator[int]:
    port = free_port()
    with process(sys.executable, "-m", f"{SERVERS}.odd", str(port), port=port):
        yield port


@pytest.fixture
def odd(odd_port: int) -> Callable[[str], ServerSpec]:
    """A spec for one path of the odd server, with a secret header."""

    def make(path: str) -> ServerSpec:
        return ServerSpec(
            f"{path.strip('/')}:1",
            path.strip("/"),
            "http",
            url=f"http://user:pass-word@127.0.0.1:{odd_port}{path}?token=query-secret",
            headers={"Authorization": "Bearer header-secret"},
            timeout_seconds=10,
        )

    return make


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie still has a pid; it is waiting to be reaped.
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"
