"""Level `team`: whose runs share a sandbox, how it is replaced, what it gives up."""

import json
import logging
import os
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.api import Call, Job, Limits, OnCall, Reply, Result
from gateway.sandbox.levels import Levels
from gateway.sandbox.member import Member
from gateway.sandbox.provider import GVisorProvider
from gateway.sandbox.team.provider import TeamProvider
from gateway.sandbox.team.sandbox import TeamSandbox, Wear
from gateway.sandbox.team.talk import Talk
from tests.integration.sandbox.conftest import STARTED_AT, TOOLS, serve
from tests.integration.sandbox.test_lifecycle import processes, wait_until

pytestmark = pytest.mark.sandbox


def job(code: str, tenant: str = "sales/dev", **limits: Any) -> Job:
    held = Limits(**({"wall_seconds": 20.0} | limits))
    return Job("t", code, "python", 1, STARTED_AT, TOOLS, held, tenant)


def run(
    provider: TeamProvider | Levels,
    code: str,
    tenant: str = "sales/dev",
    on_call: OnCall = serve,
    **limits: Any,
) -> Result:
    logging.disable(logging.CRITICAL)
    try:
        return provider.run(job(code, tenant, **limits), on_call)
    finally:
        logging.disable(logging.NOTSET)


def sandboxes(provider: TeamProvider) -> list[dict[str, Any]]:
    found = provider.describe()["sandboxes"]
    assert isinstance(found, list)
    return found  # type: ignore[return-value]


@pytest.fixture
def level_run(provider: GVisorProvider) -> GVisorProvider:
    """What takes scripts that Monty cannot run."""
    return provider


@pytest.fixture
def own(
    sandbox_folder: Path, team_provider: TeamProvider, tmp_path: Path
) -> Iterator[Path]:
    """A folder of its own with the image that is built already."""
    (tmp_path / "image").symlink_to(sandbox_folder / "teams" / "image")
    yield tmp_path
    assert not processes(tmp_path)


OUTSIDE = [
    ("import statistics\nstatistics.mean([1, 3])", 2),
    ("class Own(Exception):\n    pass\n'defined'", "defined"),
    ("def g():\n    yield 1\nlist(g())", [1]),
    ("open('/tmp/x', 'w').write('12')", 2),
    ("print('once')\n'{a}'.format_map({'a': 1}) and 'A'.casefold()", "a"),
    ("errors = []\ntry:\n    tools.crm.fail()\nexcept ToolError as e:\n"
     "    errors.append(e)\nerrors[0].code", "denied"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "value"), OUTSIDE)
def test_a_script_outside_the_subset_goes_to_level_run_before_it_calls_anything(
    team_provider: TeamProvider, code: str, value: Any
) -> None:
    steps: list[int] = []

    def note(call: Call) -> Reply:
        steps.append(call.step)
        return serve(call)

    script = f"from tools import crm\n{code}"
    result = run(team_provider, script, on_call=note)
    assert result.error is None
    assert result.value == value
    assert result.stdout.count("once") <= 1
    assert steps in ([], [1])
    if result.level == "run":
        assert result.note.startswith("Monty lacks")


def test_what_monty_lacks_after_a_call_is_an_error_and_not_a_second_run(
    team_provider: TeamProvider,
) -> None:
    steps: list[int] = []

    def note(call: Call) -> Reply:
        steps.append(call.step)
        return serve(call)

    code = "from tools import crm\ncrm.echo()\n'abc'.no_such_method()"
    result = run(team_provider, code, on_call=note)
    assert result.level == "team"
    assert steps == [1]
    assert result.error is not None
    assert (result.error.code, result.error.line) == ("script_error", 3)


def test_teams_and_environments_never_share_a_sandbox(
    team_provider: TeamProvider,
) -> None:
    for tenant in ("sales/dev", "sales/prod", "support/dev", "sales/dev"):
        assert run(team_provider, "1", tenant).level == "team"
    teams = [sandbox["team"] for sandbox in sandboxes(team_provider)]
    assert {"sales/dev", "sales/prod", "support/dev"} <= set(teams)
    assert len(teams) == len(set(teams))


def test_a_run_without_a_tenant_has_a_sandbox_of_its_own(
    team_provider: TeamProvider,
) -> None:
    result = run(team_provider, "1", tenant="")
    assert (result.level, result.note) == ("run", "")


def test_a_team_with_more_runs_than_fit_gets_another_sandbox(
    own: Path, level_run: GVisorProvider
) -> None:
    provider = TeamProvider(own, level_run, most=2)
    together = threading.Barrier(12, timeout=20)
    levels: list[str] = []

    def wait(call: Call) -> Reply:
        together.wait()
        return Reply(value=call.step)

    def one() -> None:
        result = run(provider, "from tools import crm\ncrm.echo()", on_call=wait)
        assert result.ok, result.error
        levels.append(result.level)

    try:
        provider.start()
        threads = [threading.Thread(target=one) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert levels == ["team"] * 12
        assert len(sandboxes(provider)) == 2
    finally:
        provider.close()


def test_a_sandbox_is_replaced_when_it_is_worn(
    own: Path, level_run: GVisorProvider
) -> None:
    provider = TeamProvider(own, level_run, wear=Wear(runs=3))
    try:
        provider.start()
        for number in range(3):
            assert run(provider, f"{number}").value == number
        wait_until(lambda: not sandboxes(provider))
        assert run(provider, "'new'").level == "team"
        assert [sandbox["served"] for sandbox in sandboxes(provider)] == [1]
    finally:
        provider.close()


def test_an_idle_sandbox_is_stopped_and_wakes_for_the_next_run(
    own: Path, level_run: GVisorProvider
) -> None:
    provider = TeamProvider(own, level_run, idle_seconds=2.5)
    try:
        provider.start()
        assert run(provider, "1").value == 1
        held = provider._sandboxes["sales/dev"][0]
        wait_until(lambda: held._frozen)
        stat = Path(f"/proc/{held.member._pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        assert run(provider, "2").value == 2
        wait_until(lambda: not sandboxes(provider))
    finally:
        provider.close()


def test_when_a_sandbox_dies_its_runs_end_and_can_be_tried_again(
    own: Path, level_run: GVisorProvider
) -> None:
    provider = TeamProvider(own, level_run)
    calling = threading.Barrier(3, timeout=10)
    results: list[Result] = []

    def slow(call: Call) -> Reply:
        calling.wait()
        time.sleep(0.3)
        return Reply(value=1)

    def one() -> None:
        code = "from tools import crm\ncrm.echo()\ncrm.echo()"
        results.append(run(provider, code, on_call=slow))

    try:
        provider.start()
        assert run(provider, "1").value == 1
        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        calling.wait()
        provider._sandboxes["sales/dev"][0].member.kill()
        for thread in threads:
            thread.join(20)
        assert len(results) == 2
        for result in results:
            assert result.error is not None
            assert (result.error.code, result.error.retryable) == ("sandbox_died", True)
            assert result.calls == 1
        assert run(provider, "2").level == "team"
    finally:
        provider.close()


def test_closing_ends_the_runs_under_way(own: Path, level_run: GVisorProvider) -> None:
    provider = TeamProvider(own, level_run)
    provider.start()
    results: list[Result] = []
    thread = threading.Thread(
        target=lambda: results.append(run(provider, "while True: pass"))
    )
    thread.start()
    wait_until(lambda: bool(sandboxes(provider)) and sandboxes(provider)[0]["runs"] > 0)
    provider.close()
    thread.join(10)
    assert results[0].error is not None
    assert results[0].error.code == "cancelled"


# A sandbox whose interpreter was broken into: it may say whatever it likes


class Broken:
    """A team's sandbox whose inside is this test."""

    def __init__(self, folder: Path) -> None:
        hear, outgoing = os.pipe()
        incoming, say = os.pipe()
        errors, self._errors = os.pipe()
        for descriptor in (outgoing, incoming, errors):
            os.set_blocking(descriptor, False)
        self.hear, self.say = hear, say
        self.process = subprocess.Popen(["sleep", "60"])
        pidfd = os.pidfd_open(self.process.pid)
        self.member = Member(folder, pidfd, incoming, outgoing, errors)
        self.sandbox = TeamSandbox(self.member, "sales/dev", lambda: None)

    def receive(self) -> tuple[int, dict[str, Any]]:
        (length,) = struct.unpack(">I", os.read(self.hear, 4))
        data = os.read(self.hear, length)
        return struct.unpack(">I", data[:4])[0], json.loads(data[4:])

    def send(self, number: int, body: bytes) -> None:
        os.write(self.say, struct.pack(">II", len(body) + 4, number) + body)

    def raw(self, data: bytes) -> None:
        os.write(self.say, data)

    def close(self) -> None:
        self.sandbox.kill()
        os.close(self.say)
        self.sandbox.join()
        self.process.wait(5)
        self.member.dispose()
        os.close(self.hear)
        os.close(self._errors)


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Broken]:
    logging.disable(logging.CRITICAL)
    made = Broken(tmp_path)
    yield made
    made.close()
    logging.disable(logging.NOTSET)


def begin(broken: Broken) -> tuple[Talk, threading.Thread]:
    talk = Talk(job("1"), serve, None, None)  # type: ignore[arg-type]
    assert broken.sandbox.open(talk)
    thread = threading.Thread(target=talk.hold, args=(broken.sandbox.send,))
    thread.start()
    return talk, thread


DONE = b'{"t":"done","ok":true,"value":1}'
CALL = b'{"t":"call","id":%d,"tool":"crm.echo","alone":true,"arguments":{}}'
FORGED = [
    ("a run that is not there", 99, DONE),
    ("a step out of order", 1, CALL % 7),
    ("no JSON", 1, b"{"),
    ("unknown kind", 1, b'{"t":"grant"}'),
    ("more keys", 1, b'{"t":"done","ok":true,"value":1,"run":2}'),
    ("ready again", 1, b'{"t":"ready"}'),
    ("NaN", 1, b'{"t":"done","ok":true,"value":NaN}'),
    ("a true number", 1, CALL.replace(b"%d", b"true")),
]


@pytest.mark.parametrize(("what", "number", "body"), FORGED)
def test_a_broken_channel_ends_the_sandbox_and_every_run_in_it(
    broken: Broken, what: str, number: int, body: bytes
) -> None:
    talks = [begin(broken) for _ in range(2)]
    assert broken.receive()[0] == 1
    broken.send(number, body)
    for talk, thread in talks:
        thread.join(5)
        assert not thread.is_alive()
        error = talk.error()
        assert error is not None, what
        assert (error.code, error.retryable) == ("sandbox_died", True)
    assert broken.sandbox.retired
    assert broken.process.wait(5) == -9
    assert not broken.sandbox.open(talks[0][0])


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff", b"\0\0\0\2ab", b"\x7f\0\0\0" + b"x" * 100]
)
def test_a_length_is_refused_before_it_is_read(broken: Broken, data: bytes) -> None:
    talk, thread = begin(broken)
    broken.raw(data)
    thread.join(5)
    error = talk.error()
    assert error is not None
    assert error.code in ("protocol_violation", "message_too_large")
    assert broken.process.wait(5) == -9


def test_a_second_ending_under_the_same_number_is_a_lie(broken: Broken) -> None:
    talk, thread = begin(broken)
    broken.send(1, DONE)
    thread.join(5)
    assert talk.value == 1
    broken.send(1, DONE)
    assert broken.process.wait(5) == -9


def test_a_reply_goes_to_the_run_that_asked(broken: Broken) -> None:
    first, second = begin(broken), begin(broken)
    assert {broken.receive()[0], broken.receive()[0]} == {1, 2}
    broken.send(2, CALL % 1)
    number, reply = broken.receive()
    assert (number, reply) == (2, {"id": 1, "value": {"step": 1}})
    broken.send(1, DONE)
    broken.send(2, DONE)
    for talk, thread in (first, second):
        thread.join(5)
        assert talk.error() is None
    assert (first[0].calls, second[0].calls) == (0, 1)


def test_a_sandbox_that_does_not_stop_a_run_is_ended(broken: Broken) -> None:
    talk, thread = begin(broken)
    broken.receive()
    talk.end("wall_time")
    thread.join(5)
    broken.sandbox.close(talk)
    assert broken.sandbox.holders == 0
    assert broken.receive() == (1, {"t": "end"})
    assert broken.sandbox.in_flight == 1  # it still holds the run
    deadline = time.monotonic() + 10
    while not broken.sandbox.retired and time.monotonic() < deadline:
        broken.sandbox.check()
        time.sleep(0.05)
    assert broken.process.wait(5) == -9


# Which level and provider a runner has


def test_levels_use_gvisor_and_boot_the_teams_sandboxes_beside_it(
    sandbox_folder: Path, team_provider: TeamProvider, tmp_path: Path
) -> None:
    (tmp_path / "image").symlink_to(sandbox_folder / "image")
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "image").symlink_to(sandbox_folder / "teams" / "image")
    levels = Levels(tmp_path, size=1, allowed=("gvisor", "monty"))
    try:
        levels.start()
        assert (levels.name, levels.isolated) == ("gvisor", True)
        first = run(levels, "1")
        assert (first.level, first.value) == ("run", 1)
        assert first.note == "level team: its first sandbox is being booted"
        assert levels.wait_for_team(60)
        assert run(levels, "2").level == "team"
        assert run(levels, "3", tenant="").level == "run"
        state = levels.describe()
        assert state["kernel_isolation"] is True
    finally:
        levels.close()
    assert not processes(tmp_path)


def test_without_runsc_nothing_runs_unless_monty_is_admitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLGATE_RUNSC", "/nowhere/runsc")
    strict = Levels(tmp_path, size=1)
    refused = run(strict, "1")
    assert refused.error is not None
    assert refused.error.code == "sandbox_unavailable"
    assert "/nowhere/runsc" in refused.error.message
    strict.close()
    lenient = Levels(tmp_path, size=1, allowed=("gvisor", "monty"))
    try:
        result = run(lenient, "1 + 1")
        assert (result.level, result.value) == ("monty", 2)
        assert (lenient.name, lenient.isolated) == ("monty", False)
        assert "/nowhere/runsc" in str(lenient.describe()["not_available"])
        needs = Job("t", "1", "python", 1, 0.0, {}, Limits(), "", require_gvisor=True)
        denied = lenient.run(needs, serve)
        assert denied.error is not None
        assert denied.error.code == "gvisor_required"
        assert not denied.error.retryable
    finally:
        lenient.close()
