"""kill -9 of each process: no record is lost, nothing hangs, nothing happens twice."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from mcp import MCPError

from gateway.models import ToolCall
from tests.crashes import kill_engine
from tests.integration.kill.conftest import PATIENCE, Scene, away

pytestmark = pytest.mark.slow


def writing(name: str, times: int, seconds: float) -> str:
    """A script that writes some entries one after the other."""
    return (
        "from tools import ledger\n"
        f"for n in range({times}):\n"
        f"    ledger.put(entry=f'{name}-{{n}}', seconds={seconds})\n"
        f"return {times}"
    )


def sandboxes(data_dir: Path) -> set[str]:
    """Processes of sandboxes under a data directory."""
    marker = f"{data_dir}/sandbox/runners/"
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if marker in line:
                found.add(entry.name)
    return found


def test_runner(scene: Scene) -> None:
    kept = scene.finished("before the runner dies")
    slow = "from tools import ledger\nreturn ledger.{}"
    write = scene.begin(slow.format("put(entry='interrupted write', seconds=8)"))
    read = scene.begin(slow.format("look(seconds=8)"))
    several = [scene.begin(writing(f"runner {n}", 40, 0.05)) for n in range(3)]
    scene.wait_for_entry("interrupted write")
    scene.wait_for_entry("runner 2-1")
    gone = sandboxes(scene.stack.data_dir)

    scene.stack.kill("runner")
    waiting = scene.begin(writing("submitted while no runner was there", 1, 0))
    scene.stack.wait_for(
        lambda: not gone & sandboxes(scene.stack.data_dir), "sandboxes to die", 10
    )
    scene.stack.start("runner")

    assert scene.wait_until_ended(write, read, waiting) == [
        "awaiting_outcome",
        "succeeded",
        "succeeded",
    ]
    for status in scene.wait_until_ended(*several):
        assert status in ("succeeded", "awaiting_outcome")
    assert [call["outcome"] for call in scene.record(write).calls] == ["unknown"]
    assert [call["outcome"] for call in scene.record(read).calls] == ["ok"]
    assert scene.record(read).run["epoch"] == 2
    assert scene.record(write).events[-1] == "run.held"
    scene.check(kept=kept)


def test_a_runner_that_lost_its_lease_sends_nothing_more(scene: Scene) -> None:
    """Stopped like a stalled machine, it comes back after its runs were taken away."""
    uid = scene.begin(writing("stalled", 200, 0.05))
    scene.wait_for_entry("stalled-1")
    stalled = scene.stack.processes["runner"]

    stalled.send_signal(signal.SIGSTOP)
    try:
        scene.stack.wait_for(
            lambda: scene.status(uid) == "queued", "the lease to lapse", PATIENCE
        )
    finally:
        stalled.send_signal(signal.SIGCONT)
    assert scene.finished("after the stall")

    # The same process takes the run again; what it sent before the stall is replayed.
    ended = scene.wait_until_ended(uid)[0]
    assert ended in ("succeeded", "awaiting_outcome")
    if ended == "succeeded":
        assert sum(name.startswith("stalled") for name in scene.entries()) == 200
    assert scene.record(uid).run["epoch"] >= 2
    scene.check(kept={})


def test_web(scene: Scene) -> None:
    kept = scene.finished("before web dies")
    uid = scene.begin(writing("web", 10, 0.1))
    scene.wait_for_entry("web-1")

    with ThreadPoolExecutor(1) as agent:
        asked = writing("asked", 10, 0.1)
        waiting = agent.submit(scene.stack.execute, scene.key, asked)
        scene.wait_for_entry("asked-1")
        scene.stack.kill("web")
        with pytest.raises((ExceptionGroup, MCPError, httpx2.HTTPError)):
            waiting.result()
    scene.stack.start("web")
    scene.stack.wait_ready()

    assert scene.wait_until_ended(uid) == ["succeeded"]
    answer = scene.stack.ask(scene.key, "get_run", {"run": uid})
    assert answer["value"] == 10
    assert len(answer["calls"]) == 10
    scene.stack.wait_for(lambda: scene.entries()["asked-9"], "the other run", 30)
    with scene.stack.database():
        other = ToolCall.objects.get(arguments__contains="asked-9").run.uid
    assert scene.wait_until_ended(other) == ["succeeded"]
    scene.check(kept=kept)


def test_worker_and_beat(scene: Scene) -> None:
    kept = scene.finished("before the worker dies")
    scene.stack.kill("worker")
    scene.stack.kill("beat")
    uid = scene.begin(writing("nobody sweeps", 1, 8))
    scene.wait_for_entry("nobody sweeps-0")
    scene.stack.kill("runner")

    scene.stack.start("worker", "beat", "runner")

    assert scene.wait_until_ended(uid) == ["awaiting_outcome"]
    assert [call["outcome"] for call in scene.record(uid).calls] == ["unknown"]
    scene.check(kept=kept)


def test_redis(scene: Scene) -> None:
    kept = scene.finished("before Redis dies")
    running = [scene.begin(writing(f"redis {n}", 20, 0.1)) for n in range(2)]
    scene.wait_for_entry("redis 1-1")

    kill_engine(scene.stack, "redis")

    # Whether Redis is back already or not, a run that is taken is not lost.
    after = scene.begin(writing("after Redis", 1, 0))
    assert scene.wait_until_ended(*running, after) == ["succeeded"] * 3
    assert scene.finished("once Redis is back")
    scene.check(kept=kept)


def test_what_is_asked_while_redis_is_away_runs_when_it_is_back(
    scene: Scene,
) -> None:
    kept = scene.finished("before Redis stays away")
    running = scene.begin(writing("redis away", 20, 0.1))
    scene.wait_for_entry("redis away-1")

    with away(scene, "redis"):
        began = time.monotonic()
        asked = scene.begin(writing("asked without Redis", 1, 0))
        assert time.monotonic() - began < 15
        scene.wait_for_entry("redis away-19")
        assert scene.status(asked) == "queued"

    assert scene.wait_until_ended(running, asked) == ["succeeded"] * 2
    scene.check(kept=kept)


def test_postgresql(scene: Scene) -> None:
    kept = scene.finished("before PostgreSQL dies", "and another")
    running = [scene.begin(writing(f"postgres {n}", 60, 0.05)) for n in range(3)]
    scene.wait_for_entry("postgres 2-1")

    kill_engine(scene.stack, "postgres")

    scene.stack.wait_ready()
    for status in scene.wait_until_ended(*running):
        assert status in ("succeeded", "awaiting_outcome")
    assert scene.finished("once PostgreSQL is back")
    scene.check(kept=kept)


def test_while_postgresql_is_away_nothing_is_called(scene: Scene) -> None:
    kept = scene.finished("before PostgreSQL stays away")
    uid = scene.begin(writing("without a record", 100, 0.1))
    scene.wait_for_entry("without a record-1")

    with away(scene, "postgres"):
        time.sleep(1)
        entries = scene.entries()
        refused = httpx2.post(
            scene.stack.mcp_url,
            headers={"Authorization": f"Bearer {scene.key}"},
            content=b"{}",
            timeout=30,
        )
        time.sleep(1)
        assert scene.entries() == entries

    assert refused.status_code == 503
    scene.stack.wait_ready()
    assert scene.wait_until_ended(uid)[0] in ("succeeded", "awaiting_outcome")
    scene.check(kept=kept)
