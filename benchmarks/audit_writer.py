"""The writers of ``benchmarks.audit``: an event a transaction, for so many seconds."""

import json
import os
import sys
import time

import django

_LOOK_EVERY = 1.0
_HEAD_START = 1.5


def main(writers: int, seconds: float) -> None:
    """Fork them, each with a connection of its own, to begin together."""
    begin = time.monotonic() + _HEAD_START
    for _ in range(writers):
        if os.fork() == 0:
            _write(begin, seconds)
            os._exit(0)
    for _ in range(writers):
        assert os.wait()[1] == 0


def _write(begin: float, seconds: float) -> None:
    """Write until the time is up; once a second also look at the lag."""
    make(0)
    time.sleep(max(begin - time.monotonic(), 0))
    began = looked = time.monotonic()
    lags, number = [], 0
    while (here := time.monotonic()) < began + seconds:
        number += 1
        make(number)
        if here - looked > _LOOK_EVERY:
            looked = here
            lags.append(tree.state().lag_seconds(now()))
    taken = time.monotonic() - began
    line = {"events": number, "seconds": taken, "lags": lags or [0.0]}
    os.write(1, f"{json.dumps(line)}\n".encode())


def make(number: int) -> None:
    """An event as a governed call makes it."""
    record(
        TOOL_CALLED,
        actor=ACTOR,
        at=now(),
        decision="allow",
        tool="crm.list_orders",
        run="run_0123456789abcd",
        step=number,
        reasons=["granted to team sales"],
        payload={"arguments": {"since": "2026-04-01", "limit": 50, "page": number}},
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    from audit import tree
    from audit.actor import Actor
    from audit.registry import EventKind
    from audit.services.record import record
    from core.clock import now

    TOOL_CALLED = EventKind("bench.call", "{actor} called {tool}")
    ACTOR = Actor(
        "service_account", "sa:sales/agent", "agent", "sales", "dev", "tg_0123abcd"
    )
    main(int(sys.argv[1]), float(sys.argv[2]))
