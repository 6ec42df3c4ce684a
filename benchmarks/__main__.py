"""Every benchmark, one after the other, each in a process of its own; JSON lines.

python -m benchmarks [execute] [sandbox] [isolation] [search]
"""

import argparse
import subprocess
import sys

BENCHMARKS = {
    "execute": (),
    "sandbox": ("--rounds", "10"),
    "isolation": ("--seconds", "5"),
    "search": (),
}


def main() -> int:
    """Run those that are named, or all; the exit code says whether one failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    failed = [name for name in names if _run(name)]
    if failed:
        print(f"benchmarks: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str) -> int:
    command = [sys.executable, "-m", f"benchmarks.{name}", *BENCHMARKS[name]]
    try:
        return subprocess.run(command).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
