"""Adds, changes and tests model servers."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.core.validators import slug_re
from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound, TollgateError
from core.outgoing import check_url
from gateway import events
from gateway.connectors.model_server import Place, Upstreams
from gateway.models import ModelServer

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_LONGEST_MODEL = 100
_MOST_MODELS = 200
_MOST_LISTED_BYTES = 1024 * 1024
LONGEST_SECONDS = 900
TEST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What an administrator says of a model server.

    ``offered`` maps public names of models to the server's own; ``secrets`` are
    headers, None leaves them as they are.
    """

    url: str
    provider: str
    offered: Mapping[str, str]
    description: str = ""
    timeout_seconds: float = 120.0
    secrets: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Tested:
    """What a server answered: its models' own names, or what went wrong."""

    models: tuple[str, ...]
    seconds: float
    error: str = ""


@transaction.atomic
def add_model_server(
    *, name: str, wanted: Settings, actor: Actor, at: datetime
) -> ModelServer:
    """Offer the models of a server. Raises Invalid."""
    if not slug_re.match(name) or len(name) > 40:
        raise Invalid("A name has up to 40 letters, digits and hyphens.")
    if ModelServer.objects.filter(name=name).exists():
        raise Invalid(f"There is a model server {name} already: choose another name.")
    server = ModelServer(name=name, created_at=at)
    _set(server, wanted)
    record(
        events.MODEL_SERVER_ADDED,
        actor=actor,
        at=at,
        target=target_of(server),
        after=_shown(server),
    )
    return server


@transaction.atomic
def change_model_server(
    *, name: str, wanted: Settings, actor: Actor, at: datetime
) -> ModelServer:
    """Change where and how a server is reached. Raises NotFound, Invalid.

    Another origin needs its secrets entered again: they would go to a stranger.
    """
    server = model_server_named(name, lock=True)
    moved = _origin(server.url) != _origin(wanted.url)
    if moved and server.secrets and wanted.secrets is None:
        raise Invalid(
            "The address is another server's: enter the headers again, or empty them."
        )
    before = _shown(server)
    _set(server, wanted)
    record(
        events.MODEL_SERVER_CHANGED,
        actor=actor,
        at=at,
        target=target_of(server),
        before=before,
        after=_shown(server),
        payload={"secrets_replaced": wanted.secrets is not None},
    )
    return server


@transaction.atomic
def set_model_server_enabled(
    *, name: str, enabled: bool, actor: Actor, at: datetime
) -> ModelServer:
    """Offer its models, or none of them; requests under way go on. Raises NotFound."""
    server = model_server_named(name, lock=True)
    if enabled:
        _check_offered(server.name, server.offered)
    if server.enabled != enabled:
        server.enabled = enabled
        server.save(update_fields=["enabled"])
        record(
            events.MODEL_SERVER_STATUS,
            actor=actor,
            at=at,
            target=target_of(server),
            payload={"status": "enabled" if enabled else "paused"},
        )
    return server


def try_model_server(*, name: str, actor: Actor, at: datetime) -> Tested:
    """Ask a server for its models, over the network and outside any transaction."""
    server = model_server_named(name)
    place = Place(
        server.url, min(server.timeout_seconds, TEST_SECONDS), server.secret_values()
    )
    tested = asyncio.run(_ask(place))
    with transaction.atomic():
        ModelServer.objects.filter(pk=server.pk).update(
            tested_at=at, test_seconds=tested.seconds, test_error=tested.error
        )
        record(
            events.MODEL_SERVER_TESTED,
            actor=actor,
            at=at,
            target=target_of(server),
            payload={
                "outcome": tested.error or f"{len(tested.models)} models",
                "seconds": round(tested.seconds, 6),
            },
        )
    return tested


def model_server_named(name: str, *, lock: bool = False) -> ModelServer:
    """The server of this name. Raises NotFound."""
    rows = ModelServer.objects.select_for_update() if lock else ModelServer.objects
    server = rows.filter(name=name).first()
    if server is None:
        raise NotFound(f"There is no model server {name[:40]}.")
    return server


def target_of(server: ModelServer) -> Target:
    """The server as the trail names it."""
    return Target("model_server", server.name, server.name)


async def _ask(place: Place) -> Tested:
    upstreams = Upstreams(private=settings.WEBHOOK_PRIVATE_HOSTS)
    began = time.monotonic()
    try:
        answer = await upstreams.send(place, "GET", "/models")
        content = bytearray()
        async for part in answer.parts():
            content += part
            if len(content) > _MOST_LISTED_BYTES:
                break
        answer.close()
    except TollgateError as error:
        return Tested((), time.monotonic() - began, error.message)
    finally:
        await upstreams.aclose()
    seconds = time.monotonic() - began
    if answer.status != 200:
        return Tested((), seconds, f"GET /models was answered with {answer.status}.")
    return _listed(bytes(content), seconds)


def _listed(content: bytes, seconds: float) -> Tested:
    try:
        given = orjson.loads(content)
        names = tuple(str(one["id"])[:200] for one in given["data"])
    except (ValueError, TypeError, KeyError):
        return Tested((), seconds, "GET /models was not answered as OpenAI does.")
    return Tested(names[:_MOST_MODELS], seconds)


def _set(server: ModelServer, wanted: Settings) -> None:
    check_url(wanted.url, private=settings.WEBHOOK_PRIVATE_HOSTS)
    if len(wanted.url) > 500:
        raise Invalid("An address has at most 500 characters.")
    provider = wanted.provider.strip()
    if not provider or len(provider) > _LONGEST_MODEL or not provider.isprintable():
        raise Invalid("Give the provider's name, by which prices are found.")
    if not 1 <= wanted.timeout_seconds <= LONGEST_SECONDS:
        raise Invalid(f"The time limit is between 1 and {LONGEST_SECONDS} seconds.")
    _check_offered(server.name, wanted.offered)
    server.url, server.provider = wanted.url.rstrip("/"), provider
    server.offered = dict(wanted.offered)
    server.description = wanted.description[:400]
    server.timeout_seconds = wanted.timeout_seconds
    if wanted.secrets is not None:
        _check_headers(wanted.secrets)
        server.set_secret_values(dict(wanted.secrets))
    server.save()


def _check_offered(name: str, offered: Mapping[str, str]) -> None:
    if not 1 <= len(offered) <= _MOST_MODELS:
        raise Invalid(f"Name 1 to {_MOST_MODELS} models that may be asked for.")
    for public, own in offered.items():
        if not _fits(public, _LONGEST_MODEL) or not _fits(own, 200):
            raise Invalid(f"{public[:60]!r} is no name of a model.")
    others = ModelServer.objects.filter(enabled=True).exclude(name=name)
    taken = others.filter(offered__has_any_keys=list(offered)).order_by("name").first()
    if taken is not None:
        both = sorted(set(taken.offered) & set(offered))[0]
        raise Invalid(
            f"{taken.name} offers {both} already: give it another public name."
        )


def _fits(name: str, most: int) -> bool:
    return bool(name.strip()) and len(name) <= most and name.isprintable()


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.match(name) or not value.isprintable():
            raise Invalid(f"{name[:60]!r} is no HTTP header, or its value is not.")
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            raise Invalid(f"The value of {name[:60]} has odd characters.") from None


def _shown(server: ModelServer) -> dict[str, Any]:
    """Names alone of what is secret."""
    return {
        "url": server.url,
        "provider": server.provider,
        "offered": dict(server.offered),
        "description": server.description,
        "timeout_seconds": server.timeout_seconds,
        "sealed": sorted(server.secret_values()),
    }


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
