"""Runs scripts in Monty alone: for machines without gVisor, a Python subset only.

Each run has a fresh interpreter in a worker process of Monty's own. That process has no
kernel isolation: what keeps a script from the machine is Monty, and nothing else.
"""

import json
import logging
import os
import queue
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from pydantic_monty import Monty

from gateway.sandbox import channel
from gateway.sandbox.api import JSON, Job, OnCall, Result, ScriptError, Usage
from gateway.sandbox.errors import (
    MESSAGES,
    RETRYABLE,
    SandboxUnavailable,
    Violation,
)
from gateway.sandbox.harness.monty import driver, failure, subset
from gateway.sandbox.harness.monty.offers import MontyOffers
from gateway.sandbox.process import cpu_seconds
from gateway.sandbox.team.talk import OUTSIDE, Talk, mentioned
from gateway.sandbox.watch import Watch

_log = logging.getLogger(__name__)
_CALL_THREADS = 32
_GRACE_SECONDS = 1.0  # for Monty to stop by itself
_MEMORY_SLACK = 96 << 20  # bytes of a worker over its script's limit
_CPU_FACTOR, _CPU_SLACK = 1.5, 2.0


class MontyProvider:
    """A pool of Monty's workers; `size` runs at the same time."""

    name = "monty"

    def __init__(
        self,
        size: int = 8,
        *,
        max_recursion_depth: int = 1_000,
        gc_interval: int | None = None,
    ) -> None:
        """Limits that a job does not name are set here, for every run."""
        self._size = size
        self._more: dict[str, JSON] = {"max_recursion_depth": max_recursion_depth}
        if gc_interval is not None:
            self._more["gc_interval"] = gc_interval
        self._lock = threading.Lock()
        self._closed = False
        self._pool: Monty | None = None
        self._runs = 0
        self._running = 0

    def start(self) -> None:
        """Start the workers. Raises SandboxUnavailable."""
        with self._lock:
            if self._closed:
                raise SandboxUnavailable("the Monty provider is closed")
            if self._pool is not None:
                return
            try:
                pool = Monty(
                    max_processes=self._size,
                    checkout_timeout=30.0,
                    feed_duration_limit_grace=_GRACE_SECONDS,
                )
                self._pool = pool.__enter__()
            except (OSError, RuntimeError) as error:
                raise SandboxUnavailable(f"Monty did not start: {error}") from None
            self._offers = MontyOffers(self._pool)
            self._calls = ThreadPoolExecutor(_CALL_THREADS, "monty-call")
            self._scripts = ThreadPoolExecutor(self._size, "monty-run")
            self._watch = Watch()

    def run(
        self, job: Job, on_call: OnCall, cancelled: threading.Event | None = None
    ) -> Result:
        """See Provider.run."""
        started = time.monotonic()
        if job.language != "python":
            return _unrun(f"no sandbox here runs {job.language}: it needs gVisor")
        try:
            self.start()
        except SandboxUnavailable as reason:
            return _unrun(str(reason))
        with self._lock:
            self._runs += 1
            self._running += 1
        try:
            return self._run(job, on_call, cancelled, started)
        finally:
            with self._lock:
                self._running -= 1

    def _run(
        self,
        job: Job,
        on_call: OnCall,
        cancelled: threading.Event | None,
        started: float,
    ) -> Result:
        talk = Talk(job, on_call, self._calls, cancelled)
        script = _Script(talk, self._more)
        dispatched = time.monotonic()
        self._watch.add(script)
        assert self._pool is not None  # noqa: S101 - started by now
        future = self._scripts.submit(script.run, self._pool, self._offers)
        code = ""
        try:
            talk.hold(script.reply)
        except Exception:  # noqa: BLE001 - a run must end with a result
            _log.exception("run %s: a tool call raised", job.run)
            code = "internal"
        finally:
            self._watch.remove(script)
            script.stop()
            future.result()
        error = _explained(talk.error(code))
        usage = Usage(
            wall_seconds=time.monotonic() - dispatched,
            cpu_seconds=script.cpu_seconds,
            peak_memory_bytes=script.peak_memory,
            dispatch_seconds=dispatched - started,
            waiting_seconds=talk.waited,
        )
        return Result(
            ok=error is None,
            value=talk.value if error is None else None,
            stdout=talk.stdout,
            stdout_truncated=talk.stdout_truncated,
            error=error,
            usage=usage,
            calls=talk.calls,
            level="monty",
        )

    def close(self) -> None:
        """See Provider.close."""
        with self._lock:
            self._closed = True
            if self._pool is not None:
                self._watch.end_all("cancelled")
                self._scripts.shutdown(wait=True)
                self._watch.close()
                self._calls.shutdown(wait=True)
                self._pool.__exit__(None, None, None)
                self._pool = None

    def describe(self) -> dict[str, JSON]:
        """See Provider.describe."""
        return {
            "provider": self.name,
            "level": "monty",
            "open": self._pool is not None,
            "size": self._size,
            "idle": self._size - self._running,
            "booted": self._size,
            "running": self._running,
            "platform": "a plain process, without kernel isolation",
            "runs": self._runs,
            "kernel_isolation": False,
        }


class _Script:
    """One script in a worker: the driver's port, and what the watch looks at."""

    def __init__(self, talk: Talk, more: dict[str, JSON]) -> None:
        self._talk = talk
        self._more = more
        self._inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._ended = False
        self._lock = threading.Lock()
        self._pid = 0
        self._pidfd = -1
        self._cpu_base = 0.0
        self.cpu_seconds = 0.0
        self.peak_memory = 0

    # On the driver's thread

    def run(self, pool: Monty, offers: MontyOffers) -> None:
        """Drive the script; its ending goes the way of a sandbox's frames."""
        limits = self._talk.job.limits
        job = {
            "code": self._talk.job.code,
            "seed": str(self._talk.job.seed),
            "started_at": self._talk.job.started_at,
            "tools": mentioned(self._talk.job).tools,
            "limits": {name: getattr(limits, name) for name in limits.__slots__},
            "monty": self._more,
        }
        try:
            text = driver.Run(job, self, self._release).run(pool, offers, self._hold)
        except subset.OutsideSubset as reason:
            text = failure.frame(OUTSIDE, reason.reason, reason.line)
        except driver.Ended:
            return
        except Exception:  # noqa: BLE001 - the run must hear of its end
            _log.exception("run %s: Monty's driver failed", self._talk.job.run)
            self._talk.end("internal")
            return
        self._say(text)

    def _say(self, text: str) -> None:
        if self._ended:
            return
        frame = text.encode("ascii")
        try:
            self._talk.take(channel.decode(frame), len(frame))
        except Violation as violation:
            self._talk.end(violation.code)

    def send(self, calls: list[tuple[int, str, str, bool]]) -> None:
        """See driver.Port."""
        for step, tool, arguments, alone in calls:
            head = {"t": "call", "id": step, "tool": tool, "alone": alone}
            self._say(f'{json.dumps(head)[:-1]},"arguments":{arguments}}}')

    def receive(self, timeout: float | None) -> list[dict[str, Any]]:
        """See driver.Port."""
        if self._ended:
            raise driver.Ended
        try:
            message = self._inbox.get(timeout=timeout)
        except queue.Empty:
            return []
        if message is None:
            raise driver.Ended
        return [message]

    def print(self, text: str) -> None:
        """See driver.Port."""
        clean = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        self._say(f'{{"t":"out","text":{json.dumps(clean)}}}')

    def _hold(self, pid: int) -> None:
        with self._lock:
            if pid > 1:
                with suppress(OSError):
                    self._pidfd = os.pidfd_open(pid)
                    self._pid = pid
                    self._cpu_base = cpu_seconds(pid)
            if self._ended:
                self._kill()

    def _release(self, spoiled: bool) -> None:
        """The worker is about to serve another run, or to be replaced."""
        with self._lock:
            self._measure()
            if spoiled:
                self._kill()
            if self._pidfd >= 0:
                os.close(self._pidfd)
            self._pid, self._pidfd = 0, -1

    # On the run's own thread, and the watch's

    def reply(self, number: int, body: bytes) -> None:
        """Hand a reply to the driver."""
        self._inbox.put(orjson.loads(body))

    def stop(self) -> None:
        """End the script wherever it is; the worker is replaced by Monty's pool."""
        with self._lock:
            self._ended = True
            if self._talk.ending is None:
                self._kill()
        self._inbox.put(None)

    def _kill(self) -> None:
        if self._pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _measure(self) -> None:
        if self._pid:
            with suppress(OSError):
                self.cpu_seconds = cpu_seconds(self._pid) - self._cpu_base
                pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
                memory = pages * os.sysconf("SC_PAGE_SIZE")
                self.peak_memory = max(self.peak_memory, memory)

    def check(self) -> None:
        """See watch.Checked."""
        talk, limits = self._talk, self._talk.job.limits
        with self._lock:
            self._measure()
        if talk.cancelled is not None and talk.cancelled.is_set():
            talk.end("cancelled")
        elif time.monotonic() > talk.deadline:
            talk.end("wall_time")
        elif self.peak_memory > (limits.memory_mb << 20) + _MEMORY_SLACK:
            talk.end("memory")
        elif self.cpu_seconds > limits.cpu_seconds * _CPU_FACTOR + _CPU_SLACK:
            talk.end("cpu_time")

    def end(self, code: str) -> None:
        """See watch.Checked."""
        self._talk.end(code)


def _explained(error: ScriptError | None) -> ScriptError | None:
    if error is not None and error.code == OUTSIDE:
        message = f"{MESSAGES[OUTSIDE]}. Lacking: {error.message}"
        return replace(error, message=message)
    return error


def _unrun(message: str) -> Result:
    code = "sandbox_unavailable"
    error = ScriptError(code, message, None, code in RETRYABLE)
    return Result(False, None, "", False, error, Usage(), 0, level="monty")
