"""A team's sandbox: many runs in one gVisor, watched as one and ended as one."""

import logging
import os
import select
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.sandbox import channel
from gateway.sandbox.api import JSON
from gateway.sandbox.channel import FrameReader
from gateway.sandbox.errors import Violation
from gateway.sandbox.harness.monty import CAPACITY
from gateway.sandbox.member import Member
from gateway.sandbox.team.talk import Talk, mentioned

_log = logging.getLogger(__name__)
_NUMBER = struct.Struct(">I")
_HEADS = struct.Struct(">II")
_READ = 1 << 18
_WRITE_SECONDS = 5.0  # for the sandbox to take a message
_END_SECONDS = 2.0  # for it to stop a run that the host has ended
_MEMORY_SLACK = 96 << 20  # bytes over the base and the runs' own limits
_CPU_FACTOR, _CPU_SLACK = 1.5, 3.0  # the harness's own share, over the runs' limits
_LARGEST_NUMBER = 0x7AFFFFFF  # below b"{", which begins a plain frame


@dataclass(frozen=True, slots=True)
class Wear:
    """When a sandbox is replaced; a run under way is never cut short for it."""

    runs: int = 2_000
    seconds: float = 900.0
    grown_bytes: int = 64 << 20
    """Memory above that of a new sandbox while no run is in flight."""


class NumberedReader(FrameReader):
    """Frames of many runs; bytes in all are counted per run, not here."""

    def __init__(self) -> None:
        super().__init__(0)
        self._traffic = 1 << 62

    def allow(self, most_bytes: int) -> None:
        """The largest message of any run now in flight."""
        self._most = most_bytes + channel.ENVELOPE + _NUMBER.size


class TeamSandbox:
    """Holds runs of one tenant only, each under a number that the host gave."""

    def __init__(self, member: Member, tenant: str, left: Callable[[], None]) -> None:
        self.member = member
        self.tenant = tenant
        self.served = 0
        self.retired = False
        """Takes no further run."""
        self.born = self.idle_since = time.monotonic()
        self.lock = threading.RLock()
        self._left = left
        """Called when a run has left, or the sandbox is gone."""
        self.holders = 0
        """Threads that may still use it: its descriptors stay open until then."""
        self._runs: dict[int, Talk] = {}
        self._closing: dict[int, float] = {}
        self._reader = NumberedReader()
        self._writing = threading.Lock()
        self._number = 0
        self._frozen = False
        self._ticks = 0
        member.meter.start()
        self._base_memory = member.meter.memory()
        self._cpu = 0.0
        self._explained = 0.0
        """CPU seconds that runs which have left can have used at most."""
        self._thread = threading.Thread(
            target=self._read, name="team-sandbox", daemon=True
        )
        self._thread.start()

    @property
    def in_flight(self) -> int:
        """Runs it holds, those that it has yet to stop included."""
        return len(self._runs) + len(self._closing)

    @property
    def full(self) -> bool:
        """Whether it can take no further run now."""
        return self.retired or self.in_flight >= CAPACITY

    def open(self, talk: Talk) -> bool:
        """Take a run and send its job; False when it cannot take one."""
        with self.lock:
            if self.full or not self.member.alive:
                return False
            self._account()
            self._number = self._number % _LARGEST_NUMBER + 1
            talk.number = self._number
            talk.opened = time.monotonic()
            talk.cpu_before = self.member.meter.by_process()
            talk.explained_before = self._explained
            self._runs[talk.number] = talk
            self.holders += 1
            self._reader.allow(max(run.most_bytes for run in self._runs.values()))
            self.served += 1
            if self._frozen:
                self._frozen = False
                self.member.thaw()
        self.send(talk.number, job_body(talk))
        return True

    def close(self, talk: Talk) -> None:
        """Let go of a run; what still runs of it in the sandbox is stopped."""
        with self.lock:
            self._account()
            self.holders -= 1
            if self._leave(talk):
                if talk.ending is None and not self.retired:
                    self._closing[talk.number] = time.monotonic() + _END_SECONDS
                    self._tell_end(talk.number)
                elif talk.ending is None:
                    self.kill()
            self._run_left()

    def _leave(self, talk: Talk) -> bool:
        found = self._runs.pop(talk.number, None) is not None
        if found:
            self._explained += self._most_cpu(talk)
        return found

    def _most_cpu(self, talk: Talk) -> float:
        """What a run can have used until now: Monty has one thread for each."""
        elapsed = time.monotonic() - talk.opened
        return min(talk.job.limits.cpu_seconds, elapsed)

    def _tell_end(self, number: int) -> None:
        self.send(number, b'{"t":"end"}')

    def _run_left(self) -> None:
        self.idle_since = time.monotonic()
        self._left()

    def worn(self, wear: Wear) -> bool:
        """Whether it is to be replaced before its next run."""
        with self.lock:
            grown = 0
            if not self.in_flight:
                grown = self.member.meter.memory() - self._base_memory
            return (
                self.served >= wear.runs
                or time.monotonic() - self.born > wear.seconds
                or grown > wear.grown_bytes
            )

    def freeze(self) -> None:
        """Stop it while it has nothing to do; the next run thaws it."""
        with self.lock:
            if not self.in_flight and not self._frozen:
                self._frozen = True
                self.member.freeze()

    def kill(self) -> None:
        """End it and every run in it, at once."""
        self.retired = True
        self.member.kill()

    # Watch

    def check(self) -> None:
        """Measure; end runs over their limits, or all when the sandbox is."""
        meter = self.member.meter
        with self.lock:
            if not self.in_flight:
                return
            if self._ticks % 8 == 0:
                meter.look_for_processes()
            self._ticks += 1
            self._account()
            now = time.monotonic()
            for talk in self._runs.values():
                if talk.cancelled is not None and talk.cancelled.is_set():
                    talk.end("cancelled")
                elif now > talk.deadline:
                    talk.end("wall_time")
            allowed = sum(run.job.limits.memory_mb for run in self._runs.values()) << 20
            if meter.memory() > self._base_memory + allowed + _MEMORY_SLACK:
                self.end("memory")
            elif any(self._over_cpu(talk) for talk in self._runs.values()):
                self.end("cpu_time")
            elif any(now > at for at in self._closing.values()):
                self.end("sandbox_died")

    def _over_cpu(self, talk: Talk) -> bool:
        """Whether more was used since this run came than runs can have used.

        All together, and by any one process: each run is in one, and which one is
        only known inside.
        """
        left = self._explained - talk.explained_before
        limits = (run.job.limits.cpu_seconds for run in self._runs.values())
        together = left + sum(limits)
        alone = left + max(map(self._most_cpu, self._runs.values()))
        most = alone * _CPU_FACTOR + _CPU_SLACK
        used = {
            pid: seconds - talk.cpu_before.get(pid, 0.0)
            for pid, seconds in self.member.meter.by_process().items()
        }
        if sum(used.values()) > together * _CPU_FACTOR + _CPU_SLACK:
            return True
        # The first is gVisor itself, which serves all of them.
        return any(used[pid] > most for pid in list(used)[1:])

    def _account(self) -> None:
        """Share what the sandbox used since the last look among the runs in flight."""
        meter = self.member.meter
        used = max(0.0, meter.cpu() - self._cpu)
        self._cpu += used
        if self._runs:
            memory = meter.memory() // len(self._runs)
            for talk in self._runs.values():
                talk.cpu_seconds += used / len(self._runs)
                talk.peak_memory = max(talk.peak_memory, memory)

    def end(self, code: str) -> None:
        """Kill it; a run that is alone in it is told why, several only that it died."""
        with self.lock:
            self.kill()
            alone = len(self._runs) == 1 or code == "cancelled"
            for talk in self._runs.values():
                talk.end(code if alone else "sandbox_died")

    # Channel

    def send(self, number: int, body: bytes) -> None:
        """Write one frame, within a time limit: a sandbox may never read."""
        data = _HEADS.pack(len(body) + _NUMBER.size, number) + body
        deadline = time.monotonic() + _WRITE_SECONDS
        view = memoryview(data)
        with self._writing:
            while view:
                try:
                    view = view[os.write(self.member.outgoing, view) :]
                except BlockingIOError:
                    left = deadline - time.monotonic()
                    if left <= 0 or self.retired:
                        self.kill()
                        return
                    select.select([], [self.member.outgoing], [], min(left, 0.1))
                except OSError:
                    return  # it is gone; reading will tell

    def _read(self) -> None:
        incoming = self.member.incoming
        try:
            while True:
                while (frame := self._reader.next()) is not None:
                    self._take(frame)
                select.select([incoming], [], [])
                data = os.read(incoming, _READ)
                if not data:
                    break
                self._reader.feed(data)
        except Violation as violation:
            _log.warning("team %s: %s: %s", self.tenant, violation.code, violation)
            self.end(violation.code)
        except OSError:
            _log.exception("team %s: its sandbox cannot be read", self.tenant)
        with self.lock:
            self.end("sandbox_died")
            self._closing.clear()
            self._run_left()

    def _take(self, frame: bytes) -> None:
        if len(frame) < _NUMBER.size:
            raise Violation("protocol_violation", "a frame without a run")
        (number,) = _NUMBER.unpack_from(frame)
        message = channel.decode(frame[_NUMBER.size :])
        ended = isinstance(message, channel.Returned | channel.Failed)
        with self.lock:
            talk = self._runs.get(number)
            if talk is None:
                if number not in self._closing:
                    raise Violation("protocol_violation", f"no run {number} is here")
                if ended:
                    del self._closing[number]
                    self._run_left()
                return
            talk.take(message, len(frame))
            if ended:  # said once: anything later under this number is a lie
                self._account()
                self._leave(talk)
                self._run_left()

    def join(self) -> None:
        """Wait until nobody reads from it any more; after `kill`."""
        self._thread.join(10)

    def describe(self) -> dict[str, JSON]:
        """Figures for the health page."""
        return {
            "team": self.tenant,
            "runs": self.in_flight,
            "served": self.served,
            "seconds": round(time.monotonic() - self.born, 1),
            "memory_bytes": self.member.meter.memory(),
        }


def job_body(talk: Talk) -> bytes:
    """The job's frame; nothing in it is a secret or grants anything."""
    frame = channel.encode_job(mentioned(talk.job))
    return b'{"t":"job",' + frame[5:]
