"""Runs scripts in gVisor: one warm sandbox per run, destroyed after it."""

import fcntl
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.sandbox import image
from gateway.sandbox.api import JSON, Job, Limits, OnCall, Result, ScriptError, Usage
from gateway.sandbox.channel import Failed
from gateway.sandbox.conversation import CallFailed, Conversation, value_of
from gateway.sandbox.errors import (
    MESSAGES,
    RETRYABLE,
    SandboxUnavailable,
    Violation,
)
from gateway.sandbox.fleet import Fleet, Fleets
from gateway.sandbox.namespace import Namespace
from gateway.sandbox.runsc import find_runsc
from gateway.sandbox.runtimes import RUNTIMES, Runtime
from gateway.sandbox.watch import Watch, Watched

_log = logging.getLogger(__name__)
_ACQUIRE_SECONDS = 30.0
_CLOSE_SECONDS = 10.0  # for runs to end whose sandboxes are killed
_UNUSED_SECONDS = 0.5
_CALL_THREADS = 64
_PYTHON = "python"
_HEAP_EXHAUSTED = "heap out of memory"  # V8's last words


class GVisorProvider:
    """Warm sandboxes for each language; everything it makes lies in `work_dir`.

    Those for Python are booted at the start, others ahead or at the first run.
    """

    name = "gvisor"

    def __init__(
        self,
        work_dir: Path,
        size: int,
        runsc: str = "",
        *,
        platform: str = "",
        boots: int = 0,
        typescript_size: int = 1,
        ahead: Sequence[str] = (),
    ) -> None:
        """Without `runsc` the installed one is found, without `platform` tested.

        Without `boots` as many sandboxes are booted at once as there are cores. Those
        of the languages in `ahead` are made in the background after the start.
        """
        self._work_dir = work_dir.resolve()
        self._sizes = {_PYTHON: size, "typescript": typescript_size}
        self._runsc_wish = runsc
        self._platform_wish = platform
        self._boots = boots or len(os.sched_getaffinity(0))
        self._lock = threading.Lock()
        self._open = False
        self._closing = False
        self._ahead = tuple(ahead)
        self._runs = 0

    def start(self) -> None:
        """Build or find the root image, then boot Python's pool in the background.

        Raises SandboxUnavailable when this machine cannot run sandboxes.
        """
        with self._lock:
            if self._closing:
                raise SandboxUnavailable("the sandbox provider is closed")
            if self._open and self._namespace.alive:
                return
            if self._open:
                _log.error("the sandboxes' keeper process ended: starting another")
                self._tear_down()
            self._set_up()
            self._open = True
            self._python.pool.fill()
            for language in self._ahead:
                threading.Thread(
                    target=self._prepare, args=(language,), name="sandbox-ahead"
                ).start()

    def _prepare(self, language: str) -> None:
        try:
            self._fleets.of(language, Limits()).pool.fill()
        except SandboxUnavailable as reason:
            if not self._closing:
                _log.warning("no sandbox for %s: %s", language, reason)

    def _set_up(self) -> None:
        self._runsc = find_runsc(self._runsc_wish, self._work_dir)
        runs = self._work_dir / "runners"
        runs.mkdir(parents=True, exist_ok=True)
        sweep(runs)
        self._folder = runs / secrets.token_hex(4)
        self._folder.mkdir(mode=0o700)
        self._claim = claim(self._folder)
        self._namespace = Namespace()
        try:
            self._namespace.start(self._claim)
            self._fleets = Fleets(self._folder, self._make_fleet)
            self._platform = self._platform_wish
            self._python = self._fleets.of(_PYTHON, Limits())
            self._platform = self._python.plan.platform
        except SandboxUnavailable:
            self._namespace.close()
            self._remove_folder()
            raise
        self._watch = Watch()
        self._executor = ThreadPoolExecutor(_CALL_THREADS, "sandbox-call")

    def _make_fleet(self, runtime: Runtime, folder: Path) -> Fleet:
        usual = RUNTIMES[runtime.language] is runtime
        return Fleet(
            runtime,
            folder,
            image.build(self._work_dir / "image", runtime.language),
            self._namespace,
            self._runsc,
            self._platform,
            size=self._sizes[runtime.language] if usual else 1,
            boots=self._boots,
        )

    def _tear_down(self) -> None:
        self._open = False
        self._watch.end_all("cancelled" if self._closing else "sandbox_died")
        self._watch.wait_until_idle(_CLOSE_SECONDS)
        self._fleets.close()
        self._namespace.close()
        self._executor.shutdown(wait=True)
        self._watch.close()
        self._remove_folder()

    def run(
        self, job: Job, on_call: OnCall, cancelled: threading.Event | None = None
    ) -> Result:
        """See Provider.run."""
        started = time.monotonic()
        if job.language not in RUNTIMES:
            return _unrun("sandbox_unavailable", f"no sandbox runs {job.language}")

        def is_cancelled() -> bool:
            return cancelled is not None and cancelled.is_set()

        for attempt in (1, 2):
            try:
                self.start()
                pool = self._fleets.of(job.language, job.limits).pool
                watch = self._watch
                member = pool.acquire(_ACQUIRE_SECONDS, is_cancelled)
            except SandboxUnavailable as reason:
                if is_cancelled():
                    return _unrun("cancelled", MESSAGES["cancelled"])
                return _unrun("sandbox_unavailable", str(reason))
            self._runs += 1
            member.meter.start()
            deadline = time.monotonic() + job.limits.wall_seconds
            watched = Watched(member, job.limits, cancelled, deadline)
            talk = Conversation(job, on_call, watched, self._executor)
            watch.add(watched)
            try:
                result = self._talk(talk, watched, job, started)
            finally:
                watch.remove(watched)
                pool.discard(member)
            if attempt == 2 or not _died_unused(result):
                break
        return result

    def _talk(
        self, talk: Conversation, watched: Watched, job: Job, started: float
    ) -> Result:
        dispatched = time.monotonic()
        error = self._hold(talk, watched, job)
        meter = watched.member.meter
        usage = Usage(
            wall_seconds=time.monotonic() - dispatched,
            cpu_seconds=meter.used_cpu,
            peak_memory_bytes=meter.peak_memory,
            dispatch_seconds=dispatched - started,
            waiting_seconds=talk.waited,
        )
        return Result(
            ok=error is None,
            value=value_of(talk.ending) if error is None else None,
            stdout=talk.stdout,
            stdout_truncated=talk.stdout_truncated,
            error=error,
            usage=usage,
            calls=talk.calls,
        )

    def _hold(
        self, talk: Conversation, watched: Watched, job: Job
    ) -> ScriptError | None:
        code = ""
        try:
            talk.hold()
        except Violation as violation:
            code = violation.code
            if violation.detail:
                _log.warning("run %s: %s: %s", job.run, code, violation.detail)
        except CallFailed:
            _log.exception("run %s: a tool call raised", job.run)
            code = "internal"
        except Exception:  # noqa: BLE001 - a run must end with a result
            _log.exception("run %s: the sandbox provider failed", job.run)
            code = "internal"
        if not code and talk.ending is None:
            code = watched.verdict or _cause_of_death(watched)
        elif code == "protocol_violation" and watched.verdict:
            code = watched.verdict
        if code:
            limits = {name: getattr(job.limits, name) for name in job.limits.__slots__}
            message = MESSAGES[code].format(**limits)
            return ScriptError(code, message, None, code in RETRYABLE)
        if isinstance(talk.ending, Failed):
            return talk.script_error(talk.ending)
        return None

    def close(self) -> None:
        """See Provider.close."""
        with self._lock:
            self._closing = True
            if self._open:
                self._tear_down()

    def _remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._claim)

    def describe(self) -> dict[str, JSON]:
        """See Provider.describe."""
        if not self._open:
            return {"provider": self.name, "open": False}
        python, kinds = self._python, self._fleets.describe()
        kinds.pop(_PYTHON, None)
        return {
            "provider": self.name,
            "open": True,
            "runsc": str(python.plan.runsc),
            "platform": python.plan.platform,
            "keeper_alive": self._namespace.alive,
            "running": self._watch.running,
            "runs": self._runs,
            **python.describe(),
            **kinds,
        }


def _cause_of_death(watched: Watched) -> str:
    exhausted = _HEAP_EXHAUSTED in watched.member.last_words()
    return "memory" if exhausted else "sandbox_died"


def _died_unused(result: Result) -> bool:
    """Whether the sandbox was gone before the script did anything others saw.

    One that dies while it waits cannot always be told from a live one; another try
    repeats nothing, since no call was made.
    """
    died = result.error is not None and result.error.code == "sandbox_died"
    unused = not result.calls and not result.stdout
    return died and unused and result.usage.wall_seconds < _UNUSED_SECONDS


def _unrun(code: str, message: str) -> Result:
    error = ScriptError(code, message, None, code in RETRYABLE)
    return Result(False, None, "", False, error, Usage(), 0)


def claim(folder: Path) -> int:
    """Lock the folder for as long as this process or its keeper lives."""
    descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def sweep(runs: Path) -> int:
    """Remove folders of runners that died; their sandboxes died with them."""
    swept = 0
    for folder in runs.iterdir():
        try:
            os.close(claim(folder))
        except (BlockingIOError, FileNotFoundError, NotADirectoryError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        swept += 1
    return swept
