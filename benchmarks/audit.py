"""Events a second with and without sealing, seal lag, verification; JSON lines.

python -m benchmarks.audit [--seconds N] [--rows N]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.figures import show
from config.embedded import Engines

BASE = Path(__file__).resolve().parents[1]
WRITERS = (1, 8, 32)
_GRACE = 20.0


def main() -> None:
    """Every figure, over engines of its own under var/bench."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rows", type=int, default=50_000)
    options = parser.parse_args()
    data_dir = BASE / "var/bench/audit"
    shutil.rmtree(data_dir, ignore_errors=True)
    engines = Engines(data_dir, label="the audit benchmark")
    try:
        urls = engines.start()
        os.environ.update(
            DATABASE_URL=urls.database_url,
            TOLLGATE_OWNER_DATABASE_URL=urls.owner_database_url,
            REDIS_URL=urls.redis_url,
            TOLLGATE_DATA_DIR=str(data_dir),
            TOLLGATE_LOG_LEVEL="ERROR",
        )
        run("manage.py", "migrate", "--no-input", "-v", "0")
        for number in WRITERS:
            for sealing in (False, True):
                with sealer(sealing):
                    _writing(number, options.seconds, sealing)
        run("-m", "benchmarks.audit_reading", str(options.rows))
    finally:
        engines.stop()
        for name in ("postgres", "redis"):
            shutil.rmtree(data_dir / name, ignore_errors=True)


def run(*arguments: str) -> None:
    """A command of this interpreter, to its end; what it prints is shown."""
    subprocess.run([sys.executable, *arguments], cwd=BASE, check=True)


@contextmanager
def sealer(wanted: bool) -> Iterator[None]:
    """The sealer beside it, or not."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "manage.py", "seal_audit"], cwd=BASE)
    try:
        time.sleep(2)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        process.kill()


def _writing(number: int, seconds: float, sealing: bool) -> None:
    """Writers are processes: threads would wait for each other's interpreter."""
    writers = ("-m", "benchmarks.audit_writer", str(number), str(seconds))
    output = subprocess.run(
        [sys.executable, *writers],
        cwd=BASE,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    ended = [json.loads(line) for line in output.splitlines()]
    assert len(ended) == number
    lags = [lag for one in ended for lag in one["lags"]]
    show(
        "audit_writing",
        writers=number,
        sealing=sealing,
        events_per_second=round(sum(one["events"] / one["seconds"] for one in ended)),
        seal_lag_median_s=round(statistics.median(lags), 2) if sealing else None,
        seal_lag_most_s=round(max(lags), 2) if sealing else None,
    )


if __name__ == "__main__":
    main()
