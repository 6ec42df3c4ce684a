"""Figures of every isolation level side by side, as JSON lines: no policy, no database.

    python -m benchmarks.isolation [--work-dir DIR] [--seconds S] [--clients N]

`run` is a gVisor sandbox per run (`run_typescript` with Node), `team` a Monty
interpreter per run in one gVisor sandbox, `monty` the provider without gVisor; beside
them Monty driven without any of our checks, a bare `python -I -c` per run, which
isolates nothing, and a Deno per run without permissions (`bin/setup --bench`). Tools
of these three are functions of their own process, so that calls cost them nothing.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic_monty import Monty

from benchmarks.stack import BASE
from gateway.sandbox.api import Call, Job, Limits, Provider, Reply
from gateway.sandbox.bare import MontyProvider
from gateway.sandbox.provider import GVisorProvider
from gateway.sandbox.team.provider import TeamProvider

TOOLS = {"bench": {"nothing": "bench.nothing"}}
CALLS = "from tools import bench\nfor i in range({n}):\n    bench.nothing(i=i)\n"
TYPESCRIPT = "for (let i: number = 0; i < {n}; i++) await tools.bench.nothing({{i}});\n"
COUNTS = {"no_call": 0, "calls_1": 1, "calls_10": 10, "calls_100": 100}
SCRIPTS = {name: CALLS.format(n=n) if n else "1 + 1" for name, n in COUNTS.items()}
TYPESCRIPTS = {
    name: TYPESCRIPT.format(n=n) if n else "return 1 + 1" for name, n in COUNTS.items()
}
DENO = BASE / "var/bench-venv/bin/deno"
ROUNDS = 20
One = Callable[[str], None]


class Level(NamedTuple):
    """One way to run scripts."""

    name: str
    one: One
    scripts: Mapping[str, str]
    pause: float = 0.0


def _print(figure: str, level: str, **values: object) -> None:
    line = {"benchmark": "isolation", "figure": figure, "level": level, **values}
    print(json.dumps(line), flush=True)


def _through(provider: Provider, language: str = "python") -> One:
    """Runs a script through a provider, as a runner does."""

    def one(code: str) -> None:
        job = Job("bench", code, language, 1, 1.79e9, TOOLS, Limits(), "bench/dev")
        result = provider.run(job, _nothing)
        assert result.ok, result.error

    return one


def _nothing(call: Call) -> Reply:
    return Reply(value=call.step)


def _straight(pool: Monty) -> One:
    """Monty as its own documentation drives it, without our checks."""

    def one(code: str) -> None:
        source = code.replace("from tools import bench\n", "").replace("bench.", "")
        with pool.checkout() as session:
            session.feed_run(source, external_lookup={"nothing": lambda i: i})

    return one


def _process(code: str) -> None:
    """A bare interpreter; tools are functions of its own, so calls cost nothing."""
    stub = "class bench:\n    nothing = staticmethod(lambda i: i)\n"
    source = stub + code.replace("from tools import bench\n", "")
    subprocess.run([sys.executable, "-I", "-c", source], check=True)


def _deno(code: str) -> None:
    """A bare Deno without permissions, its types stripped as in our own sandbox."""
    stub = "const tools = {bench: {nothing: async (a: {i: number}) => a.i}};\n"
    source = f"{stub}await (async () => {{ {code} }})();"
    command = [str(DENO), "run", "--quiet", "--no-remote", "--no-config", "--no-lock"]
    subprocess.run([*command, "--ext=ts", "-"], input=source.encode(), check=True)


def _latency(level: str, one: One, scripts: Mapping[str, str], pause: float) -> None:
    medians: dict[str, float] = {}
    for name, code in scripts.items():
        one(code)
        took = []
        for _ in range(ROUNDS):
            time.sleep(pause)  # for the pool to refill
            started = time.perf_counter()
            one(code)
            took.append((time.perf_counter() - started) * 1e3)
        medians[name] = statistics.median(took)
        p95 = sorted(took)[int(ROUNDS * 0.95)]
        values = {"p50_ms": round(medians[name], 2), "p95_ms": round(p95, 2)}
        _print(name, level, rounds=ROUNDS, **values)
    each = (medians["calls_100"] - medians["no_call"]) / 100
    _print("call_round_trip", level, mean_ms=round(each, 3))


def _sustained(of: Level, clients: int, seconds: float, code: str) -> None:
    """Runs per second of `clients` that each start the next run at once."""
    done = [0] * clients
    cpu = _cpu_ticks()
    started = time.perf_counter()
    deadline = started + seconds

    def client(number: int) -> None:
        while time.perf_counter() < deadline:
            of.one(of.scripts[code])
            done[number] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - started
    cores = os.cpu_count() or 1
    _print(
        f"sustained_{code}",
        of.name,
        clients=clients,
        runs=sum(done),
        runs_per_s=round(sum(done) / took, 1),
        cores=cores,
        # of the whole machine: what else runs on it counts as well
        machine_busy=round((_cpu_ticks() - cpu) / took / cores, 2),
    )


def _cpu_ticks() -> float:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    busy = sum(map(int, fields)) - int(fields[3]) - int(fields[4])
    return busy / os.sysconf("SC_CLK_TCK")


def _idle_memory(level: str, folder: Path, name: bytes = b"runsc-sandbox") -> None:
    found = []
    for process in Path("/proc").iterdir():
        try:
            arguments = (process / "cmdline").read_bytes()
            rollup = (process / "smaps_rollup").read_text()
        except OSError:
            continue
        if str(folder).encode() in arguments and name in arguments:
            found.append(int(rollup.split("Pss:")[1].split()[0]) / 1024)
    if found:
        mean = round(sum(found) / len(found), 1)
        _print("idle_memory", level, sandboxes=len(found), mean_pss_mb=mean)


def main() -> None:
    """Boot every level, then measure one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work-dir", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--size", type=int, default=8, help="warm sandboxes, level run")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as scratch:
        folder = (options.work_dir or Path(scratch)).resolve()
        run = GVisorProvider(folder / "run", options.size, typescript_size=options.size)
        team = TeamProvider(folder / "team", run)
        bare = MontyProvider(options.clients)
        try:
            _boot(run, team, bare, folder)
            with Monty(max_processes=options.clients) as pool:
                for of in _levels(run, team, bare, pool):
                    _latency(of.name, of.one, of.scripts, of.pause)
                    for code in ("no_call", "calls_10"):
                        _sustained(of, options.clients, options.seconds, code)
            assert team.fallbacks == 0, "a run of level team went to level run"
        finally:
            team.close()
            run.close()
            bare.close()


def _levels(
    run: GVisorProvider, team: TeamProvider, bare: MontyProvider, pool: Monty
) -> list[Level]:
    found = [
        Level("run", _through(run), SCRIPTS, 0.2),
        Level("run_typescript", _through(run, "typescript"), TYPESCRIPTS, 0.2),
        Level("team", _through(team), SCRIPTS),
        Level("monty", _through(bare), SCRIPTS),
        Level("monty_straight", _straight(pool), SCRIPTS),
        Level("subprocess", _process, SCRIPTS),
    ]
    if DENO.exists():
        found.append(Level("deno", _deno, TYPESCRIPTS))
    else:
        _print("missing", "deno", message="run bin/setup --bench")
    return found


def _boot(
    run: GVisorProvider, team: TeamProvider, bare: MontyProvider, folder: Path
) -> None:
    for level, provider in (("run", run), ("team", team), ("monty", bare)):
        started = time.perf_counter()
        provider.start()
        first = time.perf_counter() - started
        image = next((folder / level / "image").glob("*.erofs"), None)
        size = round(image.stat().st_size / 1e6, 1) if image else 0
        _print("start", level, seconds=round(first, 2), image_mb=size)
    one = _through(team)
    one("1")
    time.sleep(3)  # pools are full, the team's sandbox is stopped
    _idle_memory("run", folder / "run")
    _idle_memory("team", folder / "team")


if __name__ == "__main__":
    main()
