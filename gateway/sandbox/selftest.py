"""Boots one sandbox and runs a script in it: does gVisor work on this machine?"""

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.sandbox.api import Call, Job, Limits, Reply
from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.provider import GVisorProvider

_SCRIPT = "from tools import test\nreturn test.echo(text='ready') + '!'\n"


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Outcome of a self-test; the message says what to do when it failed."""

    ok: bool
    platform: str
    message: str
    seconds: float


def selftest(work_dir: Path, timeout: float = 60.0) -> SelfTest:
    """Boot a sandbox under `work_dir`, run a script with one call, remove it all.

    Takes `timeout` seconds at most; the root image in `work_dir` is kept.
    """
    started = time.monotonic()
    outcome: list[SelfTest] = []
    thread = threading.Thread(
        target=lambda: outcome.append(_test(work_dir)), name="sandbox-selftest"
    )
    thread.daemon = True  # one that hangs must not keep the process
    thread.start()
    thread.join(timeout)
    if not outcome:
        return SelfTest(
            False,
            "",
            f"no sandbox ran within {timeout:g} s: look at the machine's load, then "
            "run python -m gateway.sandbox.selftest",
            time.monotonic() - started,
        )
    done = outcome[0]
    return SelfTest(done.ok, done.platform, done.message, time.monotonic() - started)


def _test(work_dir: Path) -> SelfTest:
    provider = GVisorProvider(work_dir, size=1)
    try:
        provider.start()
        result = provider.run(_job(), _echo)
        platform = str(provider.describe().get("platform", ""))
    except (SandboxUnavailable, OSError) as error:
        return SelfTest(False, "", str(error), 0.0)
    finally:
        provider.close()
    if result.error is not None:
        return SelfTest(False, platform, result.error.message, 0.0)
    if result.value != "ready!":
        return SelfTest(False, platform, f"a script gave {result.value!r}", 0.0)
    return SelfTest(True, platform, "a script ran in a gVisor sandbox", 0.0)


def _job() -> Job:
    tools = {"test": {"echo": "test.echo"}}
    limits = Limits(wall_seconds=20)
    return Job("selftest", _SCRIPT, "python", 1, time.time(), tools, limits)


def _echo(call: Call) -> Reply:
    return Reply(value=call.arguments["text"])


def main() -> int:
    """Print the outcome; exit code 1 when sandboxes do not work here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, metavar="DIR")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tollgate-selftest-") as scratch:
        outcome = selftest(options.work_dir or Path(scratch), options.timeout)
    state = "ok" if outcome.ok else "failed"
    platform = f" on {outcome.platform}" if outcome.platform else ""
    sys.stdout.write(
        f"{state}{platform}: {outcome.message} ({outcome.seconds:.1f} s)\n"
    )
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())
