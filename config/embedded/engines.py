"""The engines of one data directory: start, watch, revive, stop."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Protocol

from config import env
from config.embedded.postgres import APPLICATION, Postgres
from config.embedded.processes import STOP_SECONDS, EnginesError, running
from config.embedded.redis import Redis

REVIVALS = 4


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the engines answer."""

    database_url: str
    redis_url: str
    owner_database_url: str = ""


class Engine(Protocol):
    """One server process that can be started again on the same address."""

    name: str
    process: subprocess.Popen[bytes] | None

    def start(self) -> str:
        """Start the process, wait until it answers, return its URL."""


class Engines:
    """The engines of one data directory, held by one process at a time.

    Engines named by DATABASE_URL or REDIS_URL are somebody else's: left alone.
    With ``roles`` the database's URL is the application's, beside one of the owner;
    else it is the owner's. Call start from the main thread: the engines end with the
    thread that made them.
    """

    def __init__(self, data_dir: Path, *, label: str = "", roles: bool = False) -> None:
        self.data_dir = data_dir.absolute()
        self.file = self.data_dir / "engines.json"
        self._label = label or f"pid {os.getpid()} ({' '.join(sys.argv)[:200]})"
        self._given = Urls(
            env.text("DATABASE_URL"),
            env.text("REDIS_URL"),
            env.text("TOLLGATE_OWNER_DATABASE_URL"),
        )
        self._roles = roles
        self._own: list[Engine] = []
        self._lock: IO[str] | None = None

    def start(self) -> Urls:
        """Start what is not given and write engines.json.

        Raises EnginesError when the folder is held, unusable, or an engine fails.
        """
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._take_lock()
        except OSError as error:
            raise EnginesError(
                f"The data directory {self.data_dir} cannot be used "
                f"({error.strerror}): choose another with TOLLGATE_DATA_DIR."
            ) from error
        try:
            database_url, owner = self._database()
            redis_url = self._given.redis_url or self._start(Redis(self.data_dir))
            urls = Urls(database_url, redis_url, owner)
        except BaseException:
            self.stop()
            raise
        if self._own:
            fresh = self.file.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps(asdict(urls)))
            fresh.replace(self.file)
        return urls

    def _database(self) -> tuple[str, str]:
        if self._given.database_url:
            return self._given.database_url, self._given.owner_database_url
        owner = self._start(Postgres(self.data_dir))
        return (env.as_role(owner, APPLICATION), owner) if self._roles else (owner, "")

    def _start(self, engine: Engine) -> str:
        self._own.append(engine)
        return engine.start()

    def _take_lock(self) -> None:
        lock = (self.data_dir / "engines.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            lock.close()
            raise EnginesError(
                f"The data directory {self.data_dir} is in use by {holder}. Its "
                "engines are up: run the command by itself with TOLLGATE_DATA_DIR="
                f"{self.data_dir}, stop that process, or choose another directory."
            ) from None
        lock.truncate(0)
        lock.write(f"{self._label}\n")
        lock.flush()
        self._lock = lock
        self.file.unlink(missing_ok=True)

    def alive(self) -> dict[str, bool]:
        """Whether the process of each engine we started is there."""
        return {engine.name: running(engine.process) for engine in self._own}

    def revive(self) -> list[str]:
        """Start engines that have died, on the same address; return their names.

        Raises EnginesError when one does not come up after some attempts.
        """
        dead = [engine for engine in self._own if not running(engine.process)]
        for engine in dead:
            _start_again(engine)
        return [engine.name for engine in dead]

    def stop(self) -> None:
        """Stop what start started, and let go of the directory."""
        started = [engine.process for engine in self._own if engine.process]
        for process in started:
            # PostgreSQL's fast shutdown; Redis closes its files on it as well.
            process.send_signal(signal.SIGINT)
        for process in started:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._own.clear()
        if self._lock is not None:
            self.file.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None


def _start_again(engine: Engine) -> None:
    # The orphans of a killed server hold its memory and files for a moment.
    for _ in range(REVIVALS - 1):
        with suppress(EnginesError):
            engine.start()
            return
        time.sleep(0.5)
    engine.start()
