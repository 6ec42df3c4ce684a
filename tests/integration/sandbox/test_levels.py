"""Which level and provider a runner has, and what it does without gVisor."""

from pathlib import Path

import pytest

from gateway.sandbox.api import Job, Limits
from gateway.sandbox.levels import Levels
from gateway.sandbox.team.provider import TeamProvider
from tests.integration.sandbox.conftest import serve
from tests.integration.sandbox.test_lifecycle import processes
from tests.integration.sandbox.test_team import run

pytestmark = pytest.mark.sandbox


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
