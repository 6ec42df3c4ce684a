"""Serves many runs of one team in one sandbox, each in a Monty interpreter of its own.

Every frame names its run. What a run may do is decided by the host, which binds tools,
limits and credentials to the run's number; nothing here is trusted to keep runs apart
but Monty.
"""

import json
import os
import queue
import signal
import struct
import threading
from typing import Any

from pydantic_monty import Monty

from ..channel import Channel  # noqa: TID252 - another name in the image
from . import CAPACITY
from .driver import Ended, Run
from .failure import frame
from .offers import MontyOffers
from .subset import OutsideSubset

_RUN = struct.Struct(">I")
_WARM_UP = """
from tools import warm
rows = [{"id": i, "name": f"row {i}"} for i in range(20)]
total = json.loads(json.dumps(sum(row["id"] for row in rows)))
names = {row["id"]: re.sub("row", "", row["name"]) for row in sorted(rows, key=len)}
return {"total": total, "at": datetime.datetime.now().isoformat(), "names": names}
"""
_WARM_LIMITS = {
    "cpu_seconds": 10.0,
    "memory_mb": 64,
    "result_bytes": 65_536,
    "message_bytes": 65_536,
    "calls": 1,
    "calls_in_flight": 1,
}
_MODULES = "json re collections itertools functools math random datetime time asyncio"


class Numbered(Channel):
    """Frames that begin with their run's number; a plain frame has none."""

    def send_for(self, run: int, texts: list[str]) -> None:
        """Write frames of one run in one go."""
        head = _RUN.pack(run)
        frames = [head + text.encode("ascii") for text in texts]
        data = b"".join([_RUN.pack(len(frame)) + frame for frame in frames])
        with self._writing:
            view = memoryview(data)
            while view:
                view = view[os.write(self._outgoing, view) :]

    def receive_for(self) -> tuple[int, Any]:
        """Wait for the next frame: its run's number, 0 for a plain one, and content."""
        while (frame := self._take()) is None:
            self._fill()
        if frame[:1] == b"{":
            return 0, json.loads(frame)
        return _RUN.unpack_from(frame)[0], json.loads(frame[4:])


class Line:
    """One run's end of the channel; see driver.Port."""

    def __init__(self, channel: Numbered, run: int) -> None:
        self._channel = channel
        self._run = run
        self.inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.ended = False
        self.worker = 0

    def send(self, calls: list[tuple[int, str, str, bool]]) -> None:
        """See Port."""
        texts = []
        for step, tool, arguments, alone in calls:
            head = f'{{"t":"call","id":{step},"tool":{json.dumps(tool)},"alone":'
            flag = "true" if alone else "false"
            texts.append(f'{head}{flag},"arguments":{arguments}}}')
        self.say(texts)

    def receive(self, timeout: float | None) -> list[dict[str, Any]]:
        """See Port."""
        try:
            messages = [self.inbox.get(timeout=timeout)]
        except queue.Empty:
            return []
        while not self.inbox.empty():
            messages.append(self.inbox.get())
        if self.ended:
            raise Ended
        return messages

    def print(self, text: str) -> None:
        """See Port."""
        text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        for start in range(0, len(text), 1 << 18):
            piece = json.dumps(text[start : start + (1 << 18)])
            self.say([f'{{"t":"out","text":{piece}}}'])

    def say(self, texts: list[str]) -> None:
        """Write frames, unless the host has ended the run."""
        if self.ended:
            raise Ended
        self._channel.send_for(self._run, texts)

    def end(self) -> None:
        """Stop the run wherever it is: waiting, or running in its worker."""
        self.ended = True
        self.inbox.put({})
        if self.worker > 1:
            os.kill(self.worker, signal.SIGKILL)


Waiting = queue.SimpleQueue[tuple[int, "Line", dict[str, Any]]]


class Server:
    """Reads the channel on the main thread; runs have CAPACITY threads."""

    def __init__(self, channel: Numbered, pool: Monty) -> None:
        self._channel = channel
        self._pool = pool
        self._offers = MontyOffers(pool)
        self._lines: dict[int, Line] = {}
        self._lock = threading.Lock()
        self._waiting: Waiting = queue.SimpleQueue()

    def serve(self) -> None:
        """Until the host is gone, which ends the process."""
        for _ in range(CAPACITY):
            threading.Thread(target=self._work, daemon=True).start()
        while True:
            number, message = self._channel.receive_for()
            if not number:
                self.warm_up()
                self._channel.send('{"t":"ready"}')
            elif message.get("t") == "job":
                line = Line(self._channel, number)
                with self._lock:
                    self._lines[number] = line
                self._waiting.put((number, line, message))
            else:
                self._hand_on(number, message)

    def _hand_on(self, number: int, message: dict[str, Any]) -> None:
        with self._lock:  # so that a worker is not given to another run meanwhile
            line = self._lines.get(number)
            if line is not None and message.get("t") == "end":
                line.end()
            elif line is not None:
                line.inbox.put(message)

    def _work(self) -> None:
        while True:
            self._run(*self._waiting.get())

    def _run(self, number: int, line: Line, job: dict[str, Any]) -> None:
        def started(worker: int) -> None:
            with self._lock:
                line.worker = worker
                if line.ended:
                    line.end()

        def released(spoiled: bool) -> None:
            with self._lock:
                if spoiled and line.worker > 1:
                    os.kill(line.worker, signal.SIGKILL)
                line.worker = 0

        try:
            text = Run(job, line, released).run(self._pool, self._offers, started)
        except OutsideSubset as reason:
            text = frame("outside_subset", reason.reason, reason.line)
        except Ended:
            text = ""
        except Exception as error:  # noqa: BLE001 - the host must hear of the end
            text = frame("sandbox_died", type(error).__name__)
        with self._lock:
            self._lines.pop(number, None)
        # said even where the host ended the run: it waits for this
        self._channel.send_for(number, [text or frame("cancelled", "")])

    def warm_up(self) -> None:
        """Run a script in every worker once: the first run pays for cold pages."""
        for module in _MODULES.split():
            self._offers.module(module)
        together = threading.Barrier(CAPACITY)

        def one() -> None:
            line = Line(self._channel, 0)
            job = {
                "code": _WARM_UP,
                "seed": "0",
                "started_at": 0.0,
                "tools": {"warm": {}},
                "limits": _WARM_LIMITS,
            }
            # all at once, so that each takes another worker
            Run(job, line).run(self._pool, self._offers, lambda _: _wait(together))

        threads = [threading.Thread(target=one) for _ in range(CAPACITY)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _wait(barrier: threading.Barrier) -> None:
    barrier.wait(20)


def main() -> None:
    """Get ready, say so, then serve runs."""
    channel = Numbered(os.dup(0), os.dup(1))
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    threading.stack_size(2 << 20)
    with Monty(
        min_processes=CAPACITY,
        max_processes=CAPACITY,
        feed_duration_limit_grace=1.0,
        checkout_timeout=20.0,
    ) as pool:
        server = Server(channel, pool)
        server.warm_up()
        channel.send('{"t":"ready"}')
        os.dup2(null, 2)  # until here an error of our own goes to the host's log
        server.serve()
