"""Wakes whoever waits for a run: a message through Redis, which may be lost."""

import logging
from functools import cache

import redis
from django.conf import settings

logger = logging.getLogger(__name__)

CHANNEL = "tollgate:run-ended"


@cache
def _client() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2)


def announce(uid: str) -> None:
    """Say that a run has ended. The record is in the database: a lost message only
    makes a waiting process find it a little later."""
    try:
        _client().publish(CHANNEL, uid)
    except redis.RedisError:
        logger.warning("run %s: its end could not be announced", uid)


def waiting(queue: str) -> int | None:
    """Messages of a queue that no worker has taken; None when Redis is away."""
    try:
        return int(_client().llen(queue))
    except redis.RedisError:
        return None
