"""Run a command with the engines up: python -m config.embedded -- COMMAND …."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from config.embedded.engines import Engines
from config.embedded.processes import DIES_WITH_US, EnginesError


def _run(engines: Engines, command: Sequence[str]) -> int:
    """Run the command beside the engines, and return its exit code."""
    urls = engines.start()
    env = {
        **os.environ,
        "DATABASE_URL": urls.database_url,
        "REDIS_URL": urls.redis_url,
        "TOLLGATE_DATA_DIR": str(engines.data_dir),
    }
    child = subprocess.Popen([*DIES_WITH_US, *command], env=env)

    def forward(number: int, _frame: FrameType | None) -> None:
        # A terminal has given its Ctrl-C to the command already.
        if number != signal.SIGINT or not sys.stdin.isatty():
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    while child.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.5)
        for name in engines.revive():
            sys.stderr.write(f"{name} had died and was started again\n")
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with the engines up: python -m config.embedded -- COMMAND …"""
    parser = argparse.ArgumentParser(prog="python -m config.embedded")
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("TOLLGATE_DATA_DIR", "var")
    )
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    engines = Engines(options.data_dir)
    try:
        return _run(engines, options.command)
    except EnginesError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        engines.stop()


if __name__ == "__main__":
    sys.exit(main())
