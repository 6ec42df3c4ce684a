"""Builds the sandbox's root file system, one EROFS file, from this interpreter."""

import argparse
import fcntl
import hashlib
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
HARNESS = "/opt/tollgate"
LIBRARIES = "/usr/lib/tollgate"
ZONES = "usr/share/zoneinfo"
_STDLIB = f"usr/lib/python{sys.version_info.major}.{sys.version_info.minor}"
_HARNESS_SOURCE = Path(__file__).parent / "harness"
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


def build(folder: Path, more: Mapping[str, Path] | None = None) -> Image:
    """Build the image in `folder`, or reuse the one there if its inputs are the same.

    `more` names further files by their path in the image; the libraries that they
    need come along. Raises SandboxUnavailable if mkfs.erofs is missing or fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = dict(_sources())
    if more:
        binaries = [p for p in more.values() if p.suffix != ".py"]
        sources.update([*more.items(), *_libraries(binaries)])
    digest = _digest(sources)
    image = Image(folder / f"root-{digest[:16]}.erofs", digest)
    if image.path.exists():
        return image
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.path.exists():
            _build(sources, image.path)
            _remove_others(image.path)
    return image


def _sources() -> Iterator[tuple[str, Path]]:
    """Path in the image and the file it is copied from."""
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
        if path.is_relative_to(_HARNESS_SOURCE):
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
            copy.chmod(0o755 if source.suffix != ".py" else 0o644)
            if source.suffix == ".py":
                _compile(copy, f"/{name}")
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


def _remove_others(image: Path) -> None:
    """Keep the newest older image, which running sandboxes may still use."""
    others = [p for p in image.parent.glob("root-*.erofs") if p != image]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[1:]:
        path.unlink(missing_ok=True)


def main() -> None:
    """Build the image and print its path and digest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    image = build(parser.parse_args().output)
    sys.stdout.write(f"{image.path}\n{image.digest}\n")


if __name__ == "__main__":
    main()
