"""How long a run with many recorded calls takes to be replayed; JSON lines.

    python -m benchmarks.replay     (as a part of benchmarks.execute)

A run is executed with a call for each step, claimed again as after the loss of its
runner, and executed again: real journal, real sandbox, and nothing leaves.
"""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from benchmarks.figures import median, show  # noqa: E402 - needs the app registry
from core.clock import now  # noqa: E402
from gateway import runtime  # noqa: E402
from gateway.connectors.api import Outcome, ServerSpec  # noqa: E402
from gateway.models import Run  # noqa: E402
from gateway.services import execute, runs  # noqa: E402
from gateway.services.leases import Leases  # noqa: E402
from policy.services.keys import authenticate  # noqa: E402

CALLS = 1_000
ROUNDS = 5
AIM_MS = 1_000.0
PAUSE_SECONDS = 1.0
SCRIPT = f"""
from tools import trivial
total = 0
for _ in range({CALLS}):
    total = trivial.add(a=total, b=1)
return total
"""


class Counted:
    """The runner's connections, with a count of what left through them."""

    def __init__(self) -> None:
        self.sent = 0

    def call(
        self,
        spec: ServerSpec,
        tool: str,
        arguments: dict[str, Any],
        *,
        timeout: float,
        meta: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Count, and call."""
        self.sent += 1
        pool = runtime.upstream()
        return pool.call(spec, tool, arguments, timeout=timeout, meta=meta)


def _execute(uid: str, upstream: Counted, leases: Leases) -> float:
    """Milliseconds from the claim to the recorded end."""
    started = time.perf_counter()
    execute.execute(
        uid=uid,
        runner="bench",
        leases=leases,
        sandboxes=runtime.provider,
        upstream=upstream,
    )
    took = (time.perf_counter() - started) * 1e3
    run = Run.objects.get(uid=uid)
    if run.value != CALLS:
        raise SystemExit(f"the run gave {run.value!r}: {run.error}")
    return took


def main(key: str) -> None:
    """Record once, replay some times."""
    principal = authenticate(text=key, at=now(), address="", request_id="bench")
    upstream, leases = Counted(), Leases()
    runtime.provider()
    try:
        time.sleep(PAUSE_SECONDS)
        uid = runs.submit(principal=principal, code=SCRIPT, at=now()).uid
        first = _execute(uid, upstream, leases)
        recorded, took = upstream.sent, []
        for _ in range(ROUNDS):
            Run.objects.filter(uid=uid).update(
                status=Run.Status.QUEUED, finished_at=None, value=None
            )
            time.sleep(PAUSE_SECONDS)
            took.append(_execute(uid, upstream, leases))
    finally:
        runtime.close()
    show(
        "replay",
        recorded_calls=recorded,
        first_ms=round(first, 1),
        rounds=ROUNDS,
        median_ms=round(median(took), 1),
        max_ms=round(max(took), 1),
        calls_sent_again=upstream.sent - recorded,
        aim=f"under {AIM_MS:.0f} ms",
        reached=median(took) < AIM_MS,
    )


if __name__ == "__main__":
    main(sys.argv[1])
