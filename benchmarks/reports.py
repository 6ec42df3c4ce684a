"""Server time of the four headline reports as runs grow; JSON lines.

    python -m benchmarks.reports [--runs N …] [--raw N] [--times N] [--plot FILE]

Engines of its own under var/bench, one database a size. ``--plot`` draws the growth.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.reports_plot import draw
from config.embedded import Engines

BASE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Each size in a process, which makes its facts and asks for the pages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports")
    parser.add_argument("--runs", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--raw", type=int, default=2_000_000, help="rows to make")
    parser.add_argument("--times", type=int, default=20, help="each page is asked for")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    data_dir = BASE / "var/bench/reports"
    shutil.rmtree(data_dir, ignore_errors=True)
    engines = Engines(data_dir, label="the report benchmark")
    lines = []
    try:
        urls = engines.start()
        os.environ.update(
            DATABASE_URL=urls.database_url,
            TOLLGATE_OWNER_DATABASE_URL=urls.owner_database_url,
            REDIS_URL=urls.redis_url,
            TOLLGATE_DATA_DIR=str(data_dir),
            TOLLGATE_LOG_LEVEL="ERROR",
        )
        for runs in options.runs:
            lines += _measure(runs, options.raw, options.times)
    finally:
        engines.stop()
        shutil.rmtree(data_dir, ignore_errors=True)
    if options.plot:
        options.plot.write_text(draw(lines))


def _measure(runs: int, raw: int, times: int) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "benchmarks.reports_size"]
    command += [str(runs), str(raw), str(times)]
    with subprocess.Popen(command, cwd=BASE, stdout=subprocess.PIPE, text=True) as work:
        assert work.stdout
        lines = []
        for line in work.stdout:
            print(line, end="", flush=True)
            lines.append(json.loads(line))
    if work.returncode:
        raise SystemExit(f"The size of {runs} runs failed; see above.")
    return lines


if __name__ == "__main__":
    main()
