"""The whole of Tollgate as real processes, over a database of its own, for tests."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest
import redis
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import ConnectionHandler
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult
from psycopg import sql
from pytest_django.plugin import DjangoDbBlocker

from config import env
from config.embedded.postgres import APPLICATION
from config.embedded.processes import open_log, spawn, tail
from deploy.probes import answers, free_port, is_ready
from deploy.supervisor import has_ended, reap, tollgate_commands
from gateway import catalog

ROOT = Path(__file__).resolve().parent.parent
MODERN, LEGACY = "2026-07-28", "legacy"
ERAS = (MODERN, LEGACY)
PROCESSES = ("web", "runner", "worker", "sealer", "deliverer", "beat")
_GUARD = ("setpriv", "--pdeathsig", "KILL", "--")
_READY_SECONDS = 300.0
_STOP_SECONDS = 8.0
_LINES = 40
# Redis has sixteen numbered databases; the tests' own broker is number 0.
_REDIS_NUMBER = 9


@dataclass(slots=True)
class Stack:
    """The processes of one data directory, and what they work on.

    ``database_url`` is the owner's; the processes work as the application.
    """

    data_dir: Path
    database_url: str
    redis_url: str
    blocker: DjangoDbBlocker
    port: int = 0
    extra: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port = self.port or free_port(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mcp_url(self) -> str:
        return f"{self.url}/mcp"

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process."""
        return {
            **os.environ,
            "DATABASE_URL": env.as_role(self.database_url, APPLICATION),
            "TOLLGATE_OWNER_DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "TOLLGATE_DATA_DIR": str(self.data_dir),
            "TOLLGATE_PORT": str(self.port),
            "TOLLGATE_SANDBOX_POOL": "2",
            "TOLLGATE_WEBHOOK_PRIVATE_HOSTS": "127.0.0.1",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **self.extra,
        }

    def migrate(self) -> None:
        """Make the tables."""
        self.run(sys.executable, "manage.py", "migrate", "--no-input", "-v", "0")

    def run(self, *command: str) -> str:
        """A command's output, run to its end in the stack's environment."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=_READY_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *names: str) -> None:
        """Start these processes (all by default)."""
        commands = tollgate_commands(self.data_dir, self.port)
        for name in names or PROCESSES:
            self.spawn(name, commands[name])

    def spawn(self, name: str, command: Sequence[str]) -> None:
        """Start a process that ends with the stack; its output is ``log/NAME.log``."""
        assert name not in self.processes, f"{name} is running"
        log = open_log(self.data_dir, name)
        self.processes[name] = spawn([*_GUARD, *command], log, self.env, cwd=ROOT)

    def sample_server(self, name: str) -> str:
        """Start one more sample server over HTTP and return its address."""
        port = free_port(0)
        command = [sys.executable, "-m", f"deploy.demo.servers.{name}"]
        self.spawn(f"demo-{name}-{port}", [*command, "--port", str(port)])
        self.wait_for(lambda: answers(port), f"sample server {name}")
        return f"http://127.0.0.1:{port}/mcp"

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL, as a crash does."""
        process = self.processes.pop(name)
        assert process.pid > 1
        process.send_signal(signal.SIGKILL)
        reap(process)

    def stop(self) -> None:
        """Stop every process, politely, then by force."""
        started = list(self.processes.values())
        for process in started:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline and not all(map(has_ended, started)):
            time.sleep(0.05)
        for process in started:
            reap(process)
        self.processes.clear()

    def wait_ready(self) -> None:
        """Wait for the web process and for a runner that takes runs."""
        self.wait_for(lambda: is_ready(self.port), "web", pause=0.3)
        log = self.data_dir / "log" / "runner.log"
        self.wait_for(
            lambda: "runner" not in self.processes or " ready." in log.read_text(),
            "the runner",
        )

    def wait_for(
        self,
        condition: Callable[[], object],
        what: str,
        seconds: float = _READY_SECONDS,
        pause: float = 0.05,
    ) -> None:
        """Poll until the condition holds; a failure shows the ends of the logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            gone = [name for name, one in self.processes.items() if has_ended(one)]
            if gone or time.monotonic() > deadline:
                logs = "\n".join(
                    f"== {path.name}\n{tail(path, _LINES)}"
                    for path in sorted((self.data_dir / "log").glob("*.log"))
                )
                state = f"ended: {gone}" if gone else f"not within {seconds} s"
                raise TimeoutError(f"waited for {what}; {state}\n{logs}")
            time.sleep(pause)

    @contextmanager
    def database(self) -> Iterator[None]:
        """Models and services work on the stack's database in this thread."""
        wanted = {**settings.DATABASES["default"], **env.database(self.database_url)}
        own = ConnectionHandler({DEFAULT_DB_ALIAS: wanted})[DEFAULT_DB_ALIAS]
        other = connections[DEFAULT_DB_ALIAS]
        connections[DEFAULT_DB_ALIAS] = own
        self._forget()
        try:
            with self.blocker.unblock():
                yield
        finally:
            connections[DEFAULT_DB_ALIAS] = other
            own.close()
            self._forget()

    def _forget(self) -> None:
        # What is remembered by number names other rows in another database.
        ContentType.objects.clear_cache()
        catalog.forget()

    @asynccontextmanager
    async def client(self, key: str, mode: str = MODERN) -> AsyncIterator[Client]:
        """The SDK's client with a key, speaking one of ``ERAS``."""
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=120) as connection:
            transport = streamable_http_client(self.mcp_url, http_client=connection)
            async with Client(transport, mode=mode) as client:
                yield client

    def call(
        self, key: str, tool: str, arguments: Mapping[str, Any], mode: str = MODERN
    ) -> CallToolResult:
        """One tools/call through a client of its own."""

        async def once() -> CallToolResult:
            async with self.client(key, mode) as client:
                return await client.call_tool(tool, dict(arguments))

        return asyncio.run(once())

    def ask(
        self, key: str, tool: str, arguments: Mapping[str, Any], mode: str = MODERN
    ) -> dict[str, Any]:
        """The structured answer of one tools/call."""
        result = self.call(key, tool, arguments, mode)
        body: dict[str, Any] | None = result.structured_content
        assert body is not None, result.content
        return body

    def execute(
        self, key: str, code: str, mode: str = MODERN, **more: Any
    ) -> dict[str, Any]:
        """The envelope of a script."""
        return self.ask(key, "execute", {"code": code, **more}, mode)

    def logs(self) -> str:
        """All that the processes have written."""
        files = (self.data_dir / "log").iterdir()
        return "\n".join(path.read_text(errors="replace") for path in sorted(files))


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """A data directory that PostgreSQL's and the sandbox's accounts can reach."""
    made = Path(tempfile.mkdtemp(prefix=f"tollgate-{name}-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def own_database(url: str, suffix: str) -> Iterator[str]:
    """An empty database beside the one of ``url``; dropped at the end."""
    name = f"{urlsplit(url).path.lstrip('/')}_{suffix}"
    create = sql.SQL("CREATE DATABASE {}")
    with psycopg.connect(url, autocommit=True) as admin:
        _drop(admin, name)
        admin.execute(create.format(sql.Identifier(name)))
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
        _drop(admin, name)


def _drop(admin: psycopg.Connection, name: str) -> None:
    """Drop a database, as soon as those sessions are over that are another role's."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    deadline = time.monotonic() + _STOP_SECONDS
    while True:
        try:
            admin.execute(drop.format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def own_redis(url: str, number: int = _REDIS_NUMBER) -> str:
    """The Redis of ``url`` under another database number, emptied."""
    other = urlsplit(url)._replace(path=f"/{number}").geturl()
    with redis.Redis.from_url(other) as connection:
        connection.flushdb()
    return other


@contextmanager
def running(blocker: DjangoDbBlocker) -> Iterator[Stack]:
    """A stack without rows, beside the engines of the tests; one at a time."""
    # Django's own connection settings name the test database once that is made.
    with (
        folder("stack") as data_dir,
        own_database(settings.DATABASE_URL, "stack") as database_url,
    ):
        made = Stack(data_dir, database_url, own_redis(settings.REDIS_URL), blocker)
        try:
            # These need no tables before they are asked for something.
            made.start("web", "runner")
            made.migrate()
            made.start("worker", "sealer", "deliverer", "beat")
            made.wait_ready()
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="session")
def stack(django_db_blocker: DjangoDbBlocker) -> Iterator[Stack]:
    """A stack that lasts to the end of the session: for the tests that come last."""
    with running(django_db_blocker) as made:
        yield made


def text_of(result: CallToolResult) -> Any:
    """The JSON of a result's first text."""
    return json.loads(getattr(result.content[0], "text", ""))
