"""Level `team`: hands runs to their team's sandbox, or to level `run` where not fit."""

import contextlib
import logging
import os
import secrets
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
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
from gateway.sandbox.conversation import CallFailed
from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.image import Image
from gateway.sandbox.member import Boot, Haste, Member, boot
from gateway.sandbox.namespace import Namespace
from gateway.sandbox.pool import Pool
from gateway.sandbox.provider import claim, sweep
from gateway.sandbox.runsc import find_runsc, prepare
from gateway.sandbox.team import bundle
from gateway.sandbox.team.sandbox import TeamSandbox, Wear
from gateway.sandbox.team.talk import OUTSIDE, Talk
from gateway.sandbox.watch import Watch

_log = logging.getLogger(__name__)
_BOOT_SECONDS = 30.0
_WAIT_SECONDS = 20.0
_CALL_THREADS = 64
_FREEZE_SECONDS = 1.0  # idle, after which a sandbox is stopped
_CLOSE_SECONDS = 10.0


class TeamProvider:
    """Sandboxes by tenant, `most` at once; everything it makes lies in `work_dir`."""

    name = "gvisor"

    def __init__(
        self,
        work_dir: Path,
        fallback: Provider,
        *,
        most: int = 16,
        wear: Wear | None = None,
        idle_seconds: float = 300.0,
        runsc: str = "",
    ) -> None:
        """`fallback` is level `run`; it takes what Monty cannot run."""
        self._work_dir = work_dir.resolve()
        self._fallback = fallback
        self._most = most
        self._wear = wear or Wear()
        self._idle_seconds = idle_seconds
        self._runsc_wish = runsc
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._sandboxes: dict[str, list[TeamSandbox]] = {}
        self._retired: list[TeamSandbox] = []
        self._open = False
        self._closing = False
        self._image: Image | None = None
        self.fallbacks = 0
        self.runs = 0

    def start(self) -> None:
        """Build the image and boot the first sandbox. Raises SandboxUnavailable."""
        with self._lock:
            if self._closing:
                raise SandboxUnavailable("the team sandboxes are closed")
            if self._open and self._namespace.alive:
                return
            if self._open:
                _log.error("the team sandboxes' keeper ended: starting another")
                self._tear_down()
            self._set_up()
            self._open = True
        self._pool.fill()

    def _set_up(self) -> None:
        runsc = find_runsc(self._runsc_wish, self._work_dir)
        self._image = bundle.build(self._work_dir / "image")
        runners = self._work_dir / "runners"
        runners.mkdir(parents=True, exist_ok=True)
        sweep(runners)
        self._folder = runners / secrets.token_hex(4)
        self._folder.mkdir(mode=0o700)
        self._claim = claim(self._folder)
        bundle.write_bundle(self._folder / "bundle", self._image.path)
        self._namespace = Namespace()
        try:
            self._namespace.start(self._claim)
            plan = Boot(runsc, "", self._folder, _BOOT_SECONDS)
            self._plan = prepare(plan, self._namespace)
        except SandboxUnavailable:
            self._namespace.close()
            self._remove_folder()
            raise
        self._watch = Watch()
        self._executor = ThreadPoolExecutor(_CALL_THREADS, "team-call")
        self._pool = Pool(self._boot, size=1, boots=1)
        self._stop = threading.Event()
        self._keeper = threading.Thread(
            target=self._tend, name="team-tend", daemon=True
        )
        self._keeper.start()

    def _boot(self, _: Haste) -> Member:
        # always warmed up: it serves many runs
        return boot(self._plan, self._namespace)

    def run(
        self, job: Job, on_call: OnCall, cancelled: threading.Event | None = None
    ) -> Result:
        """See Provider.run; a sandbox of the tenant's is used, not one of its own."""
        if job.language != "python" or not job.tenant:
            return self._fallback.run(job, on_call, cancelled)
        started = time.monotonic()
        try:
            self.start()
            sandbox, talk = self._enter(job, on_call, cancelled)
        except SandboxUnavailable as reason:
            return self._fall_back(str(reason), job, on_call, cancelled)
        self.runs += 1
        dispatched = time.monotonic()
        error = self._hold(talk, sandbox)
        usage = Usage(
            wall_seconds=time.monotonic() - dispatched,
            cpu_seconds=talk.cpu_seconds,
            peak_memory_bytes=talk.peak_memory,
            dispatch_seconds=dispatched - started,
            waiting_seconds=talk.waited,
        )
        if error is not None and not talk.calls:
            if error.code == OUTSIDE:
                lacks = f"Monty lacks {error.message}"
                return self._fall_back(lacks, job, on_call, cancelled)
            if error.code == "sandbox_died":  # repeats nothing: no call was made
                return self._fall_back(error.message, job, on_call, cancelled)
        return Result(
            ok=error is None,
            value=talk.value if error is None else None,
            stdout=talk.stdout,
            stdout_truncated=talk.stdout_truncated,
            error=_believable(error),
            usage=usage,
            calls=talk.calls,
            level="team",
        )

    def _fall_back(
        self,
        note: str,
        job: Job,
        on_call: OnCall,
        cancelled: threading.Event | None,
    ) -> Result:
        self.fallbacks += 1
        result = self._fallback.run(job, on_call, cancelled)
        return replace(result, note=note)

    def _hold(self, talk: Talk, sandbox: TeamSandbox) -> ScriptError | None:
        code = ""
        try:
            talk.hold(sandbox.send)
        except CallFailed:
            _log.exception("run %s: a tool call raised", talk.job.run)
            code = "internal"
        except Exception:  # noqa: BLE001 - a run must end with a result
            _log.exception("run %s: the sandbox provider failed", talk.job.run)
            code = "internal"
        finally:
            sandbox.close(talk)
        return talk.error(code)

    # Sandboxes of teams

    def _enter(
        self, job: Job, on_call: OnCall, cancelled: threading.Event | None
    ) -> tuple[TeamSandbox, Talk]:
        talk = Talk(job, on_call, self._executor, cancelled)
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            with self._changed:
                for sandbox in self._sandboxes.get(job.tenant, ()):
                    if not sandbox.full and sandbox.open(talk):
                        return sandbox, talk
                room = self._make_room()
                if room:
                    # under the lock: others of this team wait instead of adding more
                    self._add(job.tenant)
                    continue
                left = deadline - time.monotonic()
                if left <= 0 or self._closing or (cancelled and cancelled.is_set()):
                    raise SandboxUnavailable("the team's sandboxes are all in use")
                self._changed.wait(min(left, 0.1))

    def _make_room(self) -> bool:
        everything = [s for group in self._sandboxes.values() for s in group]
        if len(everything) < self._most:
            return True
        idle = [s for s in everything if not s.in_flight and not s.holders]
        if not idle:
            return False
        self._retire(min(idle, key=lambda sandbox: sandbox.idle_since))
        return True

    def _add(self, tenant: str) -> None:
        member = self._pool.acquire(_WAIT_SECONDS, lambda: self._closing)
        sandbox = TeamSandbox(member, tenant, self._notice)
        self._sandboxes.setdefault(tenant, []).append(sandbox)
        self._watch.add(sandbox)

    def _notice(self) -> None:
        """A run has left. Must not wait: the sandbox's own lock is held."""
        if self._changed.acquire(blocking=False):
            self._changed.notify_all()
            self._changed.release()

    def _tend(self) -> None:
        while not self._stop.wait(0.25):
            try:
                with self._changed:
                    self._look_after()
            except Exception:  # noqa: BLE001 - the thread must go on
                _log.exception("team sandboxes")

    def _look_after(self) -> None:
        self._bury()
        now = time.monotonic()
        for sandbox in [s for group in self._sandboxes.values() for s in group]:
            if not sandbox.retired and sandbox.worn(self._wear):
                sandbox.retired = True
            idle = not sandbox.in_flight and not sandbox.holders
            gone = not sandbox.member.alive
            unused = idle and now - sandbox.idle_since > self._idle_seconds
            if gone or unused or (idle and sandbox.retired):
                self._retire(sandbox)
            elif idle and now - sandbox.idle_since > _FREEZE_SECONDS:
                sandbox.freeze()

    def _retire(self, sandbox: TeamSandbox) -> None:
        """End it now; its remains go when no thread uses its descriptors any more."""
        sandbox.kill()
        group = self._sandboxes.get(sandbox.tenant, [])
        with contextlib.suppress(ValueError):
            group.remove(sandbox)
        if not group:
            self._sandboxes.pop(sandbox.tenant, None)
        self._watch.remove(sandbox)
        self._retired.append(sandbox)
        self._bury()

    def _bury(self) -> None:
        for sandbox in [s for s in self._retired if not s.holders]:
            self._retired.remove(sandbox)
            sandbox.join()
            self._pool.discard(sandbox.member)

    def close(self) -> None:
        """See Provider.close; the fallback is closed by whoever made it."""
        with self._lock:
            self._closing = True
            if self._open:
                self._tear_down()

    def _tear_down(self) -> None:
        self._open = False
        self._stop.set()
        self._keeper.join()
        with self._changed:
            live = [s for group in self._sandboxes.values() for s in group]
        for sandbox in live:
            sandbox.end("cancelled" if self._closing else "sandbox_died")
        deadline = time.monotonic() + _CLOSE_SECONDS
        ending = [*live, *self._retired]
        while any(s.holders for s in ending) and time.monotonic() < deadline:
            time.sleep(0.01)
        with self._changed:
            for sandbox in live:
                self._retire(sandbox)
            self._bury()
        self._pool.close()
        self._namespace.close()
        self._executor.shutdown(wait=True)
        self._watch.close()
        self._remove_folder()

    def _remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._claim)

    def describe(self) -> dict[str, JSON]:
        """See Provider.describe."""
        if not self._open or self._image is None:
            return {"provider": self.name, "level": "team", "open": False}
        with self._changed:
            everything = [s for group in self._sandboxes.values() for s in group]
        return {
            "provider": self.name,
            "level": "team",
            "open": True,
            "platform": self._plan.platform,
            "restored": self._plan.checkpoint is not None,
            "image": self._image.digest,
            "keeper_alive": self._namespace.alive,
            "sandboxes": [sandbox.describe() for sandbox in everything],
            "most": self._most,
            "runs": self.runs,
            "fallbacks": self.fallbacks,
        }


def _believable(error: ScriptError | None) -> ScriptError | None:
    """A script that called something cannot have been found unfit beforehand."""
    if error is not None and error.code == OUTSIDE:
        return replace(error, code="script_error")
    return error
