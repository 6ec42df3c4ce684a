"""Level `team`: whose runs share a sandbox, how it is replaced, what it gives up."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.api import Call, Job, Limits, OnCall, Reply, Result
from gateway.sandbox.levels import Levels
from gateway.sandbox.provider import GVisorProvider
from gateway.sandbox.team.provider import TeamProvider
from gateway.sandbox.team.sandbox import Wear
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
