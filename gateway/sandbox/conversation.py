"""One run's talk with its sandbox: sends the job, serves calls, takes one ending."""

import os
import select
import threading
import time
from collections import deque
from concurrent.futures import Executor, Future

from gateway.sandbox import channel
from gateway.sandbox.api import JSON, Call, CallError, Job, OnCall, Reply, ScriptError
from gateway.sandbox.channel import (
    Failed,
    FrameReader,
    Printed,
    Returned,
    ToolCall,
)
from gateway.sandbox.errors import CODES, HOST_MESSAGES, Violation
from gateway.sandbox.watch import Watched

FLOOD = 64  # times stdout_bytes, after which a run that only prints is ended
_READ = 1 << 18
_WRITE_SECONDS = 10.0  # for the sandbox to take a message it asked for


Answer = tuple[int | None, bytes]


class CallFailed(Exception):
    """`on_call` raised or gave something that is not JSON."""


class Conversation:
    """Serves one run on the calling thread; believes nothing the sandbox says."""

    def __init__(
        self, job: Job, on_call: OnCall, watched: Watched, executor: Executor
    ) -> None:
        self._job = job
        self._on_call = on_call
        self._watched = watched
        self._executor = executor
        self._incoming = watched.member.incoming
        self._outgoing = watched.member.outgoing
        limits = job.limits
        self._reader = FrameReader(max(limits.message_bytes, limits.result_bytes))
        self._poll = select.poll()
        self._poll.register(self._incoming, select.POLLIN)
        self._output = bytearray()
        self._printed = 0
        self._in_flight: dict[int, Future[Answer]] = {}
        self._finished: deque[tuple[ToolCall, Future[Answer]]] = deque()
        self._early: dict[int, bytes] = {}
        self._turn = 0
        self._wake = -1
        self._wake_lock = threading.Lock()
        self._step = 0
        self._errors: dict[int, tuple[str, CallError]] = {}
        self.calls = 0
        self.waited = 0.0
        self._waiting_since = 0.0
        self.ending: Returned | Failed | None = None
        self.stdout_truncated = False

    @property
    def stdout(self) -> str:
        """What was kept of the output; cut at a whole character."""
        return self._output.decode("utf-8", "ignore")

    def hold(self) -> None:
        """Talk until the script has ended or the sandbox is gone.

        Raises Violation, and CallFailed when `on_call` raised.
        """
        try:
            self._write(channel.encode_job(self._job))
            while self.ending is None and self._step_once():
                pass
        finally:
            member = self._watched.member
            member.meter.memory()  # microseconds; gone with the process
            member.meter.cpu()
            member.kill()  # before anything else: it may still speak
            self._settle()

    def _step_once(self) -> bool:
        while (frame := self._reader.next()) is not None:
            self._take(channel.decode(frame))
            if self.ending is not None:
                return False
        for descriptor, _ in self._poll.poll(60_000):
            if descriptor == self._wake:
                os.eventfd_read(self._wake)
                self._send_finished()
                continue
            try:
                data = os.read(self._incoming, _READ)
            except BlockingIOError:
                continue
            if not data:
                return False
            self._reader.feed(data)
        return True

    def _take(self, message: channel.Message) -> None:
        match message:
            case ToolCall():
                self._serve(message)
            case Printed():
                self._keep(message.text)
            case Returned():
                if message.size > self._job.limits.result_bytes:
                    raise Violation("output_too_large")
                self.ending = message
            case Failed():
                self.ending = message
            case _:
                raise Violation("protocol_violation", "ready a second time")

    def _keep(self, text: str) -> None:
        data = text.replace("\0", "\ufffd").encode()
        limit = self._job.limits.stdout_bytes
        self._printed += len(data)
        self._output += data[: limit - len(self._output)]
        self.stdout_truncated = self._printed > limit
        if self._printed > limit * FLOOD:
            raise Violation("output_limit")

    def _serve(self, call: ToolCall) -> None:
        limits = self._job.limits
        self._step += 1
        if call.step != self._step:
            raise Violation("protocol_violation", f"id {call.step} out of order")
        if self.calls >= limits.calls:
            raise Violation("too_many_calls")
        if len(self._in_flight) >= limits.calls_in_flight:
            raise Violation("too_many_calls_in_flight")
        if self._watched.verdict is not None:
            return  # killed already: nothing more goes out
        self.calls += 1
        if call.alone and not self._in_flight and not self._reader.has_next():
            started = time.monotonic()
            try:
                answer = self._answer(call)
            finally:
                self.waited += time.monotonic() - started
            self._write(self._in_turn(answer))
        else:
            self._serve_beside(call)

    def _in_turn(self, answer: Answer) -> bytes:
        """What may be given to the script now; the rest waits for its turn."""
        turn, frame = answer
        if turn is None:
            return frame
        self._early[turn] = frame
        ready = []
        while self._turn + 1 in self._early:
            self._turn += 1
            ready.append(self._early.pop(self._turn))
        return b"".join(ready)

    def _answer(self, call: ToolCall) -> Answer:
        try:
            reply = self._on_call(Call(call.step, call.tool, call.arguments))
            if reply.error is not None:
                self._remember(call, reply)
            limit = self._job.limits.message_bytes
            return reply.turn, channel.encode_reply(call, reply, limit)
        except Exception as error:
            raise CallFailed(f"{call.tool}: {type(error).__name__}") from error

    def _remember(self, call: ToolCall, reply: Reply) -> None:
        error = reply.error
        if error is not None:
            self._errors[call.step] = (call.tool, error)

    def _serve_beside(self, call: ToolCall) -> None:
        if self._wake < 0:
            self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._poll.register(self._wake, select.POLLIN)
        if not self._in_flight:
            self._waiting_since = time.monotonic()
        future = self._executor.submit(self._answer, call)
        self._in_flight[call.step] = future
        future.add_done_callback(lambda done: self._finish(call, done))

    def _finish(self, call: ToolCall, done: Future[Answer]) -> None:
        self._finished.append((call, done))
        with self._wake_lock:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def _send_finished(self) -> None:
        frames = []
        while self._finished:
            call, done = self._finished.popleft()
            del self._in_flight[call.step]
            if not self._in_flight:
                self.waited += time.monotonic() - self._waiting_since
            frames.append(self._in_turn(done.result()))
        if any(frames):
            self._write(b"".join(frames))

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
        if self._wake >= 0:
            with self._wake_lock:
                os.close(self._wake)
                self._wake = -1

    def _write(self, data: bytes) -> None:
        """Write all, within a time limit: a script may never read."""
        deadline = time.monotonic() + _WRITE_SECONDS
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._outgoing, view) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0 or self._watched.verdict is not None:
                    raise Violation("protocol_violation", "replies unread") from None
                select.select([], [self._outgoing], [], min(left, 0.1))
            except BrokenPipeError:
                return  # it is gone; reading will tell

    def script_error(self, failed: Failed) -> ScriptError:
        """The script's account of its error, where it can be believed."""
        lines = self._job.code.count("\n") + 1
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
        believed = failed.code in CODES and failed.code not in HOST_MESSAGES
        code = failed.code if believed else "script_error"
        return ScriptError(code, failed.message, line, False, failed.suggestions)


def value_of(ending: Returned | Failed | None) -> JSON:
    """The result's value, if there is one."""
    return ending.value if isinstance(ending, Returned) else None
