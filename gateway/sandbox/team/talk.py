"""One run's side of the talk with a team's sandbox; its number binds what it may do."""

import queue
import re
import threading
import time
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Protocol

from gateway.sandbox import channel
from gateway.sandbox.api import JSON, Call, CallError, Job, OnCall, Reply, ScriptError
from gateway.sandbox.channel import Failed, Printed, Returned, ToolCall
from gateway.sandbox.conversation import FLOOD, CallFailed
from gateway.sandbox.errors import (
    CODES,
    HOST_MESSAGES,
    MESSAGES,
    RETRYABLE,
    Violation,
)

OUTSIDE = "outside_subset"
"""Said of a script that Monty cannot run, before it called anything."""
# What Monty enforces inside: a claim of these ends a run that is at its end anyway
_INSIDE = frozenset({"cpu_time", "sandbox_died"})
_BELIEVED = (CODES - HOST_MESSAGES.keys()) | _INSIDE | {OUTSIDE}
_TRAFFIC = 32  # messages of the largest size, in bytes of one run

Finished = tuple[ToolCall, "Future[bytes]"]


_WORD = re.compile(r"[^\W\d]\w*")
_BY_NAME = frozenset({"getattr", "vars", "dir", "__dict__"})


def mentioned(job: Job) -> Job:
    """The job with those tools only whose function's name stands in its script.

    A catalog of thousands would cost more than the run. A script that may build names
    gets them all.
    """
    words = set(_WORD.findall(job.code))
    if words & _BY_NAME or sum(map(len, job.tools.values())) < 50:
        return job
    tools = {
        space: {name: tool for name, tool in functions.items() if name in words}
        for space, functions in job.tools.items()
        if space in words
    }
    return replace(job, tools=tools)


class Sender(Protocol):
    """Writes a frame of a run to its sandbox."""

    def __call__(self, number: int, body: bytes) -> None: ...


class Talk:
    """Serves one run's calls on the calling thread; takes one ending.

    `take` is called on the sandbox's reader thread, `end` on any thread, `hold` on
    the run's own.
    """

    def __init__(
        self,
        job: Job,
        on_call: OnCall,
        executor: Executor,
        cancelled: threading.Event | None,
    ) -> None:
        self.job = job
        self.deadline = time.monotonic() + job.limits.wall_seconds
        self.cancelled = cancelled
        self.number = 0
        self.ending: Returned | Failed | None = None
        self.verdict: str | None = None
        """Why the host ended the run; the first reason counts."""
        self.calls = 0
        self.waited = 0.0
        self.cpu_seconds = 0.0
        """This run's share of what its sandbox used while it was in flight."""
        self.opened = 0.0
        self.cpu_before: dict[int, float] = {}
        """What each of the sandbox's processes had used when this run came."""
        self.explained_before = 0.0
        self.peak_memory = 0
        self.stdout_truncated = False
        self._on_call = on_call
        self._executor = executor
        self._inbox: queue.SimpleQueue[ToolCall | Finished | None] = queue.SimpleQueue()
        self._output = bytearray()
        self._printed = 0
        self._traffic = _TRAFFIC * (self.most_bytes + channel.ENVELOPE)
        self._step = 0
        self._open_calls = 0
        self._in_flight: dict[int, Future[bytes]] = {}
        self._waiting_since = 0.0
        self._errors: dict[int, tuple[str, CallError]] = {}
        self._lock = threading.Lock()

    @property
    def most_bytes(self) -> int:
        """The largest message of this run."""
        return max(self.job.limits.message_bytes, self.job.limits.result_bytes)

    @property
    def stdout(self) -> str:
        """What was kept of the output; cut at a whole character."""
        return self._output.decode("utf-8", "ignore")

    def end(self, code: str) -> None:
        """End the run for `code`, unless it has ended already."""
        with self._lock:
            if self.verdict is None and self.ending is None:
                self.verdict = code
        self._inbox.put(None)

    # On the reader's thread

    def take(self, message: channel.Message, size: int) -> None:
        """Take one message of `size` bytes.

        Raises Violation for what only a broken interpreter sends; a limit that a
        script can pass ends this run alone.
        """
        self._traffic -= size
        if size > self.most_bytes + channel.ENVELOPE or self._traffic < 0:
            self.end("message_too_large")
            return
        match message:
            case ToolCall():
                self._take_call(message)
            case Printed():
                self._keep(message.text)
            case Returned() | Failed():
                self._take_ending(message)
            case _:
                raise Violation("protocol_violation", "ready a second time")

    def _take_call(self, call: ToolCall) -> None:
        self._step += 1
        if call.step != self._step:
            raise Violation("protocol_violation", f"id {call.step} out of order")
        with self._lock:
            self._open_calls += 1
            open_calls = self._open_calls
        if open_calls > self.job.limits.calls_in_flight:
            raise Violation("too_many_calls_in_flight")
        if self._step > self.job.limits.calls:
            self.end("too_many_calls")
        else:
            self._inbox.put(call)

    def _keep(self, text: str) -> None:
        data = text.replace("\0", "\ufffd").encode()
        limit = self.job.limits.stdout_bytes
        self._printed += len(data)
        self._output += data[: limit - len(self._output)]
        self.stdout_truncated = self._printed > limit
        if self._printed > limit * FLOOD:
            self.end("output_limit")

    def _take_ending(self, ending: Returned | Failed) -> None:
        large = isinstance(ending, Returned) and (
            ending.size > self.job.limits.result_bytes
        )
        if large:
            self.end("output_too_large")
            return
        with self._lock:
            if self.verdict is None:
                self.ending = ending
        self._inbox.put(None)

    # On the run's own thread

    def hold(self, send: Sender) -> None:
        """Serve calls until the run has ended. Raises CallFailed."""
        try:
            while True:
                item = self._inbox.get()
                if self.ending is not None or self.verdict is not None:
                    return
                if isinstance(item, ToolCall):
                    self._serve(item, send)
                elif item is not None:
                    self._send_finished(item, send)
        finally:
            self._settle()

    def _serve(self, call: ToolCall, send: Sender) -> None:
        self.calls += 1
        if call.alone and not self._in_flight:
            started = time.monotonic()
            try:
                body = self._answer(call)
            finally:
                self.waited += time.monotonic() - started
            self._reply(send, body)
            return
        if not self._in_flight:
            self._waiting_since = time.monotonic()
        future = self._executor.submit(self._answer, call)
        self._in_flight[call.step] = future
        future.add_done_callback(lambda done: self._inbox.put((call, done)))

    def _answer(self, call: ToolCall) -> bytes:
        try:
            reply = self._on_call(Call(call.step, call.tool, call.arguments))
            if reply.error is not None:
                self._remember(call, reply)
            frame = channel.encode_reply(call, reply, self.job.limits.message_bytes)
            return frame[4:]  # the sandbox's writer adds its own head
        except Exception as error:
            raise CallFailed(f"{call.tool}: {type(error).__name__}") from error

    def _remember(self, call: ToolCall, reply: Reply) -> None:
        error = reply.error
        if error is not None:
            self._errors[call.step] = (call.tool, error)

    def _send_finished(self, item: Finished, send: Sender) -> None:
        call, done = item
        del self._in_flight[call.step]
        if not self._in_flight:
            self.waited += time.monotonic() - self._waiting_since
        self._reply(send, done.result())

    def _reply(self, send: Sender, body: bytes) -> None:
        with self._lock:
            self._open_calls -= 1
            if self.verdict is not None:
                return
        send(self.number, body)

    def _settle(self) -> None:
        """Cancel what has not begun, wait for what has: its effects are recorded."""
        for future in self._in_flight.values():
            future.cancel()
        for future in self._in_flight.values():
            if not future.cancelled():
                future.exception()
        if self._in_flight:
            self.waited += time.monotonic() - self._waiting_since
            self.calls -= sum(f.cancelled() for f in self._in_flight.values())

    @property
    def value(self) -> JSON:
        """The result's value, if there is one."""
        return self.ending.value if isinstance(self.ending, Returned) else None

    def error(self, code: str = "") -> ScriptError | None:
        """Why the run failed, if it did; `code` is the host's own reason."""
        code = code or self.verdict or ""
        if not code and isinstance(self.ending, Failed):
            error = self._script_error(self.ending)
            if error.code not in _INSIDE:
                return error
            code = error.code
        if not code:
            return None
        limits = self.job.limits
        values = {name: getattr(limits, name) for name in limits.__slots__}
        message = MESSAGES[code].format(**values)
        # a dead interpreter or sandbox is not of this run's making, most likely
        retryable = code in RETRYABLE or code == "sandbox_died"
        return ScriptError(code, message, None, retryable)

    def _script_error(self, failed: Failed) -> ScriptError:
        lines = self.job.code.count("\n") + 1
        line = failed.line if failed.line and 0 < failed.line <= lines else None
        known = self._errors.get(failed.step)
        if failed.code == "tool_error" and known is not None:
            tool, error = known
            return ScriptError(
                error.code,
                f"{tool}: {error.message}",
                line,
                error.retryable,
                error.suggestions,
                error.details,
            )
        code = failed.code if failed.code in _BELIEVED else "script_error"
        return ScriptError(code, failed.message, line, False, failed.suggestions)
