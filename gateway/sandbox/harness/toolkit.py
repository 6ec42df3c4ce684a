"""The `tools` package that scripts import, and the calls behind it."""

import asyncio
import difflib
import json
import sys
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from .channel import Channel
from .output import Output
from .values import to_json


class ToolError(Exception):
    """A tool call failed; scripts may catch it."""

    def __init__(
        self,
        code: str,
        message: str = "",
        retryable: bool = False,
        tool: str = "",
        suggestions: tuple[str, ...] = (),
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.tool = tool
        self.suggestions = suggestions
        self.details = dict(details or {})
        self._step = 0


ToolError.__module__ = "tools"


class LimitReached(BaseException):
    """Ends the run; not an Exception, so that `except Exception` lets it pass."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Caller:
    """Sends calls, one step number each, and hands their replies back."""

    def __init__(self, channel: Channel, output: Output) -> None:
        self._channel = channel
        self._output = output
        self._lock = threading.Lock()
        self.steps = 0
        self.most_calls = 0
        self.most_in_flight = 1
        self.most_bytes = 0
        self.waiting: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        """Calls in flight by step."""
        self._queued: list[tuple[str, str, asyncio.Future[Any]]] = []

    def _arguments(self, tool: str, arguments: dict[str, Any]) -> str:
        text = to_json(arguments, "arguments")
        if len(text) > self.most_bytes - 1_024:
            raise LimitReached(
                "message_too_large",
                f"The arguments of {tool} have {len(text)} bytes, the limit is "
                f"{self.most_bytes}: send less, or in several calls",
            )
        return text

    def _next_step(self) -> int:
        if self.steps >= self.most_calls:
            raise LimitReached(
                "too_many_calls",
                f"The script made more than {self.most_calls} tool calls: use tools "
                "that take lists, or split the work into several runs",
            )
        self.steps += 1
        return self.steps

    def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        """Call and wait, with nothing else in flight."""
        text = self._arguments(tool, arguments)
        with self._lock:
            self._output.flush()
            step = self._next_step()
            self._channel.send(_frame(step, tool, text, alone=True))
            reply = self._channel.receive()
        return _outcome(tool, reply)

    async def call_async(self, tool: str, arguments: dict[str, Any]) -> Any:
        """Queue the call; the event loop sends it when it next has to wait."""
        text = self._arguments(tool, arguments)
        future = asyncio.get_running_loop().create_future()
        self._queued.append((tool, text, future))
        return await future

    def send_queued(self, *, idle: bool) -> None:
        """Send what fits in flight; `idle` says that nothing can follow it."""
        frames = []
        self._output.flush()
        while self._queued and len(self.waiting) < self.most_in_flight:
            tool, text, future = self._queued.pop(0)
            if future.done():  # cancelled before it was sent
                continue
            try:
                step = self._next_step()
            except LimitReached as error:
                future.set_exception(error)
                continue
            alone = idle and not self.waiting and not self._queued
            self.waiting[step] = (tool, future)
            frames.append(_frame(step, tool, text, alone=alone))
        if frames:
            self._channel.send_all(frames)

    def take_replies(self) -> None:
        """Wait for replies and give each to its call."""
        for reply in self._channel.receive_ready():
            tool, future = self.waiting.pop(reply["id"])
            if future.done():
                continue
            try:
                future.set_result(_outcome(tool, reply))
            except ToolError as error:
                future.set_exception(error)


def _frame(step: int, tool: str, arguments: str, *, alone: bool) -> str:
    head = f'{{"t":"call","id":{step},"tool":{json.dumps(tool)},"alone":'
    return f'{head}{"true" if alone else "false"},"arguments":{arguments}}}'


def _outcome(tool: str, reply: dict[str, Any]) -> Any:
    if "error" not in reply:
        return reply["value"]
    given = reply["error"]
    error = ToolError(
        given["code"],
        given["message"],
        given["retryable"],
        tool,
        tuple(given["suggestions"]),
        given["details"],
    )
    error._step = reply["id"]
    raise error


class Missing(AttributeError):
    """A tool or namespace that is not there; knows names that look like it."""

    suggestions: tuple[str, ...] = ()


class Namespace(ModuleType):
    """A tool server's functions, or the `tools` package itself."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        known = [key for key in vars(self) if not key.startswith("_")]
        error = Missing(f"{self.__name__} has no {name!r}")
        close = difflib.get_close_matches(name, known, 3, 0.5)
        error.suggestions = tuple(f"{self.__name__}.{key}" for key in close)
        raise error


def install(
    tools: Mapping[str, Mapping[str, str]], caller: Caller, *, uses_await: bool
) -> ModuleType:
    """Make `tools` and its namespaces importable; returns the package."""
    package = Namespace("tools")
    package.__path__ = []
    sys.modules["tools"] = package
    call = caller.call_async if uses_await else caller.call
    vars(package).update(ToolError=ToolError, call_tool=_call_tool(call))
    for namespace, functions in tools.items():
        module = Namespace(f"tools.{namespace}")
        for name, tool in functions.items():
            setattr(module, name, _function(namespace, name, tool, call))
        setattr(package, namespace, module)
        sys.modules[module.__name__] = module
    return package


def _function(
    namespace: str, name: str, tool: str, call: Callable[..., Any]
) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        if args:
            if len(args) > 1 or kwargs or not isinstance(args[0], dict):
                raise TypeError(f"{namespace}.{name}() takes keyword arguments only")
            kwargs = args[0]
        return call(tool, kwargs)

    function.__name__ = name
    function.__qualname__ = f"{namespace}.{name}"
    function.__module__ = f"tools.{namespace}"
    return function


def _call_tool(call: Callable[..., Any]) -> Callable[..., Any]:
    def call_tool(
        tool: str, arguments: dict[str, Any] | None = None, /, **more: Any
    ) -> Any:
        if not isinstance(tool, str) or not isinstance(arguments, dict | None):
            raise TypeError('use call_tool("server.tool", {"name": value})')
        return call(tool, {**(arguments or {}), **more})

    call_tool.__module__ = "tools"
    return call_tool
