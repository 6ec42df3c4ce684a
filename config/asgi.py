"""The ASGI application: Django, and beside it MCP at /mcp and models at /v1."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_asgi_application()

from gateway.mcp_server.server import Endpoint  # noqa: E402 - needs the app registry
from gateway.passthrough.app import PREFIX, ModelGateway  # noqa: E402 - the same

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Application:
    """Routes /mcp to the MCP endpoint, /v1 to models, everything else to Django."""

    def __init__(self) -> None:
        self._endpoint = Endpoint()
        self._models = ModelGateway()

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http" and scope["path"].rstrip("/") == "/mcp":
            await self._endpoint.app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await self._models(scope, receive, send)
        else:
            await django_application(scope, receive, send)  # type: ignore[arg-type]

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._endpoint.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await self._models.aclose()
        await send({"type": "lifespan.shutdown.complete"})


application = Application()
