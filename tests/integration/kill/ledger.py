"""A tool server that writes each effect to a file, so that a test can count them.

``python -m tests.integration.kill.ledger FILE --port N``
"""

import asyncio
import os
import sys
from pathlib import Path

from mcp.server import MCPServer

from deploy.demo.servers.serve import READ, WRITE, run

server = MCPServer("ledger", version="1.0", log_level="ERROR")
file = Path(sys.argv.pop(1))


@server.tool(annotations=WRITE)
async def put(entry: str, seconds: float = 0.0) -> str:
    """Write an entry, and answer after a while."""
    with file.open("a") as lines:
        lines.write(f"{entry}\n")
        lines.flush()
        os.fsync(lines.fileno())
    await asyncio.sleep(seconds)
    return entry


@server.tool(annotations=READ)
async def look(seconds: float = 0.0) -> int:
    """How many entries there are."""
    await asyncio.sleep(seconds)
    return len(file.read_text().splitlines())


if __name__ == "__main__":
    file.touch()
    run(server)
