"""Kills and stalls: planned from a seed, then done to the processes of a stack."""

import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from deploy.supervisor import tollgate_commands
from tests.crashes import engine_pid, with_children
from tests.stack import Stack

ENGINES = ("postgres", "redis")
RUNNERS = ("runner", "runner2")
VICTIMS = (*RUNNERS, "worker", "beat", "web", *ENGINES)
WEIGHTS = (4, 4, 1, 1, 2, 2, 2)
KILL, STOP = "kill", "stop"


@dataclass(frozen=True, slots=True)
class Planned:
    """Seconds after the start, and for how long the victim is away."""

    at: float
    victim: str
    means: str
    seconds: float

    @property
    def until(self) -> float:
        return self.at + self.seconds


@dataclass(slots=True)
class Fault:
    """What was done, in the clock's seconds; ``until`` is 0 while the victim is away.

    A killed victim's time ends when it is started again: it is up a little later.
    """

    victim: str
    means: str
    at: float
    until: float = 0.0

    def covers(self, first: float, last: float) -> bool:
        """Whether some of it lies between two times."""
        return self.at <= last and (not self.until or self.until >= first)

    def __str__(self) -> str:
        long = f" for {self.until - self.at:.1f} s" if self.until else ""
        return f"{self.means} {self.victim}{long}"


def plan(*, seed: int, seconds: float) -> Sequence[Planned]:
    """One fault every 2 to 6 seconds; a victim that is away is left alone."""
    rng = random.Random(seed)
    made: list[Planned] = []
    away: dict[str, float] = {}
    at = rng.uniform(1, 3)
    while at < seconds:
        up = [victim for victim in VICTIMS if away.get(victim, 0) < at]
        weights = [WEIGHTS[VICTIMS.index(victim)] for victim in up]
        victim = rng.choices(up, weights)[0]
        means = rng.choice((KILL, STOP))
        # A runner stopped for longer than its lease finds its runs taken over.
        longest = 9 if victim in RUNNERS else 4
        lasting = rng.uniform(2, longest) if means == STOP else rng.uniform(0.2, 1.5)
        made.append(Planned(at, victim, means, lasting))
        # Engines are started by their own supervisor, which takes a few seconds.
        away[victim] = at + lasting + (6 if victim in ENGINES else 2)
        at += rng.uniform(2, 6)
    return made


@dataclass(slots=True)
class Killer:
    """Carries out a plan; whatever happens, everything is up again afterwards.

    To be used from the main thread: a process dies with the thread that started it.
    """

    stack: Stack
    faults: list[Fault] = field(default_factory=list)
    _stopped: dict[str, list[int]] = field(default_factory=dict)

    def run(self, planned: Sequence[Planned], *, seconds: float) -> None:
        """Do what is planned; returns after these seconds."""
        began = time.monotonic()
        waiting = list(planned)
        ends: list[tuple[float, Fault]] = []
        try:
            while (due := time.monotonic() - began) < seconds:
                for one in [one for one in ends if one[0] <= due]:
                    self._end(one[1])
                    ends.remove(one)
                if waiting and waiting[0].at <= due:
                    next_one = waiting.pop(0)
                    if begun := self._begin(next_one):
                        ends.append((due + next_one.seconds, begun))
                time.sleep(0.02)
        finally:
            for _, fault in ends:
                self._end(fault)

    def _begin(self, planned: Planned) -> Fault | None:
        fault = Fault(planned.victim, planned.means, time.time())
        try:
            if planned.means == STOP:
                self._stop(planned.victim)
            elif planned.victim in ENGINES:
                os.kill(engine_pid(self.stack.data_dir, planned.victim), signal.SIGKILL)
            else:
                self.stack.kill(planned.victim)
        except (OSError, ValueError, IndexError):
            return None  # an engine that is not back yet
        self.faults.append(fault)
        return fault

    def _stop(self, victim: str) -> None:
        if victim == "postgres":
            pids = with_children(engine_pid(self.stack.data_dir, victim))
        elif victim == "redis":
            pids = [engine_pid(self.stack.data_dir, victim)]
        else:
            pids = [self.stack.processes[victim].pid]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self._stopped[victim] = pids

    def _end(self, fault: Fault) -> None:
        if fault.means == STOP:
            for pid in self._stopped.pop(fault.victim):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        elif fault.victim not in ENGINES:
            start(self.stack, fault.victim)
        fault.until = time.time()


def start(stack: Stack, name: str) -> None:
    """Start a process of Tollgate; there are two runners."""
    commands = tollgate_commands(stack.data_dir, stack.port)
    second = [part.replace("runner@", "runner2@") for part in commands["runner"]]
    stack.spawn(name, {**commands, "runner2": second}[name])
