"""The root image holds this interpreter and nothing else of the machine."""

import os
from pathlib import Path

import pytest

from gateway.sandbox import image, spec
from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.provider import claim, sweep
from gateway.sandbox.runsc import find_runsc

SOURCES = dict(image._sources())


def test_the_image_has_an_interpreter_its_libraries_and_the_harness() -> None:
    assert SOURCES["usr/bin/python3"].is_file()
    assert any(name.startswith("usr/lib/tollgate/libc.so") for name in SOURCES)
    assert any("ld-linux" in name for name in SOURCES)
    assert "opt/tollgate/harness/main.py" in SOURCES
    assert "usr/lib/python3.11/json/__init__.py" in SOURCES


@pytest.mark.parametrize("module", ["ctypes", "ssl", "sqlite3", "tkinter", "test"])
def test_what_scripts_do_not_need_is_left_out(module: str) -> None:
    prefix = f"usr/lib/python3.11/{module}"
    assert not [name for name in SOURCES if name.split(".py")[0] == prefix]
    assert not [name for name in SOURCES if name.startswith(f"{prefix}/")]


def test_nothing_of_the_host_goes_in_but_code_and_time_zones() -> None:
    folders = {name.split("/")[0] for name in SOURCES}
    assert folders <= {"usr", "lib", "lib64", "opt"}
    assert not [name for name in SOURCES if "site-packages" in name]


def test_the_digest_follows_the_harness(tmp_path: Path) -> None:
    changed = tmp_path / "main.py"
    changed.write_text("changed")
    before = image._digest(SOURCES)
    assert before == image._digest(SOURCES)
    assert before != image._digest(SOURCES | {"opt/tollgate/harness/main.py": changed})


def test_the_bundle_gives_a_script_nothing_to_hold_on_to() -> None:
    bundle = spec.bundle(Path("/image"))
    process = bundle["process"]
    assert isinstance(process, dict)
    assert process["capabilities"] == {}
    assert process["noNewPrivileges"] is True
    assert process["user"] == {"uid": 65532, "gid": 65532}
    assert bundle["root"] == {"path": "root", "readonly": True}
    allowed = spec._SYSTEM_CALLS.split()
    forbidden = {"socket", "connect", "execve", "kill", "ptrace", "mount", "unshare"}
    assert not forbidden & set(allowed)


def test_folders_of_dead_runners_are_swept_and_others_kept(tmp_path: Path) -> None:
    dead, alive = tmp_path / "dead", tmp_path / "alive"
    dead.mkdir()
    (dead / "checkpoint").write_text("x")
    alive.mkdir()
    held = claim(alive)
    try:
        assert sweep(tmp_path) == 1
    finally:
        os.close(held)
    assert not dead.exists()
    assert alive.exists()


def test_a_missing_runsc_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOLLGATE_RUNSC", raising=False)
    with pytest.raises(SandboxUnavailable, match="not an executable runsc"):
        find_runsc(str(tmp_path / "runsc"), tmp_path)
