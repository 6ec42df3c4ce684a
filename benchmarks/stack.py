"""The processes of a benchmark: engines, Tollgate, tool server and peers."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from config.embedded import Engines
from config.embedded.processes import open_log, spawn, tail
from deploy.probes import answers, free_port, is_ready
from deploy.supervisor import reap, tollgate_commands

BASE = Path(__file__).resolve().parent.parent
PEER_PYTHON = BASE / "var/bench-venv/bin/python"
POOL = 8
START_SECONDS = 90.0
STOP_SECONDS = 8.0


class StackError(Exception):
    """Something did not start; the message says where to look."""


@dataclass(slots=True)
class Stack:
    """Everything that runs, on free ports of loopback, under one data directory."""

    data_dir: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    key: str = ""
    team_key: str = ""
    """Its runs are at level team."""
    _engines: Engines | None = None

    def start(self) -> None:
        """Start all of it on an empty database. Raises StackError, EnginesError."""
        # Never anybody's real database.
        for name in ("DATABASE_URL", "TOLLGATE_OWNER_DATABASE_URL", "REDIS_URL"):
            os.environ.pop(name, None)
        if not PEER_PYTHON.exists():
            raise StackError("The peers are not installed: run bin/setup --bench.")
        shutil.rmtree(self.data_dir / "postgres", ignore_errors=True)
        self._engines = Engines(self.data_dir, label="the benchmark", roles=True)
        urls = self._engines.start()
        taken: set[int] = set()
        for number, name in enumerate(("web", "tools", "fastmcp", "fastmcp-proxy")):
            port = free_port(8191 + number)
            while port in taken:
                port = free_port(0)
            taken.add(port)
            self.ports[name] = port
        self.env = {
            **os.environ,
            "DATABASE_URL": urls.database_url,
            "TOLLGATE_OWNER_DATABASE_URL": urls.owner_database_url,
            "REDIS_URL": urls.redis_url,
            "TOLLGATE_DATA_DIR": str(self.data_dir),
            "TOLLGATE_PORT": str(self.ports["web"]),
            "TOLLGATE_SANDBOX_POOL": str(POOL),
            "TOLLGATE_LOG_LEVEL": "WARNING",
            "PYTHONPATH": str(BASE),
        }
        self._start_peers()
        self.once("manage.py", "migrate", "--no-input")
        keys = self.once("-m", "benchmarks.prepare", self.url("tools"))
        self.key, self.team_key = keys.split()
        self.start_tollgate()

    def _start_peers(self) -> None:
        tools = ("-m", "deploy.demo.servers.trivial")
        self._spawn("tools", [sys.executable, *tools, *self._port("tools")])
        peer = [str(PEER_PYTHON), "-m", "benchmarks.peers.fastmcp_codemode"]
        self._spawn("fastmcp", [*peer, *self._port("fastmcp")])
        proxy = ("--proxy", self.url("tools"))
        self._spawn("fastmcp-proxy", [*peer, *self._port("fastmcp-proxy"), *proxy])
        for name in ("tools", "fastmcp", "fastmcp-proxy"):
            self._wait(name, partial(answers, self.ports[name]))

    def start_tollgate(self, wrapper: Sequence[str] = ()) -> None:
        """Start web and runner, as the demo does, or under a wrapping module.

        ``wrapper`` is put in the place of the interpreter of both.
        """
        commands = tollgate_commands(self.data_dir, self.ports["web"])
        for name in ("web", "runner"):
            command = list(commands[name])
            if wrapper:
                command[:1] = [*wrapper, name]
            self._spawn(name, command)
        self._wait("web", lambda: is_ready(self.ports["web"]))

    def stop_tollgate(self) -> None:
        """Stop web and runner, and wait until they are gone."""
        self._stop([name for name in ("web", "runner") if name in self.processes])

    def url(self, name: str) -> str:
        """Where a process answers MCP."""
        return f"http://127.0.0.1:{self.ports[name]}/mcp"

    def stop(self) -> None:
        """Stop everything and remove what it made, but for the logs."""
        self._stop(list(self.processes))
        if self._engines is not None:
            self._engines.stop()
        for name in ("postgres", "redis", "sandbox", "probes"):
            shutil.rmtree(self.data_dir / name, ignore_errors=True)

    def _port(self, name: str) -> tuple[str, str]:
        return ("--port", str(self.ports[name]))

    def _spawn(self, name: str, command: Sequence[str]) -> None:
        guard = ("setpriv", "--pdeathsig", "KILL", "--")
        log = open_log(self.data_dir, name)
        self.processes[name] = spawn([*guard, *command], log, self.env, cwd=BASE)

    def once(self, *arguments: str) -> str:
        """The last line a command of our interpreter prints."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.env,
            cwd=BASE,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        if done.returncode:
            raise StackError(f"{arguments} failed:\n{done.stderr[-2000:]}")
        return done.stdout.strip().rpartition("\n")[2]

    def _wait(self, name: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            late = time.monotonic() > deadline
            if late or self.processes[name].poll() is not None:
                log = self.data_dir / "log" / f"{name}.log"
                raise StackError(f"{name} did not start; end of {log}:\n{tail(log)}")
            time.sleep(0.1)

    def _stop(self, names: Sequence[str]) -> None:
        stopping = [self.processes.pop(name) for name in names]
        for process in stopping:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and any(p.poll() is None for p in stopping):
            time.sleep(0.05)
        for process in stopping:
            reap(process)
