"""Hands each run to the level asked for, or to what this machine has instead."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gateway.sandbox.api import (
    JSON,
    Job,
    OnCall,
    Provider,
    Result,
    ScriptError,
    Usage,
)
from gateway.sandbox.bare import MontyProvider
from gateway.sandbox.errors import MESSAGES, SandboxUnavailable
from gateway.sandbox.provider import GVisorProvider
from gateway.sandbox.team.provider import TeamProvider

_log = logging.getLogger(__name__)
GVISOR = "gvisor"
MONTY = "monty"
KINDS = (GVISOR, MONTY)


class Levels:
    """The providers of a runner behind one; see api.Provider.

    `allowed` are the kinds an operator admits, best first. Without gVisor, `monty` is
    used only where it is admitted: it has no kernel isolation.
    """

    def __init__(
        self,
        work_dir: Path,
        *,
        size: int,
        typescript_size: int = 1,
        allowed: Sequence[str] = (GVISOR,),
    ) -> None:
        unknown = [kind for kind in allowed if kind not in KINDS]
        if unknown or not allowed:
            raise SandboxUnavailable(
                f"TOLLGATE_SANDBOX is {', '.join(allowed)!r}: use gvisor, monty or both"
            )
        self._allowed = tuple(allowed)
        self._gvisor = GVisorProvider(
            work_dir,
            size=size,
            typescript_size=typescript_size,
            # Else the first run waits while its image is built and booted.
            ahead=("typescript",) if typescript_size else (),
        )
        self._team = TeamProvider(work_dir / "teams", self._gvisor)
        self._bare = MontyProvider()
        self._lock = threading.Lock()
        self._chosen = self.name = ""
        self._team_state = ""
        self._booting: threading.Thread | None = None
        self._why_not = ""

    @property
    def isolated(self) -> bool:
        """Whether scripts run behind a kernel of their own."""
        return self._chosen == GVISOR

    def start(self) -> None:
        """See Provider.start: the first admitted kind that works here is used."""
        with self._lock:
            if self._chosen:
                return
            reasons = []
            for kind in self._allowed:
                made: Provider = self._gvisor if kind == GVISOR else self._bare
                try:
                    made.start()
                except SandboxUnavailable as reason:
                    reasons.append(f"{kind}: {reason}")
                    continue
                self._chosen = self.name = kind
                self._why_not = "; ".join(reasons)
                if kind == MONTY:
                    _log.warning("scripts run without kernel isolation: %s", reasons)
                return
        raise SandboxUnavailable("; ".join(reasons))

    def run(
        self, job: Job, on_call: OnCall, cancelled: threading.Event | None = None
    ) -> Result:
        """See Provider.run; the level follows from the job's tenant and needs."""
        try:
            self.start()
        except SandboxUnavailable as reason:
            return _refused("sandbox_unavailable", str(reason), retryable=True)
        if self._chosen == MONTY:
            if job.require_gvisor:
                return _refused("gvisor_required", MESSAGES["gvisor_required"])
            return self._bare.run(job, on_call, cancelled)
        if job.tenant and job.language == "python":
            if self._team_ready():
                return self._team.run(job, on_call, cancelled)
            result = self._gvisor.run(job, on_call, cancelled)
            return replace(result, note=f"level team: {self._team_state}")
        return self._gvisor.run(job, on_call, cancelled)

    def _team_ready(self) -> bool:
        """Whether teams' sandboxes can be had; boots the first in the background."""
        with self._lock:
            if self._team_state == "ready":
                return True
            if self._booting is None:
                self._team_state = "its first sandbox is being booted"
                self._booting = threading.Thread(
                    target=self._boot_team, name="team-boot", daemon=True
                )
                self._booting.start()
        return False

    def _boot_team(self) -> None:
        try:
            self._team.start()
            self._team_state = "ready"
        except SandboxUnavailable as reason:
            _log.warning("level team is not available: %s", reason)
            self._team_state = str(reason)

    def wait_for_team(self, timeout: float) -> bool:
        """Boot level `team` now and wait for it, as benchmarks and tests do."""
        self.start()
        self._team_ready()
        if self._booting is not None:
            self._booting.join(timeout)
        return self._team_state == "ready"

    def close(self) -> None:
        """See Provider.close."""
        if self._booting is not None:
            self._booting.join(60)
        self._team.close()
        self._gvisor.close()
        self._bare.close()

    def describe(self) -> dict[str, JSON]:
        """See Provider.describe."""
        used: Provider = self._bare if self._chosen == MONTY else self._gvisor
        return used.describe() | {
            "provider": self._chosen,
            "admitted": list(self._allowed),
            "kernel_isolation": self.isolated,
            "not_available": self._why_not,
            "team": self._team.describe() | {"state": self._team_state},
        }


def _refused(code: str, message: str, *, retryable: bool = False) -> Result:
    error = ScriptError(code, message, None, retryable)
    return Result(False, None, "", False, error, Usage(), 0, level="")
