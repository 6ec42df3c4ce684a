"""JSON lines in a file that is rotated by size and age."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from audit.formats import line
from audit.formats.items import Item
from core.clock import now
from core.outgoing import NotDelivered

_TAIL = 1_048_576


@dataclass(frozen=True, slots=True)
class FileTransport:
    """Appends to ``path``; the batch is on disk (fsync) when ``send`` returns.

    A file that is full or old is renamed with the time, and never removed.
    """

    path: Path
    form: str
    most_bytes: int
    most_seconds: float

    def send(self, items: Sequence[Item]) -> None:
        text = "".join(line(self.form, item) + "\n" for item in items).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._rotate(len(text))
            self._append(text)
        except OSError as error:
            raise NotDelivered(f"{self.path.name}: {error.strerror}.") from error

    def _append(self, text: bytes) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(self.path, flags, 0o640)
        try:
            whole = _drop_torn_line(handle)
            try:
                written = 0
                while written < len(text):
                    written += os.write(handle, text[written:])
                os.fsync(handle)
            except OSError:
                # Half a batch would be written again: nobody should read half a line.
                os.ftruncate(handle, whole)
                raise
        finally:
            os.close(handle)
        if not whole:
            _sync_folder(self.path.parent)

    def _rotate(self, more: int) -> None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return
        born = _first_time(self.path) or found.st_mtime
        full = found.st_size + more > self.most_bytes
        old = now().timestamp() - born > self.most_seconds
        if not found.st_size or not (full or old):
            return
        at = now().strftime("%Y%m%dT%H%M%S%f")
        self.path.rename(
            self.path.with_name(f"{self.path.stem}.{at}{self.path.suffix}")
        )
        _stamp(self.path).unlink(missing_ok=True)
        _sync_folder(self.path.parent)


def _first_time(path: Path) -> float | None:
    """When the file was begun: kept beside it, since file systems do not say."""
    stamp = _stamp(path)
    try:
        return datetime.fromisoformat(stamp.read_text()).timestamp()
    except (FileNotFoundError, ValueError):
        stamp.write_text(datetime.now(UTC).isoformat())
        return None


def _stamp(path: Path) -> Path:
    return path.with_name(f".{path.name}.begun")


def _drop_torn_line(handle: int) -> int:
    """Cut a line that a crash left half written; its batch was not delivered.

    Returns the size of the file.
    """
    size = os.fstat(handle).st_size
    begin = max(0, size - _TAIL)
    tail = os.pread(handle, size - begin, begin)
    if not tail or tail.endswith(b"\n"):
        return size
    whole = begin + tail.rfind(b"\n") + 1
    os.ftruncate(handle, whole)
    return whole


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
