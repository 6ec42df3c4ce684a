"""Reads server-sent events from a stream of bytes, within a size limit."""

from collections.abc import AsyncIterator, Callable


async def event_data(
    chunks: AsyncIterator[bytes], limit: int, too_large: Callable[[], Exception]
) -> AsyncIterator[bytes]:
    """Yield the data of each event that has any.

    Raises what `too_large` makes when one event grows beyond `limit` bytes.
    """
    buffer = bytearray()
    scanned = 0
    data: list[bytes] = []
    held = 0
    async for chunk in chunks:
        buffer += chunk
        if held + len(buffer) > limit:
            raise too_large()
        begin = 0
        while (end := buffer.find(b"\n", max(begin, scanned))) >= 0:
            line = bytes(buffer[begin:end]).removesuffix(b"\r")
            begin = end + 1
            if not line:
                # An event without data only carries an id to resume from.
                if body := b"\n".join(data):
                    yield body
                data, held = [], 0
            elif line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
                held += len(line)
        del buffer[:begin]
        scanned = len(buffer)
