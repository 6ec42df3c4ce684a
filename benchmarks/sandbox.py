"""Figures of the sandbox boundary alone, as JSON lines: no policy, no database.

python -m benchmarks.sandbox [--work-dir DIR] [--rounds N]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gateway.sandbox.api import Call, Job, Limits, Reply
from gateway.sandbox.provider import GVisorProvider

TOOLS = {"bench": {"nothing": "bench.nothing"}}
SEQUENTIAL = "from tools import bench\nfor i in range({n}):\n    bench.nothing(i=i)\n"
AWAITED = (
    "from tools import bench\nfor i in range({n}):\n    await bench.nothing(i=i)\n"
)
PARALLEL = (
    "from tools import bench\n"
    "await asyncio.gather(*(bench.nothing(i=i) for i in range({n})))\n"
)
CASES = {
    "no_call": "1 + 1",
    "sequential_1": SEQUENTIAL.format(n=1),
    "sequential_10": SEQUENTIAL.format(n=10),
    "sequential_100": SEQUENTIAL.format(n=100),
    "awaited_100": AWAITED.format(n=100),
    "parallel_10": PARALLEL.format(n=10),
}


def _nothing(call: Call) -> Reply:
    return Reply(value={"step": call.step})


def _print(figure: str, **values: object) -> None:
    print(json.dumps({"benchmark": "sandbox", "figure": figure, **values}))


def _idle(provider: GVisorProvider) -> int:
    return int(str(provider.describe()["idle"]))


def _wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the pool does not fill")
        time.sleep(0.005)


def _run(provider: GVisorProvider, code: str) -> tuple[float, float]:
    """Milliseconds of the whole run, and of its dispatch."""
    job = Job("bench", code, "python", 1, 1_790_000_000.0, TOOLS, Limits())
    started = time.perf_counter()
    result = provider.run(job, _nothing)
    took = time.perf_counter() - started
    assert result.ok, result.error
    return took * 1e3, result.usage.dispatch_seconds * 1e3


def _pss_kilobytes(folder: Path) -> list[int]:
    """Proportional memory of each process whose arguments name the folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            arguments = (process / "cmdline").read_bytes()
            rollup = (process / "smaps_rollup").read_text()
        except OSError:
            continue
        if str(folder).encode() in arguments and b"runsc-sandbox" in arguments:
            found.append(int(rollup.split("Pss:")[1].split()[0]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--size", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as scratch:
        folder = options.work_dir or Path(scratch)
        provider = GVisorProvider(folder, options.size)
        try:
            provider.start()
            _measure(provider, folder.resolve(), options.rounds, options.size)
        finally:
            provider.close()


def _measure(provider: GVisorProvider, folder: Path, rounds: int, size: int) -> None:
    def full() -> bool:
        return _idle(provider) == size

    _wait_until(full)
    for name, code in CASES.items():
        took, dispatch = [], []
        for _ in range(rounds):
            _wait_until(full)
            time.sleep(0.05)
            whole, first = _run(provider, code)
            took.append(whole)
            dispatch.append(first)
        _print(
            name,
            rounds=rounds,
            p50_ms=round(statistics.median(took), 2),
            p95_ms=round(sorted(took)[int(rounds * 0.95)], 2),
            dispatch_p50_ms=round(statistics.median(dispatch), 2),
        )
    _wait_until(full)
    pss = _pss_kilobytes(folder)
    _print("idle_pss", members=len(pss), mean_mb=round(sum(pss) / len(pss) / 1024, 1))
    booted = int(str(provider.describe()["booted"]))
    started = time.perf_counter()
    runs = 0
    while time.perf_counter() - started < 5:
        _run(provider, CASES["no_call"])
        runs += 1
    seconds = time.perf_counter() - started
    booted = int(str(provider.describe()["booted"])) - booted
    _print(
        "sustained",
        runs_per_s=round(runs / seconds, 1),
        refilled_per_s=round(booted / seconds, 1),
    )


if __name__ == "__main__":
    main()
