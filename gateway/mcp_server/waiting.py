"""Waits for runs to end: woken through Redis, with the database as the truth."""

import asyncio
import logging
from collections import OrderedDict

import redis.asyncio
from django.conf import settings
from redis.exceptions import RedisError

from gateway.completions import CHANNEL
from gateway.mcp_server.threads import in_thread
from gateway.models import Run

logger = logging.getLogger(__name__)

_REMEMBERED = 2_000
_LOOK_SECONDS = 2.0
_RECONNECT_SECONDS = 1.0


class Completions:
    """One subscription a process; remembers recent ends, so that none is missed."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    async def listen(self) -> None:
        """Receive ends until cancelled; reconnects when Redis goes away."""
        while True:
            client = redis.asyncio.Redis.from_url(settings.REDIS_URL)
            try:
                async with client.pubsub() as channel:
                    await channel.subscribe(CHANNEL)
                    async for message in channel.listen():
                        if message["type"] == "message":
                            self._heard(message["data"].decode())
            except (RedisError, OSError):
                logger.warning("no subscription to run ends; waiting looks them up")
                await asyncio.sleep(_RECONNECT_SECONDS)
            finally:
                await client.aclose()

    def _heard(self, uid: str) -> None:
        self._ended[uid] = None
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        if event := self._waiting.get(uid):
            event.set()

    async def wait(self, uid: str, seconds: float) -> None:
        """Return when the run has ended or waits for a person, or after ``seconds``."""
        event = self._waiting.setdefault(uid, asyncio.Event())
        if uid in self._ended:
            event.set()
        try:
            async with asyncio.timeout(seconds):
                while not event.is_set():
                    try:
                        async with asyncio.timeout(_LOOK_SECONDS):
                            await event.wait()
                    except TimeoutError:
                        if await in_thread(_has_stopped, uid):
                            return
        except TimeoutError:
            return
        finally:
            self._waiting.pop(uid, None)


def _has_stopped(uid: str) -> bool:
    open_states = (Run.Status.QUEUED, Run.Status.RUNNING)
    return not Run.objects.filter(uid=uid, status__in=open_states).exists()
