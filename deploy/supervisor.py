"""Runs the whole demo in the foreground: engines, sample servers, web and workers.

``make demo`` or ``python -m deploy.supervisor``. A table of processes and a loop: one
that dies is started again, Ctrl-C or SIGTERM stops them all.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from config.embedded import Engines, EnginesError, Urls
from config.embedded.processes import open_log, spawn, tail
from deploy.probes import answers, free_port, is_free, is_ready
from deploy.state import State, digest

BASE = Path(__file__).resolve().parent.parent
SAMPLE_SERVERS = {"shop": 8101, "ops": 8102, "models": 8103}
PATHS = {"models": "/v1"}
MEANWHILE = {
    "finances": "two months of finances",
    "agents": "errands by script and call by call, with models through /v1,",
}
STEP_SECONDS = 300.0
READY_SECONDS = 90.0
STOP_SECONDS = 6.0
LONGEST_BACK_OFF = 30.0
STEADY_SECONDS = 60.0


class StartError(Exception):
    """The demo cannot start; the message says what to do."""


class Stopped(Exception):
    """Somebody asked the supervisor to stop."""


@dataclass(slots=True)
class Service:
    """A process that is kept running."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    failures: int = 0


@dataclass(slots=True)
class Supervisor:
    """The processes of one data directory."""

    data_dir: Path
    port: int
    engines: Engines
    env: dict[str, str] = field(default_factory=dict)
    services: list[Service] = field(default_factory=list)
    steps: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    later: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, *, traffic: bool) -> None:
        """Start everything, announce it, and keep it running until told to stop."""
        began = time.monotonic()
        urls = self.engines.start()
        free_or_refuse(self.port)
        self.env = self._environment(urls)
        state = State.load(self.data_dir / "state.json", urls.database_url)
        upstreams = self._sample_servers(state)
        self._prepare(state)
        for name, command in tollgate_commands(self.data_dir, self.port).items():
            self._add(name, command)
        self._seed(state, upstreams)
        self._wait_ready()
        if traffic and not state.is_done("traffic", "once"):
            say("making demo traffic through /mcp (once; log/traffic.log)")
            if self._steps({"traffic": python("-m", "deploy.demo.traffic")}):
                state.done("traffic", "once")
                self._steps({"decisions": python("-m", "deploy.demo.decisions")})
                self._steps({"draft": python("-m", "deploy.demo.draft")})
        say(f"started in {time.monotonic() - began:.1f} s")
        announce(json.loads((self.data_dir / "demo.json").read_text()), self.data_dir)
        for name, what in MEANWHILE.items():
            if traffic and not state.is_done(name, "once"):
                say(f"making {what} meanwhile (once; log/{name}.log)")
                command = python("-m", f"deploy.demo.{name}")
                self.later[name] = self._spawn(name, command)
        while True:
            self._watch()
            self._end_later(state)
            time.sleep(0.25)

    def _environment(self, urls: Urls) -> dict[str, str]:
        return {
            "TOLLGATE_ORGANISATION": "Example Company",
            # The sample model server is beside us.
            "TOLLGATE_WEBHOOK_PRIVATE_HOSTS": "127.0.0.1",
            **os.environ,
            "DATABASE_URL": urls.database_url,
            "TOLLGATE_OWNER_DATABASE_URL": urls.owner_database_url,
            "REDIS_URL": urls.redis_url,
            "TOLLGATE_DATA_DIR": str(self.data_dir),
            "TOLLGATE_PORT": str(self.port),
            "PYTHONPATH": str(BASE),
            "PYTHONUNBUFFERED": "1",
        }

    def _sample_servers(self, state: State) -> dict[str, int]:
        """Start them; each keeps its port over restarts where it can."""
        ports = {}
        for name, wanted in SAMPLE_SERVERS.items():
            step = f"port of {name}"
            ports[name] = free_port(int(state.marks.get(step, wanted)))
            state.done(step, str(ports[name]))
            module = f"deploy.demo.servers.{name}"
            self._add(f"demo-{name}", python("-m", module, "--port", str(ports[name])))
        return ports

    def _prepare(self, state: State) -> None:
        """Migrate and collect static files, where something changed since."""
        migrations = digest(
            [
                *BASE.glob("*/migrations/*.py"),
                BASE / "core/database_roles.py",
                BASE / "requirements/base.txt",
            ]
        )
        static = digest([*(BASE / "static").rglob("*"), BASE / "requirements/base.txt"])
        wanted = {
            "migrate": ("manage.py", "migrate", "--no-input"),
            "collectstatic": ("manage.py", "collectstatic", "--no-input", "--clear"),
        }
        marks = {"migrate": migrations, "collectstatic": static}
        if not (self.data_dir / "staticfiles").exists():
            state.forget("collectstatic")
        due = {
            name: python(*command)
            for name, command in wanted.items()
            if not state.is_done(name, marks[name])
        }
        if due:
            say(f"running {' and '.join(due)}")
            self._steps(due, required=True)
        for name in due:
            state.done(name, marks[name])

    def _seed(self, state: State, upstreams: Mapping[str, int]) -> None:
        links = [
            f"{name}=http://127.0.0.1:{port}{PATHS.get(name, '/mcp')}"
            for name, port in upstreams.items()
        ]
        seed = (BASE / "deploy/demo" / name for name in ("seed.py", "models.py"))
        mark = digest(seed, *links, str(self.port))
        if state.is_done("seed", mark) and (self.data_dir / "demo.json").exists():
            return
        for port in upstreams.values():
            self._wait(partial(answers, port), "the sample servers", 60)
        say("seeding teams, people, keys and sample servers")
        flags = [part for link in links for part in ("--server", link)]
        self._steps({"seed": python("-m", "deploy.demo.seed", *flags)}, required=True)
        state.done("seed", mark)

    def _wait_ready(self) -> None:
        self._wait(lambda: is_ready(self.port), "web", READY_SECONDS)

    def _wait(self, condition: Callable[[], object], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise StartError(
                    f"{what} did not become ready in {seconds:.0f} s; see the logs in "
                    f"{self.data_dir / 'log'}."
                )
            self._watch()
            time.sleep(0.1)

    def _steps(
        self, commands: Mapping[str, Sequence[str]], *, required: bool = False
    ) -> bool:
        """Run commands side by side until all have ended; whether all succeeded."""
        for name, command in commands.items():
            self.steps[name] = self._spawn(name, command)
        self._wait(
            lambda: all(map(has_ended, self.steps.values())),
            " and ".join(commands),
            STEP_SECONDS,
        )
        codes = {name: reap(process) for name, process in self.steps.items()}
        self.steps.clear()
        failed = [name for name, code in codes.items() if code]
        for name in failed:
            log = self.data_dir / "log" / f"{name}.log"
            message = f"{name} failed; end of {log}:\n{tail(log)}"
            if required:
                raise StartError(message)
            say(message)
        return not failed

    def _end_later(self, state: State) -> None:
        """See which steps that run beside everything have ended, and remember them."""
        for name, process in list(self.later.items()):
            if has_ended(process):
                code = reap(self.later.pop(name))
                say(f"{name}: {how(code) if code else 'done'} (log/{name}.log)")
                if not code:
                    state.done(name, "once")

    def _add(self, name: str, command: Sequence[str]) -> None:
        service = Service(name, command)
        self.services.append(service)
        self._start(service)

    def _start(self, service: Service) -> None:
        service.process = self._spawn(service.name, service.command)
        service.started = time.monotonic()

    def _spawn(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        # Should we be killed, nothing may go on without us.
        guard = ("setpriv", "--pdeathsig", "KILL", "--")
        return spawn(
            [*guard, *command], open_log(self.data_dir, name), self.env, cwd=BASE
        )

    def _watch(self) -> None:
        """Start again what has died, each time a little later."""
        now = time.monotonic()
        for service in self.services:
            if service.process is not None and has_ended(service.process):
                code = reap(service.process)
                service.process = None
                steady = now - service.started > STEADY_SECONDS
                service.failures = 0 if steady else service.failures + 1
                wait = min(0.25 * 2**service.failures, LONGEST_BACK_OFF)
                service.due = now + wait
                say(
                    f"{service.name} ended ({how(code)}); starting it again in "
                    f"{wait:.1f} s (log/{service.name}.log)"
                )
            if service.process is None and now >= service.due:
                self._start(service)
        for name in self.engines.revive():
            say(f"{name} had died and was started again (log/{name}.log)")

    def stop(self) -> None:
        """Stop everything: politely, then by force, the engines last."""
        processes = [s.process for s in self.services if s.process is not None]
        processes += [*self.steps.values(), *self.later.values()]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and not all(map(has_ended, processes)):
            time.sleep(0.05)
        for process in processes:
            reap(process)
        self.services.clear()
        self.steps.clear()
        self.later.clear()
        self.engines.stop()


def python(*arguments: str) -> tuple[str, ...]:
    """A command of this interpreter."""
    return (sys.executable, *arguments)


def tollgate_commands(data_dir: Path, port: int) -> dict[str, tuple[str, ...]]:
    """Tollgate's own processes."""
    celery = python("-m", "celery", "-A", "config")
    threads = os.environ.get("TOLLGATE_RUN_THREADS") or "16"
    quiet = ("--without-gossip", "--without-mingle", "-l", "INFO")
    return {
        "web": python(
            *("-m", "uvicorn", "config.asgi:application"),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--loop", "uvloop", "--http", "httptools"),
            *("--no-access-log", "--no-proxy-headers", "--no-server-header"),
            *("--timeout-graceful-shutdown", "4", "--log-level", "warning"),
        ),
        "runner": (
            *(*celery, "worker", "-Q", "runs", "-P", "threads", "-c", threads),
            *("-n", "runner@%h", *quiet),
        ),
        "worker": (
            *(*celery, "worker", "-Q", "default", "-P", "threads", "-c", "4"),
            *("-n", "worker@%h", *quiet),
        ),
        "sealer": python("manage.py", "seal_audit"),
        "deliverer": python("manage.py", "deliver_audit"),
        "beat": (*celery, "beat", "-s", str(data_dir / "beat-schedule"), "--pidfile="),
    }


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has exited; it is not reaped, so its group id stays its."""
    if process.returncode is not None:
        return True
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, flags) is not None


def reap(process: subprocess.Popen[bytes]) -> int:
    """Kill what is left of the process and its group, and return its exit code."""
    if process.returncode is None and process.pid > 1:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def how(code: int) -> str:
    """An exit code in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def free_or_refuse(port: int) -> None:
    """Raises StartError when the port of the web process is taken."""
    if not is_free(port):
        raise StartError(
            f"Port {port} on 127.0.0.1 is taken by another program. Stop that, or "
            f"choose another port: TOLLGATE_PORT={port + 80} make demo"
        )


def say(text: str) -> None:
    """Tell the operator one line."""
    print(f"tollgate: {text}", flush=True)


def announce(demo: Mapping[str, Any], data_dir: Path) -> None:
    """Print where it is and how to get in."""
    configuration = {
        "mcpServers": {
            "tollgate": {
                "type": "http",
                "url": demo["mcp_url"],
                "headers": {"Authorization": f"Bearer {demo['api_key']}"},
            }
        }
    }
    lines = [f"\nReady: {demo['url']}\n", "Sign in as"]
    lines += [
        f"  {user['username']:<10}{user['password']:<24}{user['role']}, {user['team']}"
        for user in demo["users"]
    ]
    lines += [
        f"\nAPI key: {demo['api_key']}",
        "\nMCP client configuration:",
        json.dumps(configuration, indent=2),
        f"\nThe same is in {data_dir / 'demo.json'}; logs are in {data_dir / 'log'}.",
        "Ctrl-C stops everything.",
    ]
    print("\n".join(lines), flush=True)


def main(arguments: Iterable[str] | None = None) -> int:
    """Run the demo until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supervisor")
    parser.add_argument(
        "--without-traffic", action="store_true", help="start with no runs made"
    )
    options = parser.parse_args(None if arguments is None else list(arguments))

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Stopped

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    data_dir = Path(os.environ.get("TOLLGATE_DATA_DIR") or BASE / "var").absolute()
    port = int(os.environ.get("TOLLGATE_PORT") or 8000)
    label = f"the demo on http://127.0.0.1:{port} (pid {os.getpid()})"
    supervisor = Supervisor(data_dir, port, Engines(data_dir, label=label, roles=True))
    for number in signals:
        signal.signal(number, stop)
    code = 0
    try:
        supervisor.run(traffic=not options.without_traffic)
    except Stopped:
        say("stopping")
    except (EnginesError, StartError) as error:
        print(error, file=sys.stderr)
        code = 1
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        supervisor.stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
