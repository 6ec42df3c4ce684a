"""Signs of life of tasks and runners, kept in Redis: losing them loses nothing."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import redis
from django.conf import settings

logger = logging.getLogger(__name__)

_KEY = "tollgate:signs-of-life"
_FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sign:
    """When something was last seen at work, and what it said of itself."""

    at: datetime
    state: dict[str, Any] = field(default_factory=dict)


@cache
def _client() -> "redis.Redis":
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=2, decode_responses=True
    )


def beat(name: str, *, at: datetime, state: Mapping[str, Any] | None = None) -> None:
    """Say that ``name`` is at work. Never raises: it is only a sign."""
    text = json.dumps({"at": at.timestamp(), "state": dict(state or {})}, default=str)
    try:
        _client().hset(_KEY, name, text)
    except redis.RedisError:
        logger.warning("%s is at work, but Redis does not take its sign", name)


def signs(*, at: datetime) -> dict[str, Sign]:
    """Everything seen within a day, by name; empty while Redis is away."""
    try:
        rows = _client().hgetall(_KEY)
        found = {str(name): _sign(str(text)) for name, text in rows.items()}
        old = [name for name, sign in found.items() if at - sign.at > _FORGET_AFTER]
        if old:
            _client().hdel(_KEY, *old)
    except redis.RedisError:
        return {}
    return {name: sign for name, sign in found.items() if name not in old}


def _sign(text: str) -> Sign:
    said = json.loads(text)
    return Sign(datetime.fromtimestamp(said["at"], UTC), said["state"])
