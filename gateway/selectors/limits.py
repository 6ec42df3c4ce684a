"""What a run used of what it was allowed."""

import json
from dataclasses import dataclass

from gateway.models import Run
from gateway.sandbox.api import Limits


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit: used and allowed in ``unit``; ``share`` is at most 1."""

    label: str
    used: float
    allowed: float
    unit: str
    share: float

    @property
    def text(self) -> str:
        """The use in words: counts are whole, small measures have more places."""
        if isinstance(self.used, int):
            used = f"{self.used:,}"
        else:
            used = f"{self.used:,.1f}" if self.used >= 1 else f"{self.used:.2g}"
        return f"{used} of {self.allowed:,.0f} {self.unit}"


def limits_used(run: Run) -> tuple[LimitUse, ...]:
    """Use of each limit by a run that ended; nothing before that."""
    if not run.usage.get("sandbox"):
        return ()
    allowed = _limits(run)
    megabytes = _figure(run, "peak_memory_bytes") / 2**20
    output = len(run.stdout.encode()) / 1024
    result = 0 if run.value is None else len(json.dumps(run.value)) / 1024
    return (
        _use("Wall time", _figure(run, "wall_seconds"), allowed.wall_seconds, "s"),
        _use("CPU time", _figure(run, "cpu_seconds"), allowed.cpu_seconds, "s"),
        _use("Memory", megabytes, allowed.memory_mb, "MiB"),
        _use("Tool calls", run.tool_calls, allowed.calls, "calls"),
        _use("Result", result, allowed.result_bytes / 1024, "kB"),
        _use("Output", output, allowed.stdout_bytes / 1024, "kB"),
    )


def _limits(run: Run) -> Limits:
    """The limits that held: what somebody had set, else the defaults."""
    held = run.usage.get("isolation", {}).get("limits", {})
    return Limits(**{name: held[name] for name in Limits.__slots__ if name in held})


def _figure(run: Run, name: str) -> float:
    value = run.usage.get("sandbox", {}).get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0


def _use(label: str, used: float, allowed: float, unit: str) -> LimitUse:
    share = min(1.0, used / allowed) if allowed else float(used > 0)
    return LimitUse(label, used, allowed, unit, share)
