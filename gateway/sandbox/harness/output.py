"""Captures what the script prints, stderr too, and sends it on in pieces."""

import io
import json
import threading
from typing import Any

from .channel import Channel

_EAGER = 64  # writes sent at once, so that a killed run still shows its first prints
_PIECE = 8_192


class Output(io.TextIOBase):
    """Takes the place of sys.stdout and sys.stderr."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._pieces: list[str] = []
        self._size = 0
        self._writes = 0
        self._lock = threading.RLock()
        self.buffer = _Bytes(self)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str, not {type(text).__name__}")
        if not text:
            return 0
        with self._lock:
            self._pieces.append(text)
            self._size += len(text)
            if self._size >= _PIECE or (self._writes < _EAGER and text[-1] == "\n"):
                self.flush()
        return len(text)

    def flush(self) -> None:
        with self._lock:
            if not self._pieces:
                return
            text = "".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            self._writes += 1
            for start in range(0, len(text), 1 << 18):
                piece = json.dumps(_clean(text[start : start + (1 << 18)]))
                self._channel.send(f'{{"t":"out","text":{piece}}}')


class _Bytes(io.RawIOBase):
    """sys.stdout.buffer, for scripts that write bytes."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._output.write(bytes(data).decode("utf-8", "replace"))
        return len(data)


def _clean(text: str) -> str:
    return (
        text.encode("utf-8", "replace")
        .decode()
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
