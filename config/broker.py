"""Celery's transport over Redis, made to outlive a Redis that dies."""

import logging
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError as RedisGone

logger = logging.getLogger(__name__)


class Channel(redis.Channel):
    """A channel that says by a connection error that its connection is gone.

    kombu's own raises AttributeError then, when it puts back unacknowledged messages
    and when a late acknowledgement comes; that ends the worker with all its runs. Here
    the message is delivered once more, which does nothing: a run is claimed once.
    """

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        if self._is_gone():
            logger.warning("a message was not acknowledged: its connection is gone")
        else:
            super().basic_ack(delivery_tag, multiple=multiple)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self._is_gone():
            super().basic_reject(delivery_tag, requeue=requeue)

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self._is_gone():
            raise RedisGone("the connection to Redis is gone")
        # Not in the stubs, but the one place where kombu works out an address.
        params: dict[str, Any] = super()._connparams(  # type: ignore[misc]
            asynchronous=asynchronous
        )
        return params

    def _is_gone(self) -> bool:
        transport: Any = self.connection
        return transport is None or transport.client is None


class Transport(redis.Transport):
    """The transport of ``redis://`` and ``rediss://``."""

    Channel = Channel


def install() -> None:
    """Have every connection to Redis made with this transport."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
