"""Takes one job from the host, runs its script, says how it ended."""

import asyncio
import importlib
import json
import os
import resource
import sys
import threading
import types
from typing import Any

from . import clock, failure
from .channel import Channel
from .loop import ChannelLoop, ChannelPolicy
from .output import Output
from .script import ENTRY, STAR_IMPORT, Script, compile_script
from .toolkit import Caller, install
from .values import NotJSON, to_json

# Imported before the script comes, and there without an import
_MODULE_NAMES = (
    "json re collections itertools functools math statistics decimal random uuid csv "
    "io base64 hashlib textwrap difflib dataclasses enum typing string operator heapq "
    "bisect fractions contextlib copy calendar abc zoneinfo urllib.parse html "
    "traceback logging concurrent.futures threading queue pprint"
)
_MODULES = _MODULE_NAMES.split()
_OVERHEAD = 192 << 20  # address space of the interpreter itself
_THREAD_STACK = 2 << 20
_WARM_UP = """
import datetime
from tools import warm
datetime.datetime.strptime("2026-01-01", "%Y-%m-%d")
rows = [{"id": i, "at": datetime.datetime.now().isoformat()} for i in range(20)]
def total(rows: list) -> int:
    return sum(row["id"] for row in rows)
try:
    warm.nothing(1, 2)
except TypeError as error:
    note = f"{error}"
return {"total": total(rows), "rows": rows}
"""


def main() -> None:
    """Get ready, say so, then serve the one job."""
    channel = _take_channel()
    output = Output(channel)
    for name in _MODULES:
        importlib.import_module(name)
    clock.install()
    _refuse_processes()
    threading.stack_size(_THREAD_STACK)
    _discard_own_import_path()
    _warm_up(channel, output)
    channel.send('{"t":"ready"}')
    _to_null(2)  # until here an error of our own goes to the host's log
    job = channel.receive()
    while job.get("warm"):  # restored from a checkpoint, with all pages cold
        _warm_up(channel, output)
        channel.send('{"t":"ready"}')
        job = channel.receive()
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        setattr(sys, name, output)
    _limit(job["limits"])
    frame = run(job, channel, output)
    output.flush()
    channel.send(frame)
    while True:  # the host ends this process; until then nothing more is said
        channel.receive()


def _take_channel() -> Channel:
    """Move the pipes away from 0 and 1, where a script's mistakes would reach them."""
    channel = Channel(os.dup(0), os.dup(1))
    _to_null(0, 1)
    return channel


def _to_null(*descriptors: int) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


def _refuse_processes() -> None:
    for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system", "popen"):
        setattr(os, name, failure.refuse_process)
    subprocess: Any = importlib.import_module("subprocess")
    subprocess._fork_exec = failure.refuse_process


def _discard_own_import_path() -> None:
    sys.path[:] = [path for path in sys.path if "tollgate" not in path]
    os.environ.pop("PYTHONPATH", None)


def _limit(limits: dict[str, int]) -> None:
    memory = (limits["memory_mb"] << 20) + _OVERHEAD
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NPROC, limits["processes"]),
    ):
        hard = resource.getrlimit(kind)[1]
        value = min(value, hard) if hard >= 0 else value
        resource.setrlimit(kind, (value, value))


def _warm_up(channel: Channel, output: Output) -> None:
    """Run a script through every stage once: the first one pays for all caches."""
    clock.set_run(0, 0.0)
    caller = Caller(channel, output)
    script = compile_script(_WARM_UP)
    names = _names(
        install({"warm": {"nothing": "x"}}, caller, uses_await=False), caller
    )
    to_json(_execute(script, names, channel, caller), "result")
    script = compile_script("import asyncio\nawait asyncio.sleep(0)\n1")
    _execute(script, names, channel, caller)
    failure.describe(ValueError("x"), names)
    for name in ("tools.warm", "tools"):
        del sys.modules[name]


def run(job: dict[str, Any], channel: Channel, output: Output) -> str:
    """Run the job's script; returns the `done` frame."""
    limits = job["limits"]
    clock.set_run(job["seed"], job["started_at"])
    caller = Caller(channel, output)
    caller.most_calls = limits["calls"]
    caller.most_in_flight = limits["calls_in_flight"]
    caller.most_bytes = limits["message_bytes"]
    names: dict[str, Any] = {}
    try:
        script = _compile(job["code"])
        package = install(job["tools"], caller, uses_await=script.uses_await)
        names = _names(package, caller)
        value = _execute(script, names, channel, caller)
        return _done(value, limits["result_bytes"])
    except SystemExit as error:
        if error.code in (None, 0):
            return _done(None, limits["result_bytes"])
        return _failed(failure.describe(error, names))
    except NotJSON as error:
        if failure.line(error) is not None:  # arguments of a call, not the result
            return _failed(failure.describe(error, names))
        return _failed(_plain("not_json", str(error)))
    except BaseException as error:  # noqa: BLE001 - whatever a script raises
        return _failed(failure.describe(error, names))


def _compile(code: str) -> Script:
    try:
        return compile_script(code)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error) or "the script is nested too deeply") from None


def _names(package: types.ModuleType, caller: Caller) -> dict[str, Any]:
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    names = vars(module)
    names.update((name, sys.modules[name]) for name in _MODULES if "." not in name)
    names.update({name: sys.modules[name] for name in ("asyncio", "datetime", "time")})
    names.update(tools=package)
    names["call_tool"] = package.call_tool
    names["ToolError"] = package.ToolError

    def import_names(module: str) -> None:
        found = importlib.import_module(module)
        public = [name for name in vars(found) if not name.startswith("_")]
        for name in getattr(found, "__all__", public):
            names[name] = getattr(found, name)

    names[STAR_IMPORT] = import_names
    return names


def _execute(
    script: Script, names: dict[str, Any], channel: Channel, caller: Caller
) -> Any:
    exec(script.code, names)  # noqa: S102 - this is what the sandbox is for
    entry = names.pop(ENTRY)
    if script.uses_await:
        asyncio.set_event_loop_policy(ChannelPolicy(channel, caller))
    if not script.awaits:
        return entry()
    loop = ChannelLoop(channel, caller)
    loop.main = loop.create_task(entry())
    return loop.run_until_complete(loop.main)


def _done(value: Any, most: int) -> str:
    text = to_json(value, "result")
    if len(text) > most:
        message = (
            f"The result has {len(text)} bytes as JSON, the limit is {most}: return "
            "fewer rows or fields"
        )
        return _failed(_plain("output_too_large", message))
    return f'{{"t":"done","ok":true,"value":{text}}}'


def _plain(code: str, message: str) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "line": None,
        "step": 0,
        "suggestions": [],
    }


def _failed(error: dict[str, Any]) -> str:
    for key in ("code", "message"):
        error[key] = str(error[key]).encode("utf-8", "replace").decode()
    return f'{{"t":"done","ok":false,"error":{json.dumps(error)}}}'
