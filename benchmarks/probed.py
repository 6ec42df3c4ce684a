"""Runs web or runner with a clock around the parts of an execute; the product is as is.

    python -m benchmarks.probed web|runner -m uvicorn …

Each part that ends is a line in $BENCH_PROBES/NAME.jsonl: name, start (epoch), seconds.
"""

import asyncio
import atexit
import functools
import importlib
import json
import os
import runpy
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Where each part is looked up by its caller: that name is replaced.
PROBES = {
    "web": {
        "http": "gateway.mcp_server.auth:KeyGuard.__call__",
        "authenticate": "gateway.mcp_server.auth:authenticate",
        "submit": "gateway.mcp_server.tools:submit",
        "submit.catalog": "gateway.services.runs:usable_by",
        "submit.send": "celery.app.base:Celery.send_task",
        "wait": "gateway.mcp_server.waiting:Completions.wait",
        "answer": "gateway.mcp_server.results:answer_of",
    },
    "runner": {
        "execute": "gateway.services.execute:execute",
        "claim": "gateway.services.execute:claim",
        "catalog": "gateway.services.execute:usable_by",
        "preflight": "gateway.codemode.preflight:check",
        "sandbox": "gateway.sandbox.provider:GVisorProvider.run",
        "acquire": "gateway.sandbox.pool:Pool.acquire",
        "discard": "gateway.sandbox.pool:Pool.discard",
        "invoke": "gateway.services.invoke:invoke",
        "intend": "gateway.services.journal:intend",
        "intend.send": "gateway.services.journal:Begun.__init__",
        "intend.rest": "gateway.services.journal:Begun.ended",
        "upstream": "gateway.connectors.pool:UpstreamPool.call",
        "settle": "gateway.services.journal:settle",
        "finish": "gateway.services.finish:finish",
        "announce": "gateway.completions:announce",
        "connect": "django.db.backends.base.base:BaseDatabaseWrapper.connect",
        "query": "django.db.backends.utils:CursorWrapper.execute",
    },
}
_FLUSH_SECONDS = 0.2
_records: deque[tuple[str, float, float]] = deque()


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with each of its calls noted."""
    if asyncio.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waits(*args: Any, **kwargs: Any) -> Any:
            at, started = time.time(), time.perf_counter()
            try:
                return await function(*args, **kwargs)
            finally:
                _records.append((name, at, time.perf_counter() - started))

        return waits

    @functools.wraps(function)
    def runs(*args: Any, **kwargs: Any) -> Any:
        at, started = time.time(), time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            _records.append((name, at, time.perf_counter() - started))

    return runs


def install(process: str) -> None:
    """Put the clocks in; needs the app registry."""
    for name, place in PROBES[process].items():
        module, _, path = place.partition(":")
        holder: Any = importlib.import_module(module)
        *owners, attribute = path.split(".")
        for owner in owners:
            holder = getattr(holder, owner)
        setattr(holder, attribute, timed(name, getattr(holder, attribute)))


def _write(path: Path) -> None:
    with path.open("a") as lines:
        while _records:
            lines.write(json.dumps(_records.popleft()) + "\n")


def _write_forever(path: Path) -> None:
    while True:
        time.sleep(_FLUSH_SECONDS)
        _write(path)


def main() -> None:
    """Install the clocks, then run the module as ``python -m`` would."""
    process, _, module, *arguments = sys.argv[1:]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    importlib.import_module("django").setup()
    install(process)
    path = Path(os.environ["BENCH_PROBES"]) / f"{process}.jsonl"
    threading.Thread(target=_write_forever, args=(path,), daemon=True).start()
    atexit.register(_write, path)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
