"""Drives one script in a fresh Monty interpreter: answers it, step by step."""

import json
import random
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic_monty import (
    ExternalModule,
    FunctionSnapshot,
    FutureSnapshot,
    Monty,
    MontyComplete,
    MontyCrashedError,
    MontyError,
    MontySession,
    MontySyntaxError,
    NameLookupSnapshot,
    ResourceLimits,
)

from ..values import (  # noqa: TID252 - the package has another name in the image
    NotJSON,
    to_json,
)
from . import failure
from .offers import Offers
from .subset import FIELD_OF_ERROR, OutsideSubset, Prepared, prepare

_STEP = 1_000_000  # nanoseconds per reading of the clock, as at level `run`
_SUSPENSIONS = 50_000
"""Times a script may ask its host for anything: clock, sleep, import, call."""
_FUNCTION = re.compile(r'"<function \'[^\']{0,200}\'(?: external)? at 0x[0-9a-f]+>"')
_TOOLS = "tools."
Snapshot = FunctionSnapshot | NameLookupSnapshot | FutureSnapshot | MontyComplete
Settled = Any  # pydantic_monty.ExternalSettledResult, which mypy cannot build by parts


class Ended(Exception):
    """The host has ended the run; nothing more is to be said."""


class Port(Protocol):
    """Where a run's calls go and its replies come from."""

    def send(self, calls: list[tuple[int, str, str, bool]]) -> None:
        """Send calls: step, tool, arguments as JSON, whether nothing can follow."""
        ...

    def receive(self, timeout: float | None) -> list[dict[str, Any]]:
        """Replies that have come, at least one unless time is up. Raises Ended."""
        ...

    def print(self, text: str) -> None:
        """Take a piece of output."""
        ...


class Run:
    """One script; `run` gives its `done` frame."""

    def __init__(
        self,
        job: Mapping[str, Any],
        port: Port,
        released: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._job = job
        self._port = port
        self._released = released
        """Told when the worker is about to serve another run, or to be replaced."""
        self._limits = job["limits"]
        self._now = self._start = int(job["started_at"] * 1_000_000_000)
        self._entropy = random.Random(f"{job['seed']}:entropy")  # noqa: S311 - pinned
        self._steps = 0
        self._tools: dict[int, str] = {}
        """Tool of each step in flight."""
        self._futures: dict[int, int] = {}
        """Monty's number of each step in flight."""
        self._queued: deque[tuple[int, str, str]] = deque()
        self._timers: dict[int, float] = {}
        self._early: list[dict[str, Any]] = []
        self._errors: dict[str, dict[str, Any]] = {}
        self._uses_await = False

    def run(self, pool: Monty, offers: Offers, started: Callable[[int], None]) -> str:
        """Run the script to its end; `started` is told the worker's pid.

        Raises OutsideSubset before anything was called, and Ended.
        """
        try:
            prepared = prepare(self._job["code"], offers)
        except SyntaxError as error:
            return failure.syntax(error)
        except (ValueError, RecursionError, MemoryError) as error:
            raise OutsideSubset(f"its text: {type(error).__name__}") from None
        self._uses_await = prepared.uses_await
        try:
            return self._execute(pool, prepared, started)
        except NotJSON as error:
            return failure.not_json(str(error))
        except failure.Limit as limit:
            return failure.frame(limit.code, str(limit))
        except MontyError as error:
            if not self._steps and _is_lack(error):
                raise OutsideSubset(str(error)[:300], failure.line(error)) from None
            return failure.describe(error, self._errors, self._job["tools"])

    def _execute(
        self, pool: Monty, prepared: Prepared, started: Callable[[int], None]
    ) -> str:
        with pool.checkout(
            script_name="script.py",
            limits=self._resource_limits(),
            assert_message_annotations=False,
            os_policy={
                "datetime": "call_host",
                "sleep": "call_host",
                "random_start": {"seed": f"{self._job['seed']}:random"},
            },
            external_modules={"tools": self._package()},
        ) as session:
            started(session.worker_pid or 0)
            spoiled = True
            try:
                if prepared.prelude:
                    self._drive(session, prepared.prelude)
                value = self._drive(session, prepared.code)
                spoiled = False
            except MontyError as error:
                spoiled = _spoils(error)
                raise
            finally:
                self._released(spoiled)
        text = _strict(value, "result")
        most = self._limits["result_bytes"]
        if len(text) > most:
            return failure.frame(
                "output_too_large",
                f"The result has {len(text)} bytes as JSON, the limit is {most}: "
                "return fewer rows or fields",
            )
        return f'{{"t":"done","ok":true,"value":{text}}}'

    def _resource_limits(self) -> ResourceLimits:
        more = self._job.get("monty", {})
        return {
            "max_feed_duration_secs": self._limits["cpu_seconds"],
            "max_memory": self._limits["memory_mb"] << 20,
            "max_suspensions": _SUSPENSIONS + 2 * self._limits["calls"],
            "max_recursion_depth": more.get("max_recursion_depth", 1_000),
            "gc_interval": more.get("gc_interval"),
        }

    def _package(self) -> ExternalModule:
        def nothing() -> None:
            """Never called: calls come as snapshots."""

        spaces: dict[str, Any] = {
            namespace: ExternalModule(dict.fromkeys(functions, nothing))
            for namespace, functions in self._job["tools"].items()
        }
        return ExternalModule(spaces | {"call_tool": nothing})

    def _drive(self, session: MontySession, code: str) -> Any:
        snapshot: Snapshot = session.feed_start(code, print_callback=self._print)
        while not isinstance(snapshot, MontyComplete):
            match snapshot:
                case FunctionSnapshot(is_os_function=True):
                    snapshot = self._system(snapshot)
                case FunctionSnapshot():
                    snapshot = self._function(snapshot)
                case FutureSnapshot():
                    snapshot = snapshot.resume(self._settle())
                case NameLookupSnapshot():
                    snapshot = snapshot.resume()
        return snapshot.output

    def _print(self, _stream: str, text: str) -> None:
        self._port.print(text)

    # What scripts call

    def _function(self, snapshot: FunctionSnapshot) -> Snapshot:
        name = snapshot.function_name
        if name.startswith(FIELD_OF_ERROR):
            return snapshot.resume(self._field(name, snapshot.args))
        if not name.startswith(_TOOLS):
            return snapshot.resume(
                {"exception": NameError(f"name '{name}' is not defined")}
            )
        try:
            tool, arguments = self._call(name, snapshot)
        except TypeError as error:  # NotJSON is one
            return snapshot.resume({"exception": TypeError(str(error))})
        self._steps += 1
        if self._steps > self._limits["calls"]:
            raise failure.Limit(
                "too_many_calls",
                f"The script made more than {self._limits['calls']} tool calls: use "
                "tools that take lists, or split the work into several runs",
            )
        if self._uses_await:
            self._queued.append((snapshot.call_id, tool, arguments))
            self._steps -= 1  # counted when sent
            return snapshot.resume({"future": ...})
        self._tools[self._steps] = tool
        self._port.send([(self._steps, tool, arguments, True)])
        (reply,) = self._port.receive(None)
        return snapshot.resume(self._settled(reply))

    def _call(self, name: str, snapshot: FunctionSnapshot) -> tuple[str, str]:
        space, _, function = name.removeprefix(_TOOLS).rpartition(".")
        args, given = snapshot.args, snapshot.kwargs
        if not space:
            if not args or not isinstance(args[0], str) or len(args) > 2:
                raise TypeError('use call_tool("server.tool", {"name": value})')
            tool, arguments = args[0], {**(args[1:] or ({},))[0], **given}
        elif args:
            if len(args) > 1 or given or not isinstance(args[0], dict):
                raise TypeError(f"{space}.{function}() takes keyword arguments only")
            tool, arguments = self._job["tools"][space][function], args[0]
        else:
            tool, arguments = self._job["tools"][space][function], given
        text = _strict(arguments, "arguments")
        most = self._limits["message_bytes"]
        if len(text) > most - 1_024:
            raise failure.Limit(
                "message_too_large",
                f"The arguments of {tool} have {len(text)} bytes, the limit is "
                f"{most}: send less, or in several calls",
            )
        return tool, text

    def _field(self, name: str, args: tuple[Any, ...]) -> Settled:
        field = name.removeprefix(FIELD_OF_ERROR)
        error = self._errors.get(str(args[0])) if args else None
        if error is None:
            kind = type(args[0]).__name__ if args else "error"
            text = f"'{kind}' object has no attribute '{field}'"
            return {"exception": AttributeError(text)}
        return {"return_value": error[field]}

    def _settled(self, reply: dict[str, Any]) -> Settled:
        tool = self._tools.pop(reply["id"])
        given = reply.get("error")
        if given is None:
            return {"return_value": reply["value"]}
        text = given["message"] or given["code"]
        self._errors[text] = given | {"tool": tool, "step": reply["id"]}
        return {"exc_type": "binascii.Incomplete", "message": text}

    # Waiting

    def _settle(self) -> dict[int, Settled]:
        """Send what waits to be sent, then wait for a reply or the end of a sleep."""
        self._send_queued()
        results: dict[int, Settled] = {}
        while not results:
            now = time.monotonic()
            for number, at in list(self._timers.items()):
                if at <= now:
                    del self._timers[number]
                    results[number] = {"return_value": None}
            if results:
                break
            left = min(self._timers.values()) - now if self._timers else None
            for reply in self._early or self._port.receive(left):
                number = self._futures.pop(reply["id"])
                results[number] = self._settled(reply)
            self._early = []
        return results

    def _send_queued(self) -> None:
        calls = []
        while self._queued and len(self._futures) < self._limits["calls_in_flight"]:
            number, tool, arguments = self._queued.popleft()
            self._steps += 1
            alone = not (self._futures or self._queued or self._timers)
            self._futures[self._steps], self._tools[self._steps] = number, tool
            calls.append((self._steps, tool, arguments, alone))
        if calls:
            self._port.send(calls)

    # Clock, sleep and randomness, as harness/clock.py pins them

    def _system(self, snapshot: FunctionSnapshot) -> Snapshot:
        match snapshot.function_name, snapshot.args:
            case ("datetime.now", (zone, *_)):
                moment = datetime.fromtimestamp(self._seconds(), zone or UTC)
                shown = moment if zone else moment.replace(tzinfo=None)
                return snapshot.resume({"return_value": shown})
            case ("date.today", _):
                today = datetime.fromtimestamp(self._seconds(), UTC).date()
                return snapshot.resume({"return_value": today})
            case ("time.time", (caller, *_)):
                elapsed = caller.startswith(("time.monotonic", "time.perf_counter"))
                value = self._seconds() - (self._start / 1e9 if elapsed else 0)
                return snapshot.resume({"return_value": value})
            case ("time.sleep", (seconds, *_)):
                self._sleep(float(seconds))
                return snapshot.resume({"return_value": None})
            case ("asyncio.sleep", (seconds, *_)):
                wait = min(max(0.0, float(seconds)), 1e6)
                self._timers[snapshot.call_id] = time.monotonic() + wait
                return snapshot.resume({"future": ...})
            case ("import", _):
                return snapshot.resume_auto()
        return snapshot.resume_not_handled()

    def _seconds(self) -> float:
        self._now += _STEP
        return self._now / 1e9

    def _sleep(self, seconds: float) -> None:
        seconds = min(max(0.0, seconds), 1e6)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._early += self._port.receive(left)
        self._now += int(seconds * 1e9)


def _strict(value: Any, name: str) -> str:
    text = to_json(value, name)
    if "<function '" in text and (found := _FUNCTION.search(text)):
        # a function leaves Monty as a text of this form
        raise NotJSON(f"{name} has {json.loads(found[0])}, which is not JSON")
    return text


_LACKS = frozenset(
    {
        "AttributeError",
        "ImportError",
        "ModuleNotFoundError",
        "NameError",
        "NotImplementedError",
        "PermissionError",
        "TypeError",
    }
)


def _spoils(error: MontyError) -> bool:
    """Whether the worker is to be replaced: it passed a limit, or keeps much memory."""
    return type(error.exception()).__name__ in ("MemoryError", "TimeoutError")


def _is_lack(error: MontyError) -> bool:
    """Whether the error may be Monty's and not the script's."""
    if isinstance(error, MontyCrashedError):
        return not error.timed_out
    if isinstance(error, MontySyntaxError):
        return True
    return type(error.exception()).__name__ in _LACKS
