"""An event loop whose only source of events is the channel to the host.

asyncio's own loop needs a socket pair, which a sandbox refuses, and a thread hop or
a selector round for each reply, which cost more than the call itself.
"""

import asyncio
import contextlib
import os
import select
import threading
import time
from typing import Any

from .channel import Channel
from .toolkit import Caller

_monotonic = time.monotonic  # the real one: this runs before the clock is pinned
_MOST_BUSY_ROUNDS = 3


class ChannelLoop(asyncio.BaseEventLoop):
    """Runs tasks; sends their tool calls together whenever all of them wait."""

    def __init__(self, channel: Channel, caller: Caller) -> None:
        super().__init__()
        self._selector = self
        self._caller = caller
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._incoming = channel.incoming
        self._poll = select.poll()
        self._poll.register(channel.incoming, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)
        self._busy_rounds = 0
        self.main: asyncio.Task[Any] | None = None
        """The script's own task, where it awaits at top level."""

    def time(self) -> float:
        return _monotonic()

    def close(self) -> None:
        if not self.is_closed():
            os.close(self._wake_read)
            os.close(self._wake_write)
        super().close()

    def select(self, timeout: float | None) -> list[Any]:
        """Wait for replies, a timer or another thread; asyncio calls this."""
        if timeout == 0 and self._busy_rounds < _MOST_BUSY_ROUNDS:
            self._busy_rounds += 1
            return []
        self._busy_rounds = 0
        caller = self._caller
        threads = threading.active_count() > 1
        idle = timeout is None and not threads
        caller.send_queued(idle=idle)
        if self._ready:  # type: ignore[attr-defined]
            return []  # a call was refused: its task goes on first
        if not idle:
            self._wait(timeout)
        elif caller.waiting:
            caller.take_replies()
        else:
            self._end_vain_wait()
        return []

    def _end_vain_wait(self) -> None:
        """Raise where the script waits, so that the error has that line."""
        error = RuntimeError("the script awaits something that never happens")
        waiter: Any = self.main
        while isinstance(waiter, asyncio.Task):
            waiter = waiter._fut_waiter  # type: ignore[attr-defined]
        if waiter is None or waiter.done():
            raise error
        waiter.set_exception(error)

    def _wait(self, timeout: float | None) -> None:
        for descriptor, _ in self._poll.poll(
            None if timeout is None else max(0, timeout) * 1_000
        ):
            if descriptor == self._incoming:
                self._caller.take_replies()
            else:
                os.read(self._wake_read, 4_096)

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake already
            os.write(self._wake_write, b"\0")


class ChannelPolicy(asyncio.DefaultEventLoopPolicy):
    """Gives asyncio.run and its like a ChannelLoop."""

    def __init__(self, channel: Channel, caller: Caller) -> None:
        super().__init__()
        self._channel = channel
        self._caller = caller

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return ChannelLoop(self._channel, self._caller)
