"""Looks at every running sandbox 20 times a second and ends what is over a limit."""

import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

from gateway.sandbox.api import Limits
from gateway.sandbox.member import Member

PERIOD = 0.05  # seconds
_TICKS_BETWEEN_SCANS = 8


@dataclass(slots=True)
class Watched:
    """One run under watch; `verdict` is the first limit it passed."""

    member: Member
    limits: Limits
    cancelled: threading.Event | None
    deadline: float
    """On the monotonic clock."""
    verdict: str | None = None
    ticks: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def end(self, code: str) -> None:
        """Kill the sandbox for `code`, unless it was ended for another reason."""
        with self._lock:
            if self.verdict is None:
                self.verdict = code
        self.member.kill()

    def check(self) -> None:
        """Measure, and end the run if a limit is passed."""
        meter = self.member.meter
        if self.ticks % _TICKS_BETWEEN_SCANS == 0:
            meter.look_for_processes()
        self.ticks += 1
        if self.cancelled is not None and self.cancelled.is_set():
            self.end("cancelled")
        elif meter.memory() > self.limits.memory_mb << 20:
            self.end("memory")
        elif meter.cpu() > self.limits.cpu_seconds:
            self.end("cpu_time")
        elif time.monotonic() > self.deadline:
            self.end("wall_time")


class Checked(Protocol):
    """What can be watched: a run, or a sandbox with many."""

    def check(self) -> None:
        """Measure, and end what is over a limit."""
        ...

    def end(self, code: str) -> None:
        """End it."""
        ...


class Watch:
    """One thread for all runs of a provider."""

    def __init__(self) -> None:
        self._watched: dict[int, Checked] = {}
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._closed = False
        self._thread = threading.Thread(
            target=self._loop, name="sandbox-watch", daemon=True
        )
        self._thread.start()

    def add(self, run: Checked) -> None:
        """Begin to watch."""
        with self._lock:
            self._watched[id(run)] = run
        self._work.set()

    def remove(self, run: Checked) -> None:
        """Watch no more; returns when no check of it is under way."""
        with self._lock:
            self._watched.pop(id(run), None)

    @property
    def running(self) -> int:
        """Runs under watch."""
        return len(self._watched)

    def _loop(self) -> None:
        while not self._closed:
            self._work.wait()
            time.sleep(PERIOD)
            with self._lock:  # so that no member is disposed of during its check
                for run in list(self._watched.values()):
                    run.check()
                if not self._watched and not self._closed:
                    self._work.clear()

    def end_all(self, code: str) -> None:
        """End every run."""
        with self._lock:
            for run in self._watched.values():
                run.end(code)

    def wait_until_idle(self, timeout: float) -> None:
        """Wait until every run has been removed, `timeout` seconds at most."""
        deadline = time.monotonic() + timeout
        while self._watched and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        """Stop the thread."""
        self._closed = True
        self._work.set()
        self._thread.join()
