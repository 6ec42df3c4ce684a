"""What the host can see of a sandbox's processes: memory, CPU, descendants."""

import contextlib
import os
import re
import time
from pathlib import Path


def pid_of(pidfd: int) -> int:
    """The process's pid in this PID namespace. Raises ProcessLookupError if gone."""
    text = Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    found = re.search(r"^Pid:\s+(-?\d+)$", text, re.MULTILINE)
    pid = int(found.group(1)) if found else -1
    if pid <= 1:
        raise ProcessLookupError(f"no process behind descriptor {pidfd}")
    return pid


def is_zombie(pid: int) -> bool:
    """Whether the process has ended, or is gone altogether."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, by any of its threads."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{current}/task"):
                with (
                    contextlib.suppress(OSError),
                    open(f"/proc/{current}/task/{task}/children") as file,
                ):
                    children = [int(child) for child in file.read().split()]
                    found += children
                    waiting += children
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of one process, in nanosecond resolution. Raises OSError if gone."""
    return time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED of a process


def set_priority(pid: int, nice: int) -> None:
    """Set the nice value of every thread of a process and its descendants."""
    for process in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{process}/task"):
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, int(task), nice)


class Meter:
    """Memory and CPU of one sandbox: the sentry and its stub processes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._pids: list[int] = []
        self._cpu: dict[int, float] = {}
        self._memory_file = _memory_file(pid)
        self._base = 0.0
        self.peak_memory = 0
        self.used_cpu = 0.0

    def start(self) -> None:
        """Count CPU from now on; what the boot took is not the script's."""
        self.look_for_processes()
        self._base = 0.0
        self._base = self.cpu()

    def look_for_processes(self) -> None:
        """Find the stub processes anew."""
        self._pids = [self._pid, *descendants(self._pid)]

    def cpu(self) -> float:
        """CPU seconds since `start`; processes that ended keep their last figure."""
        for pid in self._pids:
            with contextlib.suppress(OSError):
                self._cpu[pid] = cpu_seconds(pid)
        self.used_cpu = max(0.0, sum(self._cpu.values()) - self._base)
        return self.used_cpu

    def by_process(self) -> dict[int, float]:
        """CPU seconds of each process as last seen, the sentry's first.

        A process of the guest is a stub process of the host, as long as it lives.
        """
        return dict(self._cpu)

    def memory(self) -> int:
        """Bytes in use: the guest's memory file plus the sentry's own heap."""
        total = 0
        with contextlib.suppress(OSError):
            if self._memory_file:
                total += os.stat(self._memory_file).st_blocks * 512
            with open(f"/proc/{self._pid}/status") as file:
                status = file.read()
            fields = ("RssAnon",) if self._memory_file else ("RssAnon", "RssShmem")
            for name in fields:
                found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
                total += int(found.group(1)) * 1_024 if found else 0
        self.peak_memory = max(self.peak_memory, total)
        return total


def _memory_file(pid: int) -> str | None:
    """Path of the descriptor that holds all guest memory."""
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{name}"
            with contextlib.suppress(OSError):
                if os.readlink(path).startswith("/memfd:runsc-memory"):
                    return path
    return None
