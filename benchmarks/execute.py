"""Tollgate beside FastMCP CodeMode with Monty, in one run; JSON lines.

    python -m benchmarks.execute [--rounds N] [--data-dir DIR]

Peers: Tollgate with gVisor, policy, journal and audit, its tools on a server over HTTP;
FastMCP with the same ten functions in its own process; FastMCP as a proxy of that same
server, which does what Tollgate does but for all governance.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks import cpu, load, profile
from benchmarks.cases import CASES, DIRECT_CALLS, Case
from benchmarks.client import Peer, connected
from benchmarks.figures import Window, median, show, spread
from benchmarks.stack import BASE, POOL, Stack, StackError
from config.embedded import EnginesError

PEERS = {"tollgate": "web", "fastmcp": "fastmcp", "fastmcp_proxy": "fastmcp-proxy"}
WARM_UP = 3
# A run uses up a sandbox, and its successor costs 80 to 185 ms of CPU: without a pause
# the next sample would measure that. The pause is the same for everybody.
PAUSE_SECONDS = 0.3
# On a busy machine there are fewer rounds, not more minutes; each figure says how many.
LATENCY_SECONDS = 80.0
PROFILE_SECONDS = 30.0
TEAM_WAITS = 30
AIMS = {"no_call": 2.5, "sequential_10": 1.5, "sequential_100": 1.0}
DIRECT_AIM = 10.0
DIRECT_ROUNDS = 3
LOADED = (CASES[0], CASES[2])
PARTS = ("latency", "load", "replay", "profile")


async def open_peers(stack: Stack, into: AsyncExitStack) -> list[Peer]:
    """A session with each peer."""
    return [
        await into.enter_async_context(
            connected(name, stack.url(process), stack.key if name == "tollgate" else "")
        )
        for name, process in PEERS.items()
    ]


async def latency(
    stack: Stack, peers: Sequence[Peer], rounds: int
) -> dict[tuple[str, str], float]:
    """Each case with each peer in turn, one request at a time; the medians."""
    took: dict[tuple[str, str], list[float]] = {}
    spent: dict[tuple[str, str], list[dict[str, float]]] = {}
    roots = {name: process.pid for name, process in stack.processes.items()}
    late = time.monotonic() + LATENCY_SECONDS
    for number in range(WARM_UP + rounds):
        if time.monotonic() > late and took:
            break
        for case in CASES:
            for peer in peers:
                before = cpu.used(roots)
                milliseconds = await peer.execute(case)
                after = cpu.used(roots)
                await asyncio.sleep(PAUSE_SECONDS if peer.name == "tollgate" else 0.05)
                if number >= WARM_UP:
                    key = (peer.name, case.name)
                    took.setdefault(key, []).append(milliseconds)
                    spent.setdefault(key, []).append(cpu.since(before, after))
    for (name, case_name), samples in took.items():
        show("execute", peer=name, case=case_name, **spread(samples))
        _show_cpu(name, case_name, spent[name, case_name])
    return {key: median(samples) for key, samples in took.items()}


def _show_cpu(peer: str, case: str, rows: Sequence[dict[str, float]]) -> None:
    parts = {
        name: round(sum(row.get(name, 0.0) for row in rows) / len(rows) * 1e3, 2)
        for name in rows[0]
    }
    shown = {name: value for name, value in parts.items() if value}
    show("execute_cpu", peer=peer, case=case, mean_cpu_ms=shown)


async def direct(peer: Peer) -> float:
    """How many times longer 100 tools/call take than one script with 100 calls.

    The two are measured in turn, so that both meet the same machine.
    """
    script = next(case for case in CASES if case.calls == DIRECT_CALLS)
    took: list[float] = []
    scripts: list[float] = []
    for _ in range(DIRECT_ROUNDS):
        scripts.append(await peer.execute(script))
        started = time.perf_counter()
        for number in range(DIRECT_CALLS):
            await peer.call("trivial.add", {"a": number, "b": 1})
        took.append((time.perf_counter() - started) * 1e3)
    show("direct", peer=peer.name, case=f"{DIRECT_CALLS}_tools_call", **spread(took))
    show("direct", peer=peer.name, case=script.name, **spread(scripts))
    return median(took) / median(scripts)


async def profiled(stack: Stack, rounds: int) -> None:
    """Run web and runner with clocks in them, and print where the time goes."""
    folder = stack.data_dir / "probes"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    stack.env["BENCH_PROBES"] = str(folder)
    stack.stop_tollgate()
    stack.start_tollgate([sys.executable, "-m", "benchmarks.probed"])
    windows: dict[Case, list[Window]] = {case: [] for case in CASES}
    async with connected("tollgate", stack.url("web"), stack.key) as peer:
        await load.wait_warm(peer, CASES[0])
        late = time.monotonic() + PROFILE_SECONDS
        for number in range(WARM_UP + rounds):
            if time.monotonic() > late and windows[CASES[-1]]:
                break
            for case in CASES:
                started = time.time()
                await peer.execute(case)
                if number >= WARM_UP:
                    windows[case].append(Window(started, time.time()))
                await asyncio.sleep(PAUSE_SECONDS)
    stack.stop_tollgate()
    spans = profile.read(folder)
    for case, found in windows.items():
        parts = profile.breakdown(spans, found)
        show("profile", case=case.name, n=len(found), median_ms=parts)
        show("profile_counts", case=case.name, **profile.counts(spans, found))


async def loaded(stack: Stack) -> None:
    """Runs per second of each peer, of ours at both isolation levels."""
    peers = {
        "tollgate": (stack.url("web"), stack.key),
        "tollgate_team": (stack.url("web"), stack.team_key),
        "fastmcp": (stack.url("fastmcp"), ""),
        "fastmcp_proxy": (stack.url("fastmcp-proxy"), ""),
    }
    async with connected("tollgate_team", *peers["tollgate_team"]) as peer:
        # The first run of a team has its sandbox made, and does not wait for it.
        for _ in range(TEAM_WAITS):
            await peer.execute(CASES[0])
            if peer.level == "team":
                break
            await asyncio.sleep(1.0)
    for name, (url, key) in peers.items():
        for case in LOADED:
            await load.closed_loop(name, url, key, case)
    await asyncio.sleep(load.BURST_PAUSE_SECONDS)


async def measure(stack: Stack, rounds: int, parts: Sequence[str]) -> None:
    """The figures asked for, and the ratios against the aims."""
    if "latency" in parts:
        async with AsyncExitStack() as open_sessions:
            peers = await open_peers(stack, open_sessions)
            for peer in peers:
                await load.wait_warm(peer, CASES[0])
            medians = await latency(stack, peers, rounds)
            gain = await direct(peers[0])
        summary(medians, gain)
    if "load" in parts:
        await loaded(stack)
    if "replay" in parts:
        stack.stop_tollgate()
        print(stack.once("-m", "benchmarks.replay", stack.key), flush=True)
    if "profile" in parts:
        await profiled(stack, max(4, rounds // 2))


def summary(medians: dict[tuple[str, str], float], gain: float) -> None:
    """What is reached of what was aimed at."""
    for case, limit in AIMS.items():
        ours = medians["tollgate", case]
        for peer in ("fastmcp", "fastmcp_proxy"):
            ratio = ours / medians[peer, case]
            show(
                "aim",
                case=case,
                against=peer,
                ratio=round(ratio, 2),
                aim=f"at most {limit}",
                reached=ratio <= limit,
            )
    show(
        "aim",
        case="100 calls in one script",
        against="100 separate tools/call",
        ratio=round(gain, 2),
        aim=f"at least {DIRECT_AIM:.0f}",
        reached=gain >= DIRECT_AIM,
    )


def main() -> int:
    """Start everything, measure, stop everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--data-dir", type=Path, default=BASE / "var/bench")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stack = Stack(options.data_dir.absolute())
    code = 0
    try:
        stack.start()
        show("machine", cores=os.cpu_count(), load=os.getloadavg()[0], pool=POOL)
        asyncio.run(measure(stack, options.rounds, options.parts))
    except (StackError, EnginesError) as error:
        print(error, file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    finally:
        stack.stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
