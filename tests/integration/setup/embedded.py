"""Starts the embedded engines as an operator does, in a process of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

ROOT = Path(__file__).resolve().parents[3]
OURS = (
    "DATABASE_URL",
    "TOLLGATE_OWNER_DATABASE_URL",
    "REDIS_URL",
    "TOLLGATE_DATA_DIR",
    "TOLLGATE_PORT",
)


def environment(**extra: str) -> dict[str, str]:
    """Our environment without the engines that these tests run under."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return kept | extra


def wait_for(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def embedded(data_dir: Path, *command: str) -> list[str]:
    """The command line that runs a command beside the engines."""
    module = [sys.executable, "-m", "config.embedded"]
    return [*module, "--data-dir", str(data_dir), "--", *command]


def run_embedded(
    data_dir: Path, *command: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a command beside the engines to its end."""
    return subprocess.run(
        embedded(data_dir, *command),
        cwd=ROOT,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class Up:
    """Engines that are up."""

    data_dir: Path
    process: subprocess.Popen[bytes]
    database_url: str
    redis_url: str
    owner_database_url: str = ""

    @property
    def postgres_pid(self) -> int:
        lines = (self.data_dir / "postgres" / "postmaster.pid").read_text()
        return int(lines.split()[0])

    @property
    def redis_pid(self) -> int:
        return int((self.data_dir / "redis" / "redis.pid").read_text())

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def redis(self) -> "redis.Redis":
        return redis.Redis.from_url(self.redis_url)


@contextmanager
def engines_up(data_dir: Path) -> Iterator[Up]:
    """Keep the engines up beside a command that only waits."""
    file = data_dir / "engines.json"
    file.unlink(missing_ok=True)  # a killed start leaves its file
    process = subprocess.Popen(
        embedded(data_dir, "sleep", "120"), cwd=ROOT, env=environment()
    )
    try:
        wait_for(lambda: file.exists() or process.poll() is not None, "the engines")
        yield Up(data_dir, process, **json.loads(file.read_text()))
    finally:
        process.terminate()
        process.wait(30)


def is_running(pid: int) -> bool:
    """Whether the process is there and not a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
