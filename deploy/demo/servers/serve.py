"""Runs a demo server over stdio or streamable HTTP and stops it at once."""

import argparse
import os
import signal

import uvicorn
from mcp.server import MCPServer
from mcp_types import ToolAnnotations

READ = ToolAnnotations(read_only_hint=True, open_world_hint=False)
IDEMPOTENT = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True
)
WRITE = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False
)
DESTRUCTIVE = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False
)


def run(server: MCPServer) -> None:
    """Serve on `--port` of loopback at /mcp, or over stdio without a port."""
    parser = argparse.ArgumentParser(description=server.instructions)
    parser.add_argument("--port", type=int, help="serve HTTP; without it, stdio")
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    if options.port is None:
        # A thread waits in a read of stdin, so only a hard exit is prompt.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(0))
        server.run()
        return
    # No tool here reports progress, and plain JSON costs a third less than a stream.
    app = server.streamable_http_app(host=options.host, json_response=True)
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
