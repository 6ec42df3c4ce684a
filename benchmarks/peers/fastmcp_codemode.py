"""FastMCP CodeMode with Monty over streamable HTTP: ten tools, or a proxy to them.

Runs in var/bench-venv (`bin/setup --bench`), with the functions of our sample server.
"""

import argparse
import asyncio
from contextlib import AsyncExitStack

from fastmcp import Client, FastMCP  # type: ignore[import-not-found]
from fastmcp.experimental.transforms.code_mode import (  # type: ignore[import-not-found]
    CodeMode,
)
from fastmcp.server.providers.proxy import (  # type: ignore[import-not-found]
    ProxyProvider,
)

from deploy.demo.servers import trivial

CATALOG_CACHED_SECONDS = 300.0
TOOLS = (
    trivial.add,
    trivial.subtract,
    trivial.multiply,
    trivial.divide,
    trivial.negate,
    trivial.is_even,
    trivial.echo,
    trivial.upper,
    trivial.length,
    trivial.numbers,
)


async def main() -> None:
    """Serve on `--port` of loopback; with `--proxy URL` the tools are that server's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--proxy", default="")
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        if options.proxy:
            # One session that stays open: by default it makes one for each call.
            client = await stack.enter_async_context(Client(options.proxy))
            server = FastMCP("trivial")
            server.add_provider(
                ProxyProvider(lambda: client, cache_ttl=CATALOG_CACHED_SECONDS)
            )
        else:
            server = FastMCP("trivial")
            for function in TOOLS:
                server.tool(function)
        # Its own limit is 50 calls a script; one case makes 100.
        server.add_transform(CodeMode(max_tool_calls=1_000))
        # Its fastest settings: no session, and no stream around a single answer.
        await server.run_http_async(
            host="127.0.0.1",
            port=options.port,
            show_banner=False,
            log_level="error",
            json_response=True,
            stateless_http=True,
        )


if __name__ == "__main__":
    asyncio.run(main())
