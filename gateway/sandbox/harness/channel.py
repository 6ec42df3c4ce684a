"""Length-prefixed JSON frames over the two pipes to the host."""

import json
import os
import struct
import threading
from typing import Any

_HEADER = struct.Struct(">I")


class Channel:
    """The sandbox's end; one write at a time, whichever thread writes."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming = incoming
        self._outgoing = outgoing
        self._buffer = b""
        self._writing = threading.Lock()

    def send(self, text: str) -> None:
        """Write one frame of JSON text, which must be ASCII."""
        self.send_all([text])

    def send_all(self, texts: list[str]) -> None:
        """Write frames in one go, so that the host sees them together."""
        frames = [text.encode("ascii") for text in texts]
        data = b"".join([_HEADER.pack(len(frame)) + frame for frame in frames])
        with self._writing:
            sent = os.write(self._outgoing, data)
            if sent < len(data):
                view = memoryview(data)
                while sent < len(data):
                    sent += os.write(self._outgoing, view[sent:])

    def receive(self) -> Any:
        """Wait for the next frame; ends the process when the host is gone."""
        while True:
            frame = self._take()
            if frame is not None:
                return json.loads(frame)
            self._fill()

    def receive_ready(self) -> list[Any]:
        """Read what has arrived, waiting for at least one whole frame."""
        messages = [self.receive()]
        while (frame := self._take()) is not None:
            messages.append(json.loads(frame))
        return messages

    def _take(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        end = 4 + int(_HEADER.unpack_from(buffer)[0])
        if len(buffer) < end:
            return None
        self._buffer = buffer[end:]
        return buffer[4:end]

    def _fill(self) -> None:
        data = os.read(self.incoming, 65_536)
        if not data:
            os._exit(0)
        needed = 0
        if len(self._buffer) + len(data) >= 4:
            self._buffer += data
            needed = 4 + int(_HEADER.unpack_from(self._buffer)[0]) - len(self._buffer)
        else:
            self._buffer += data
        if needed > 65_536:  # a long frame: gather parts, join once
            parts = [self._buffer]
            while needed > 0:
                data = os.read(self.incoming, min(needed, 1 << 20))
                if not data:
                    os._exit(0)
                parts.append(data)
                needed -= len(data)
            self._buffer = b"".join(parts)
