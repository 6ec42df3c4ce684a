"""The root image and OCI bundle of a team's sandbox: those of a run's, plus Monty."""

import importlib.util
import json
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from gateway.sandbox import image, spec
from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.runtimes import RUNTIMES

_WORKER = "usr/bin/monty"
_HARNESS = f"{image.HARNESS.lstrip('/')}/harness/monty"
_PACKAGES = image.HARNESS.lstrip("/")
_START = (
    f"import sys; sys.path.insert(0, {image.HARNESS!r}); "
    "from harness.monty.serve import main; main()"
)
_ADDRESS_SPACE = 1 << 30  # of one process; Monty's own limit is the one that counts
_PROCESSES = 256  # threads of all workers and of the harness
_FILES = 256
# Starting and ending Monty's workers; a socket pair wakes the client's event loop
_MORE_SYSTEM_CALLS = ("execve", "vfork", "kill", "pidfd_open", "waitid")
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW… flag
_AF_UNIX = 1


def monty_files() -> dict[str, Path]:
    """Monty's client and worker: path in the image and the file it is copied from.

    Raises SandboxUnavailable when the package is not installed.
    """
    found = importlib.util.find_spec("pydantic_monty")
    worker = Path(sysconfig.get_path("scripts"), "monty")
    if found is None or not found.submodule_search_locations or not worker.exists():
        raise SandboxUnavailable("Monty is missing: pip install pydantic-monty")
    files = {_WORKER: worker.resolve(), **_libraries(worker)}
    package = Path(found.submodule_search_locations[0])
    for path in sorted(package.iterdir()):
        if path.suffix in {".py", ".so"}:
            files[f"{_PACKAGES}/pydantic_monty/{path.name}"] = path
    typing_extensions = importlib.util.find_spec("typing_extensions")
    if typing_extensions is not None and typing_extensions.origin:
        origin = Path(typing_extensions.origin)
        files[f"{_PACKAGES}/typing_extensions.py"] = origin
    harness = Path(image.__file__).parent / "harness" / "monty"
    for path in sorted(harness.glob("*.py")):
        files[f"{_HARNESS}/{path.name}"] = path
    return files


def _libraries(worker: Path) -> dict[str, Path]:
    """The worker's libraries where they are found without LD_LIBRARY_PATH.

    Monty's client starts its workers with an empty environment.
    """
    listing = subprocess.run(
        ["ldd", str(worker)],  # noqa: S607 - a file of an installed package
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    ).stdout
    found = re.findall(r"=> (/\S+) \(", listing)
    return {path.lstrip("/"): Path(path).resolve() for path in found}


def build(folder: Path) -> image.Image:
    """Build the image in `folder`, or reuse the one there.

    Raises SandboxUnavailable.
    """
    return image.build(folder, more=monty_files())


def bundle(root: Path) -> dict[str, Any]:
    """As for a run, but the harness may start Monty's workers."""
    config: dict[str, Any] = spec.bundle(root, RUNTIMES["python"])
    process = config["process"]
    process["args"] = [*process["args"][:-1], _START]
    process["env"] = [*process["env"], f"MONTY_BIN=/{_WORKER}"]
    limits = {
        "RLIMIT_AS": _ADDRESS_SPACE,
        "RLIMIT_NPROC": _PROCESSES,
        "RLIMIT_NOFILE": _FILES,
    }
    for limit in process["rlimits"]:
        if limit["type"] in limits:
            limit["hard"] = limit["soft"] = limits[limit["type"]]
    rules = config["linux"]["seccomp"]["syscalls"]
    rules[0]["names"] = [*rules[0]["names"], *_MORE_SYSTEM_CALLS]
    for rule in rules:
        if rule["names"] == ["clone"]:
            rule["args"] = [_masked(0, _NEW_NAMESPACES, 0)]
    rules.append(
        {
            "names": ["socketpair"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": _AF_UNIX, "op": "SCMP_CMP_EQ"}],
        }
    )
    return config


def _masked(index: int, mask: int, value: int) -> dict[str, object]:
    return {
        "index": index,
        "value": mask,
        "valueTwo": value,
        "op": "SCMP_CMP_MASKED_EQ",
    }


def write_bundle(folder: Path, root: Path) -> None:
    """Write the bundle that all teams' sandboxes of a runner share."""
    (folder / "root").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(bundle(root)))
