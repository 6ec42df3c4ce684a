"""A month's export over many usage groups: rows a second and memory; JSON lines.

python -m benchmarks.exports [--groups N] [--forms FORM …]
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from config.embedded import Engines

BASE = Path(__file__).resolve().parents[1]
FORMS = ("focus", "focus-1.2", "csv", "json", "xlsx")


def main() -> None:
    """Every figure, over engines of its own under var/bench."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports")
    parser.add_argument("--groups", type=int, default=1_000_000)
    parser.add_argument("--forms", nargs="+", default=FORMS, choices=FORMS)
    options = parser.parse_args()
    data_dir = BASE / "var/bench/exports"
    shutil.rmtree(data_dir, ignore_errors=True)
    engines = Engines(data_dir, label="the export benchmark")
    try:
        urls = engines.start()
        os.environ.update(
            DATABASE_URL=urls.database_url,
            TOLLGATE_OWNER_DATABASE_URL=urls.owner_database_url,
            REDIS_URL=urls.redis_url,
            TOLLGATE_DATA_DIR=str(data_dir),
            TOLLGATE_LOG_LEVEL="ERROR",
        )
        _run("manage.py", "migrate", "--no-input", "-v", "0")
        _run("-m", "benchmarks.exports_month", "fill", str(options.groups))
        for form in options.forms:  # each in a process: memory is what it took alone
            _run("-m", "benchmarks.exports_month", form, str(data_dir / form))
    finally:
        engines.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=BASE, check=True)


if __name__ == "__main__":
    main()
