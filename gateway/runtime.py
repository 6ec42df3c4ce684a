"""What a runner process holds: warm sandboxes and connections to servers."""

import socket
from functools import cache
from os import getpid

from django.conf import settings

from gateway.connectors.pool import UpstreamPool
from gateway.sandbox.api import JSON
from gateway.sandbox.levels import Levels


@cache
def upstream() -> UpstreamPool:
    """The process's connections to tool servers; made at first use."""
    return UpstreamPool()


@cache
def provider() -> Levels:
    """The process's sandboxes; begins to boot them at first use.

    Raises SandboxUnavailable where no kind that the settings admit works.
    """
    made = Levels(
        settings.DATA_DIR / "sandbox",
        size=settings.SANDBOX_POOL_SIZE,
        typescript_size=settings.SANDBOX_POOL_TYPESCRIPT,
        allowed=settings.SANDBOX_PROVIDERS,
    )
    made.start()
    return made


def sandboxes() -> dict[str, JSON]:
    """What the process's sandboxes are like; nothing is booted for it."""
    if not provider.cache_info().currsize:
        return {"open": False, "admitted": list(settings.SANDBOX_PROVIDERS)}
    return provider().describe()


@cache
def runner_name() -> str:
    """This process as runs name the one that holds them."""
    return f"{socket.gethostname()}:{getpid()}"


def close() -> None:
    """End sandboxes and connections of this process, if it made any."""
    if provider.cache_info().currsize:
        provider().close()
        provider.cache_clear()
    if upstream.cache_info().currsize:
        upstream().close()
        upstream.cache_clear()
