"""How a server process is started, watched, logged and found again."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
START_SECONDS = 60.0
STOP_SECONDS = 10.0
LOG_BYTES = 10_000_000


class EnginesError(Exception):
    """The engines cannot run here; the message says what to do."""


def open_log(data_dir: Path, name: str) -> IO[bytes]:
    """Open log/NAME.log for appending; a large one is first set aside as NAME.log.1."""
    path = data_dir / "log" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def spawn(
    command: Sequence[str | Path],
    log: IO[bytes],
    env: Mapping[str, str],
    *,
    cwd: Path = Path("/"),
) -> subprocess.Popen[bytes]:
    """Start a server in its own session, out of reach of the terminal's Ctrl-C."""
    with log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(env),
            start_new_session=True,
            cwd=cwd,
        )


def running(process: subprocess.Popen[bytes] | None) -> bool:
    """Whether the process was started and has not ended."""
    return process is not None and process.poll() is None


def server_env() -> dict[str, str]:
    """The environment of a server process: nothing of ours, no secrets."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def tail(path: Path, lines: int = 15) -> str:
    with suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    return ""


def stop_stray(pid_file: Path, names: tuple[str, ...]) -> None:
    """Stop what an earlier, killed start left running, and drop its pid file.

    A pid may have been given to another process since: only one that has the right
    name and this folder as its working directory is touched.
    """
    with suppress(OSError, ValueError, IndexError):
        pid = int(pid_file.read_text().split()[0])
        proc = Path(f"/proc/{pid}")
        ours = (
            pid > 1
            and (proc / "comm").read_text().strip() in names
            and (proc / "cwd").resolve() == pid_file.parent
        )
        deadline = time.monotonic() + STOP_SECONDS
        while ours and proc.exists():
            late = time.monotonic() > deadline
            os.kill(pid, signal.SIGKILL if late else signal.SIGINT)
            time.sleep(0.1)
    pid_file.unlink(missing_ok=True)
