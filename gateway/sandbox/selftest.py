"""Boots a sandbox and runs a script in it: does gVisor work here, for each language?"""

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

_SCRIPTS = {
    "python": "from tools import test\nreturn test.echo(text='ready') + '!'\n",
    "typescript": "const text: string = await tools.test.echo({text: 'ready'});\n"
    "return `${text}!`\n",
}
LANGUAGES = tuple(_SCRIPTS)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Outcome of a self-test; the message says what to do when it failed.

    ``seconds`` go from no sandbox, and maybe no image, to the script's result.
    """

    ok: bool
    platform: str
    message: str
    seconds: float


def selftest(
    work_dir: Path, timeout: float = 60.0, language: str = "python"
) -> SelfTest:
    """Boot a sandbox under `work_dir`, run a script with one call, remove it all.

    Takes `timeout` seconds at most; the root images in `work_dir` are kept.
    """
    started = time.monotonic()
    outcome: list[SelfTest] = []
    thread = threading.Thread(
        target=lambda: outcome.append(_test(work_dir, language)),
        name="sandbox-selftest",
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
    return outcome[0]


def _test(work_dir: Path, language: str) -> SelfTest:
    started = time.monotonic()
    provider = GVisorProvider(work_dir, size=1)
    try:
        provider.start()
        if language != "python":
            started = time.monotonic()  # all others are made when they are needed
        result = provider.run(_job(language), _echo)
        seconds = time.monotonic() - started
        platform = str(provider.describe().get("platform", ""))
    except (SandboxUnavailable, OSError) as error:
        return SelfTest(False, "", str(error), time.monotonic() - started)
    finally:
        provider.close()
    if result.error is not None:
        return SelfTest(False, platform, result.error.message, seconds)
    if result.value != "ready!":
        return SelfTest(False, platform, f"a script gave {result.value!r}", seconds)
    message = f"a {language} script ran in a gVisor sandbox"
    return SelfTest(True, platform, message, seconds)


def _job(language: str) -> Job:
    tools = {"test": {"echo": "test.echo"}}
    limits = Limits(wall_seconds=20)
    code = _SCRIPTS[language]
    return Job("selftest", code, language, 1, time.time(), tools, limits)


def _echo(call: Call) -> Reply:
    return Reply(value=call.arguments["text"])


def main() -> int:
    """Print the outcomes; exit code 1 when sandboxes do not work here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, metavar="DIR")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--language", choices=LANGUAGES, help="this one alone")
    options = parser.parse_args()
    languages = [options.language] if options.language else LANGUAGES
    with tempfile.TemporaryDirectory(prefix="tollgate-selftest-") as scratch:
        work_dir = options.work_dir or Path(scratch)
        outcomes = [selftest(work_dir, options.timeout, name) for name in languages]
    for language, outcome in zip(languages, outcomes, strict=True):
        state = "ok" if outcome.ok else "failed"
        platform = f" on {outcome.platform}" if outcome.platform else ""
        sys.stdout.write(
            f"{language}: {state}{platform}: {outcome.message} "
            f"({outcome.seconds:.1f} s)\n"
        )
    return 0 if all(outcome.ok for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
