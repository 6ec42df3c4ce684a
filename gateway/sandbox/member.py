"""One sandbox: boot, freeze, thaw, kill, and the removal of what it leaves."""

import contextlib
import enum
import os
import secrets
import select
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.sandbox import channel, spec
from gateway.sandbox.errors import SandboxUnavailable, Violation
from gateway.sandbox.namespace import Namespace
from gateway.sandbox.process import Meter, is_zombie, pid_of, set_priority

_READY_BYTES = 1_024
_BACKGROUND_NICE = 10


class Haste(enum.Enum):
    """How soon a sandbox that is booted is needed."""

    SPARE = enum.auto()
    """It will wait in the pool: its boot gives way to running scripts."""
    NOW = enum.auto()
    """A run waits for it: a warm-up would cost more than that run saves by it."""


@dataclass(frozen=True, slots=True)
class Boot:
    """How sandboxes of one runner are booted."""

    runsc: Path
    platform: str
    folder: Path
    """The runner's own folder; holds `bundle` and a folder for each sandbox."""
    timeout: float
    """Seconds from the start of runsc to the harness's word that it is ready."""
    checkpoint: Path | None = None
    """Folder of a checkpointed ready sandbox; restoring takes less than half a boot."""


class Member:
    """A booted sandbox with a ready harness; used for one run at most."""

    def __init__(
        self, folder: Path, pidfd: int, incoming: int, outgoing: int, errors: int
    ) -> None:
        self.folder = folder
        self.incoming = incoming
        """What the sandbox says; does not block."""
        self.outgoing = outgoing
        """What the sandbox hears; does not block."""
        self._errors = errors
        self._pidfd = pidfd
        self._frozen = False
        self._pid = pid_of(pidfd)
        self.meter = Meter(self._pid)

    def raise_priority(self) -> None:
        """Back to the runner's own, after a boot in the background."""
        set_priority(self._pid, os.getpriority(os.PRIO_PROCESS, 0))

    def freeze(self) -> None:
        """Stop the sentry, which would poll at 1.7 % of a core while it waits."""
        self._frozen = True
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        self._frozen = False
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once; may be called from any thread, again and again."""
        self._signal(signal.SIGKILL)

    @property
    def alive(self) -> bool:
        """Whether its process still runs.

        A pidfd tells only when the last of its threads is gone, which may be late.
        """
        ended = bool(select.select([self._pidfd], [], [], 0)[0])
        return not ended and not is_zombie(self._pid)

    def last_words(self) -> str:
        """What runsc or the sentry wrote to its standard error."""
        with contextlib.suppress(OSError):
            return channel.plain(os.read(self._errors, 8_192).decode(errors="replace"))
        return ""

    def dispose(self, timeout: float = 5.0) -> None:
        """Kill, wait until it is gone, close its pipes and remove its files."""
        self.kill()
        select.select([self._pidfd], [], [], timeout)
        for descriptor in (self.incoming, self.outgoing, self._errors, self._pidfd):
            os.close(descriptor)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        # by pidfd alone: a pid may belong to another process by now
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)


def boot(plan: Boot, namespace: Namespace, haste: Haste | None = None) -> Member:
    """Boot a sandbox and wait until it can take a job; 0.1 s of CPU where restored.

    Raises SandboxUnavailable; nothing is left behind then.
    """
    deadline = time.monotonic() + plan.timeout
    identifier = f"tg-{secrets.token_hex(8)}"
    folder = plan.folder / identifier
    folder.mkdir(mode=0o700)
    theirs, ours = _pipes()
    pidfd = -1
    # only root can undo it
    background = haste is Haste.SPARE and os.geteuid() == 0
    try:
        command = _runsc(plan, folder)
        if plan.checkpoint is None:
            command += ["run"]
        else:
            command += ["restore", f"--image-path={plan.checkpoint}"]
        command += ["--detach", f"--pid-file={folder}/pid"]
        command += [f"--bundle={plan.folder}/bundle", identifier]
        try:
            pidfd = namespace.run(
                identifier,
                command,
                theirs,
                folder / "pid",
                plan.timeout,
                nice=_BACKGROUND_NICE if background else 0,
            )
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        member = Member(folder, pidfd, *ours)
        if plan.checkpoint is None:
            _await_ready(member, deadline)
        elif haste is not Haste.NOW:
            os.write(member.outgoing, channel.encode({"warm": True}))
            _await_ready(member, deadline)
        if background:
            member.raise_priority()
    except (SandboxUnavailable, OSError, Violation) as error:
        words = _drain(ours[2])
        namespace.kill(identifier)
        for descriptor in (*ours, *([pidfd] if pidfd >= 0 else [])):
            os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)
        raise SandboxUnavailable(f"gVisor did not start: {error} {words}") from None
    return member


def checkpoint(plan: Boot, namespace: Namespace, member: Member) -> Path:
    """Save a ready member so that others can be restored from it; it ends.

    Raises SandboxUnavailable when this platform cannot.
    """
    folder = plan.folder / "checkpoint"
    folder.mkdir()
    identifier = member.folder.name
    command = [*_runsc(plan, member.folder), "checkpoint", "--compression=none"]
    command += ["--exclude-committed-zero-pages", f"--image-path={folder}", identifier]
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        namespace.run(f"{identifier}-save", command, (null,) * 3, None, plan.timeout)
    finally:
        os.close(null)
    return folder


def _runsc(plan: Boot, folder: Path) -> list[str]:
    rootless = os.geteuid() != 0
    flags = spec.global_flags(folder, plan.platform, rootless=rootless)
    return [str(plan.runsc), *flags]


def _pipes() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Standard streams of the sandbox, and our ends of them; ours do not block."""
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    our_err, their_err = os.pipe()
    for descriptor in (our_in, our_out, our_err):
        os.set_blocking(descriptor, False)
    return (their_in, their_out, their_err), (our_in, our_out, our_err)


def _await_ready(member: Member, deadline: float) -> None:
    reader = channel.FrameReader(_READY_BYTES)
    while (frame := reader.next()) is None:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([member.incoming], [], [], left)[0]:
            raise SandboxUnavailable("its harness was not ready in time")
        data = os.read(member.incoming, _READY_BYTES)
        if not data:
            raise SandboxUnavailable("its harness ended")
        reader.feed(data)
    if not isinstance(channel.decode(frame), channel.Ready) or reader.has_next():
        raise SandboxUnavailable("its harness spoke out of turn")


def _drain(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        return os.read(descriptor, 4_096).decode(errors="replace").strip()[-600:]
    return ""
