"""The contract between runs and whatever executes their scripts."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use; passing a limit ends the run with that limit's code."""

    wall_seconds: float = 60.0
    """Seconds from the job's dispatch to its end, waits for tools included."""
    cpu_seconds: float = 10.0
    """CPU seconds of the sandbox's process tree; waiting for a tool costs none."""
    memory_mb: int = 256
    """MiB of the sandbox: memory of the script plus its files in /tmp."""
    tmp_mb: int = 16
    """MiB of files in /tmp, which count as memory too."""
    processes: int = 32
    """Threads of the script; new processes are refused whatever the number."""
    stdout_bytes: int = 65_536
    """UTF-8 bytes of captured output kept; the rest is cut, not an error."""
    result_bytes: int = 1_048_576
    """Bytes of the result as JSON."""
    message_bytes: int = 8_388_608
    """Bytes of one message in either direction: arguments of a call, its reply."""
    calls: int = 1_000
    """Tool calls in one run."""
    calls_in_flight: int = 16
    """Tool calls that wait for their reply at the same time."""


@dataclass(frozen=True, slots=True)
class Job:
    """One script to run, with all it may know."""

    run: str
    code: str
    language: str
    """Either "python" or "typescript"."""
    seed: int
    """Seeds random, uuid, os.urandom and the like, so that a replay sees the same."""
    started_at: float
    """Epoch seconds at which the script's clock starts."""
    tools: Mapping[str, Mapping[str, str]]
    """Namespace -> {python function name: full tool name "server.tool"}.

    TypeScript scripts call the same functions by these names or in camelCase.
    """
    limits: Limits = field(default_factory=Limits)
    tenant: str = ""
    """Whose runs may share a sandbox with this one; "" means nobody's."""
    require_gvisor: bool = False
    """Rather not run than run without a kernel of its own."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that the script made; hostile input, like a model's."""

    step: int
    """1, 2, 3 … in the order the script made them."""
    tool: str
    """Full name; not necessarily one of the job's tools."""
    arguments: dict[str, JSON]


@dataclass(frozen=True, slots=True)
class CallError:
    """Why a tool call gave no value; raised inside the script as ToolError."""

    code: str
    message: str
    retryable: bool = False
    suggestions: tuple[str, ...] = ()
    details: Mapping[str, JSON] = field(default_factory=dict)
    """What a program may act on, such as when a quota resets."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a call: a value, or an error."""

    value: JSON = None
    error: CallError | None = None
    turn: int | None = None
    """1, 2, 3 …: replies reach the script in this order, so that a replay with the
    same turns takes the same course. None is given at once."""


@dataclass(frozen=True, slots=True)
class ScriptError:
    """Why a run failed. The message may quote the script: show it as plain text."""

    code: str
    message: str
    line: int | None
    """Line in the script, from 1; None where no line is to blame."""
    retryable: bool = False
    suggestions: tuple[str, ...] = ()
    details: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Measured by the host alone; nothing here is the sandbox's word."""

    wall_seconds: float = 0.0
    """From the job's dispatch to its end."""
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    dispatch_seconds: float = 0.0
    """From the call of `run` to a sandbox that has the job."""
    waiting_seconds: float = 0.0
    """Time during which at least one tool call was in flight."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    ok: bool
    value: JSON
    stdout: str
    stdout_truncated: bool
    error: ScriptError | None
    usage: Usage
    calls: int
    """Tool calls that were handed to `on_call`."""
    level: str = "run"
    """What kept the run apart: "run", "team" or, without gVisor, "monty"."""
    note: str = ""
    """Why it did not run at the level asked for, if so."""


OnCall = Callable[[Call], Reply]


class Provider(Protocol):
    """Runs scripts; `run` may be called from many threads at once."""

    name: str

    def run(
        self, job: Job, on_call: OnCall, cancelled: threading.Event | None = None
    ) -> Result:
        """Run one script in a sandbox of its own and destroy that sandbox.

        `on_call` is called on this thread for calls made one by one and on threads
        of the provider for calls in flight together; it must have a time limit of
        its own, since `run` waits for the calls it has begun. If it raises, the run
        ends with code `internal`. Setting `cancelled` ends the run within 0.1 s,
        but for calls already begun. Never raises for what a script does.
        """
        ...

    def start(self) -> None:
        """Find out how sandboxes work here, then boot them in the background.

        Takes a second or a few, `run` does it where it was not done. Raises
        SandboxUnavailable.
        """
        ...

    def close(self) -> None:
        """End every sandbox and remove all files but the root image."""
        ...

    def describe(self) -> dict[str, JSON]:
        """State for health pages: platform, versions, pool figures."""
        ...
