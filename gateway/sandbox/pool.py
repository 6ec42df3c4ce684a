"""Keeps sandboxes booted ahead of need; hands each out once."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.member import Haste, Member

_LONGEST_PAUSE = 10.0


class Pool:
    """`size` frozen members; boots replacements, at most `boots` at a time.

    While runs wait twice as many are booted at once, since a boot itself waits for
    half its time, and those that were begun as spare ones may be slow.
    """

    def __init__(
        self,
        boot: Callable[[Haste], Member],
        *,
        size: int,
        boots: int,
    ) -> None:
        self._boot = boot
        self._size = size
        self._idle: deque[Member] = deque()
        self._changed = threading.Condition()
        self._booting = 0
        self._hurried = 0
        self._wanted = 0
        self._failures = 0
        self._closed = False
        self.last_error = ""
        self.booted = 0
        self._boots = boots
        self._booters = ThreadPoolExecutor(2 * boots, "sandbox-boot")
        self._used: queue.SimpleQueue[Member | None] = queue.SimpleQueue()
        self._disposer = threading.Thread(
            target=self._dispose, name="sandbox-dispose", daemon=True
        )
        self._disposer.start()

    @property
    def idle(self) -> int:
        """Sandboxes that wait for a run."""
        return len(self._idle)

    def fill(self) -> None:
        """Start as many boots as are missing."""
        with self._changed:
            self._fill()

    def _fill(self) -> None:
        missing = self._size + self._wanted - len(self._idle) - self._booting
        most = self._boots * (2 if self._wanted else 1)
        for _ in range(min(missing, most - self._booting)):
            if self._closed:
                return
            hurried = self._wanted - len(self._idle) > self._hurried
            self._booting += 1
            self._hurried += hurried
            self._booters.submit(self._boot_one, Haste.NOW if hurried else Haste.SPARE)

    def _boot_one(self, haste: Haste) -> None:
        member, error = None, ""
        try:
            member = self._boot(haste)
            member.freeze()
        except SandboxUnavailable as failure:
            error = str(failure)
        except Exception as failure:  # noqa: BLE001 - a booter must go on
            error = f"{type(failure).__name__}: {failure}"
        with self._changed:
            self._booting -= 1
            self._hurried -= haste is Haste.NOW
            closed = self._closed
            if member is not None and not closed:
                self._idle.append(member)
                self.booted += 1
                self._failures = 0
            else:
                self._failures += 1
                self.last_error = error or self.last_error
            self._changed.notify_all()
            if member is not None:
                self._fill()
        if closed and member is not None:
            member.dispose()
        elif member is None and not closed:
            self._retry()

    def _retry(self) -> None:
        pause = min(_LONGEST_PAUSE, 0.25 * 2 ** min(self._failures, 8))
        with self._changed:
            self._changed.wait_for(lambda: self._closed, pause)
            self._fill()

    def acquire(self, timeout: float, is_cancelled: Callable[[], bool]) -> Member:
        """Take a live member and let it run. Raises SandboxUnavailable."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._wanted += 1
            try:
                member = self._take(deadline, is_cancelled)
            finally:
                self._wanted -= 1
                self._fill()
        member.thaw()
        return member

    def _take(self, deadline: float, is_cancelled: Callable[[], bool]) -> Member:
        while True:
            while self._idle:
                member = self._idle.popleft()
                if member.alive:
                    return member
                self._used.put(member)
            self._fill()
            left = deadline - time.monotonic()
            if self._closed or is_cancelled():
                raise SandboxUnavailable("the sandbox pool is closed")
            if left <= 0:
                raise SandboxUnavailable(
                    self.last_error or "all sandboxes are in use: try again"
                )
            self._changed.wait(min(left, 0.1))

    def discard(self, member: Member) -> None:
        """Kill a used member at once; its remains go in the background."""
        member.kill()
        with self._changed:
            if not self._closed:
                self._used.put(member)
                return
        member.dispose()

    def _dispose(self) -> None:
        while (member := self._used.get()) is not None:
            member.dispose()

    def close(self) -> None:
        """Dispose of every idle member; those in use belong to their runs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._booters.shutdown(wait=True, cancel_futures=True)
        while self._idle:
            self._used.put(self._idle.popleft())
        self._used.put(None)
        self._disposer.join()
