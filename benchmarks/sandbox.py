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
TYPESCRIPT = (
    "for (let i: number = 0; i < {n}; i++) await tools.bench.nothing({{i}});\nreturn 2"
)
TYPESCRIPT_PARALLEL = (
    "await Promise.all([...Array({n}).keys()].map((i) => tools.bench.nothing({{i}})))"
)
CASES = {
    "python": {
        "no_call": "1 + 1",
        "sequential_1": SEQUENTIAL.format(n=1),
        "sequential_10": SEQUENTIAL.format(n=10),
        "sequential_100": SEQUENTIAL.format(n=100),
        "awaited_100": AWAITED.format(n=100),
        "parallel_10": PARALLEL.format(n=10),
    },
    "typescript": {
        "no_call": "return 1 + 1",
        "awaited_1": TYPESCRIPT.format(n=1),
        "awaited_10": TYPESCRIPT.format(n=10),
        "awaited_100": TYPESCRIPT.format(n=100),
        "parallel_10": TYPESCRIPT_PARALLEL.format(n=10),
    },
}


def _nothing(call: Call) -> Reply:
    return Reply(value={"step": call.step})


def _print(figure: str, **values: object) -> None:
    print(json.dumps({"benchmark": "sandbox", "figure": figure, **values}))


def _state(provider: GVisorProvider, language: str, figure: str) -> int:
    state = provider.describe()
    own = state if language == "python" else state[language]
    assert isinstance(own, dict)
    return int(str(own[figure]))


def _wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the pool does not fill")
        time.sleep(0.005)


def _run(provider: GVisorProvider, language: str, code: str) -> tuple[float, float]:
    """Milliseconds of the whole run, and of its dispatch."""
    job = Job("bench", code, language, 1, 1_790_000_000.0, TOOLS, Limits())
    started = time.perf_counter()
    result = provider.run(job, _nothing)
    took = time.perf_counter() - started
    assert result.ok, result.error
    return took * 1e3, result.usage.dispatch_seconds * 1e3


def _pss_kilobytes(folder: Path, language: str) -> list[int]:
    """Proportional memory of each sandbox of a language below the folder."""
    marks = (str(folder).encode(), b"runsc-sandbox", f"/{language[0]}/tg-".encode())
    found = []
    for process in Path("/proc").iterdir():
        try:
            arguments = (process / "cmdline").read_bytes()
            rollup = (process / "smaps_rollup").read_text()
        except OSError:
            continue
        if all(mark in arguments for mark in marks):
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
        size = options.size
        provider = GVisorProvider(folder, size, typescript_size=size)
        try:
            provider.start()
            for language in CASES:
                _measure(provider, folder.resolve(), language, options.rounds, size)
        finally:
            provider.close()


def _measure(
    provider: GVisorProvider, folder: Path, language: str, rounds: int, size: int
) -> None:
    def full() -> bool:
        return _state(provider, language, "idle") == size

    started = time.perf_counter()
    _run(provider, language, CASES[language]["no_call"])
    first_ms = round((time.perf_counter() - started) * 1e3, 1)
    _print("first_run", language=language, ms=first_ms)
    for name, code in CASES[language].items():
        took, dispatch = [], []
        for _ in range(rounds):
            _wait_until(full)
            time.sleep(0.05)
            whole, first = _run(provider, language, code)
            took.append(whole)
            dispatch.append(first)
        _print(
            name,
            language=language,
            rounds=rounds,
            p50_ms=round(statistics.median(took), 2),
            p95_ms=round(sorted(took)[int(rounds * 0.95)], 2),
            dispatch_p50_ms=round(statistics.median(dispatch), 2),
        )
    _wait_until(full)
    pss = _pss_kilobytes(folder, language)
    _print(
        "idle_pss",
        language=language,
        members=len(pss),
        mean_mb=round(sum(pss) / len(pss) / 1024, 1),
    )
    _sustained(provider, language)


def _sustained(provider: GVisorProvider, language: str) -> None:
    booted = _state(provider, language, "booted")
    started = time.perf_counter()
    runs = 0
    while time.perf_counter() - started < 5:
        _run(provider, language, CASES[language]["no_call"])
        runs += 1
    seconds = time.perf_counter() - started
    booted = _state(provider, language, "booted") - booted
    _print(
        "sustained",
        language=language,
        runs_per_s=round(runs / seconds, 1),
        refilled_per_s=round(booted / seconds, 1),
    )


if __name__ == "__main__":
    main()
