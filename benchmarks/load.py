"""Eight clients at once: the first burst on a full pool, then as fast as it goes."""

import asyncio
import time

from benchmarks.cases import Case
from benchmarks.client import Peer, connected
from benchmarks.figures import median, show, spread

CLIENTS = 8
BURST_PAUSE_SECONDS = 3.0
SUSTAINED_SECONDS = 5.0
_WARM_RUNS = 3
_WARM_PAUSE_SECONDS = 1.0


async def wait_warm(peer: Peer, case: Case) -> None:
    """Run some times, so that code, connections and sandboxes are there."""
    for _ in range(_WARM_RUNS):
        await peer.execute(case)
        await asyncio.sleep(_WARM_PAUSE_SECONDS)


async def closed_loop(name: str, url: str, key: str, case: Case) -> None:
    """Runs of a case per second, by eight clients that never pause."""
    bursts, took, levels = [], [], set()
    async with asyncio.TaskGroup() as group:
        ready, go = asyncio.Barrier(CLIENTS + 1), asyncio.Barrier(CLIENTS + 1)

        async def client() -> None:
            async with connected(name, url, key) as peer:
                await peer.execute(case)
                await ready.wait()
                await go.wait()
                bursts.append(await peer.execute(case))
                ended = time.perf_counter() + SUSTAINED_SECONDS
                while time.perf_counter() < ended:
                    took.append(await peer.execute(case))
                    levels.add(peer.level)

        for _ in range(CLIENTS):
            group.create_task(client())
        await ready.wait()
        # The pool, if there is one, is full again when the burst comes.
        await asyncio.sleep(BURST_PAUSE_SECONDS)
        await go.wait()
        started = time.perf_counter()
    seconds = time.perf_counter() - started
    show(
        "closed_loop",
        peer=name,
        case=case.name,
        levels=sorted(levels - {""}),
        clients=CLIENTS,
        burst_runs_per_s=round(CLIENTS / max(bursts) * 1e3, 1),
        burst_median_ms=round(median(bursts), 2),
        sustained_runs_per_s=round((CLIENTS + len(took)) / seconds, 1),
        **spread(took),
    )
