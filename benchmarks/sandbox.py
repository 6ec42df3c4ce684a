"""Figures of the sandbox boundary alone, as JSON lines: no policy, no database.

python -m benchmarks.sandbox [--work-dir DIR] [--rounds N]
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.sandbox.api import Call, Job, Limits, Reply
from gateway.sandbox.process import cpu_seconds, descendants
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
        "sequential_100": SEQUENTIAL.format(n=100),
        "awaited_100": AWAITED.format(n=100),
        "parallel_10": PARALLEL.format(n=10),
    },
    "typescript": {
        "no_call": "return 1 + 1",
        "awaited_100": TYPESCRIPT.format(n=100),
        "parallel_10": TYPESCRIPT_PARALLEL.format(n=10),
    },
}
CLIENTS = 8
IDLE_SECONDS = 3.0


def _nothing(call: Call) -> Reply:
    return Reply(value={"step": call.step})


def _print(figure: str, **values: object) -> None:
    line = {"benchmark": "sandbox", "figure": figure, **values}
    print(json.dumps(line), flush=True)


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


def _members(folder: Path, language: str) -> list[Path]:
    """The processes of the idle sandboxes of a language below the folder."""
    marks = (str(folder).encode(), b"runsc-sandbox", f"/{language[0]}/tg-".encode())
    found = []
    for process in Path("/proc").iterdir():
        try:
            arguments = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if all(mark in arguments for mark in marks):
            found.append(process)
    return found


def _idle(folder: Path, language: str) -> None:
    """What sandboxes cost that wait: proportional memory, and CPU of their trees."""
    members = _members(folder, language)
    pss = [
        int((one / "smaps_rollup").read_text().split("Pss:")[1].split()[0])
        for one in members
    ]
    trees = [[int(one.name), *descendants(int(one.name))] for one in members]
    before = [sum(map(cpu_seconds, tree)) for tree in trees]
    time.sleep(IDLE_SECONDS)
    after = [sum(map(cpu_seconds, tree)) for tree in trees]
    shares = [(b - a) / IDLE_SECONDS for a, b in zip(before, after, strict=True)]
    _print(
        "idle",
        language=language,
        members=len(pss),
        mean_pss_mib=round(sum(pss) / len(pss) / 1024, 1),
        median_cpu_of_a_core=round(statistics.median(shares), 5),
        max_cpu_of_a_core=round(max(shares), 5),
    )


def main() -> None:
    """Measure each language in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--size", type=int, default=4)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
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
    dispatches: list[float] = []
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
            p95_ms=round(_p95(took), 2),
        )
        dispatches += dispatch
    _print(
        "dispatch",
        language=language,
        rounds=len(dispatches),
        p50_ms=round(statistics.median(dispatches), 2),
        p95_ms=round(_p95(dispatches), 2),
    )
    _wait_until(full)
    _idle(folder, language)
    _refill(provider, language, size)
    _sustained(provider, language)


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def _refill(provider: GVisorProvider, language: str, size: int) -> None:
    """Sandboxes made a second after all that waited were used at once."""
    booted = _state(provider, language, "booted")
    started = time.perf_counter()
    _together(provider, language, size, 0.0)
    _wait_until(lambda: _state(provider, language, "idle") == size)
    seconds = time.perf_counter() - started
    made = _state(provider, language, "booted") - booted
    _print("refill", language=language, made=made, per_s=round(made / seconds, 1))


def _together(
    provider: GVisorProvider, language: str, clients: int, seconds: float
) -> int:
    """Runs of clients that start the next one at once, for some seconds."""
    code = CASES[language]["no_call"]
    until = time.perf_counter() + seconds

    def client(_: int) -> int:
        runs = 0
        while not runs or time.perf_counter() < until:
            _run(provider, language, code)
            runs += 1
        return runs

    with ThreadPoolExecutor(clients) as threads:
        return sum(threads.map(client, range(clients)))


def _sustained(provider: GVisorProvider, language: str) -> None:
    started = time.perf_counter()
    runs = _together(provider, language, CLIENTS, 5.0)
    seconds = time.perf_counter() - started
    _print(
        "sustained",
        language=language,
        clients=CLIENTS,
        runs_per_s=round(runs / seconds, 1),
    )


if __name__ == "__main__":
    main()
