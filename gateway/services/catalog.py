"""Adds tool servers, keeps their tools in step and reviews what they may do."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from urllib.parse import urlsplit

from django.core.validators import slug_re
from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.jobs import enqueue
from core.models import Revision, raise_revision
from gateway import events
from gateway.models import Server, Tool
from gateway.models.catalog import Effect, Idempotency
from policy.models import Environment

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


@transaction.atomic
def add_server(
    *,
    name: str,
    transport: str,
    actor: Actor,
    at: datetime,
    url: str = "",
    command: Sequence[str] = (),
    secrets: Mapping[str, str] | None = None,
    description: str = "",
    timeout_seconds: float = 30.0,
) -> Server:
    """Keep a server as a draft; ``sync_server`` then reaches out to it.

    ``secrets`` are HTTP headers or, for a command, its environment. Raises Invalid.
    """
    _check_address(name, transport, url, command)
    if Server.objects.filter(name=name).exists():
        raise Invalid(f"There is a server {name} already: choose another name.")
    server = Server(
        name=name,
        description=description,
        transport=transport,
        url=url,
        command=list(command),
        timeout_seconds=timeout_seconds,
        created_at=at,
    )
    server.set_secret_values(dict(secrets or {}))
    server.save()
    record(
        events.SERVER_ADDED,
        actor=actor,
        at=at,
        target=server_target(server),
        after={
            "transport": transport,
            "url": url,
            "command": list(command),
            "sealed": sorted(secrets or {}),
        },
    )
    return server


def ask_for_sync(*, server: Server, actor: Actor) -> None:
    """Have a runner sync the server soon; ``synced_at`` or ``last_error`` tell."""
    enqueue(
        "gateway.sync_server",
        queue="runs",
        server_id=server.pk,
        actor=asdict(actor),
    )


def _check_address(name: str, transport: str, url: str, command: Sequence[str]) -> None:
    if not slug_re.match(name) or not name.isidentifier():
        raise Invalid(
            f"{name!r} cannot name a server: scripts import it, so use letters, "
            "digits and underscores, starting with a letter."
        )
    if transport == Server.Transport.HTTP:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Invalid(
                f"{url!r} is no URL of an MCP server: it starts with http:// or "
                "https:// and usually ends with /mcp."
            )
        if parts.username or parts.password:
            raise Invalid("Put credentials into headers, not into the URL.")
    elif transport == Server.Transport.STDIO:
        if not command:
            raise Invalid("A stdio server needs the command that starts it.")
    else:
        raise Invalid("Choose http or stdio as transport.")


@transaction.atomic
def set_server_status(
    *, server_id: int, status: str, actor: Actor, at: datetime
) -> Server:
    """Offer a server's tools (active) or take them all away (disabled)."""
    server = locked_server(server_id)
    if status not in {Server.Status.ACTIVE, Server.Status.DISABLED}:
        raise Invalid("A server can be set to active or disabled.")
    if server.synced_at is None:
        raise Invalid("This server was never reached: sync it first.")
    before, server.status = server.status, status
    server.save(update_fields=["status"])
    raise_revision(Revision.CATALOG)
    record(
        events.SERVER_STATUS,
        actor=actor,
        at=at,
        target=server_target(server),
        before={"status": before},
        after={"status": status},
        payload={"status": status},
    )
    return server


@transaction.atomic
def change_server(
    *,
    server_id: int,
    actor: Actor,
    at: datetime,
    url: str = "",
    command: Sequence[str] = (),
    secrets: Mapping[str, str] | None = None,
    description: str | None = None,
    timeout_seconds: float | None = None,
) -> Server:
    """Change where and how a server is reached; None keeps what is stored.

    Stored headers do not follow a server to another host: whoever may change the
    address could have them sent to one of their own. Raises Invalid.
    """
    server = locked_server(server_id)
    _check_address(server.name, server.transport, url, command)
    if secrets is None and server.secrets and _origin(url) != _origin(server.url):
        raise Invalid(
            "The stored headers were given for another host: enter them again, or "
            "remove them."
        )
    before = _reached_by(server)
    server.url, server.command = url, list(command)
    if description is not None:
        server.description = description
    if timeout_seconds is not None:
        server.timeout_seconds = timeout_seconds
    if secrets is not None:
        server.set_secret_values(dict(secrets))
    server.revision += 1
    server.save()
    raise_revision(Revision.CATALOG)
    record(
        events.SERVER_CHANGED,
        actor=actor,
        at=at,
        target=server_target(server),
        before=before,
        after=_reached_by(server),
        payload={
            "secrets_replaced": secrets is not None,
            "sealed": sorted(secrets or {}),
        },
    )
    return server


def _reached_by(server: Server) -> dict[str, object]:
    return {
        "url": server.url,
        "command": server.command,
        "description": server.description,
        "timeout_seconds": str(server.timeout_seconds),
    }


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


@transaction.atomic
def confirm_effect(*, tool_id: int, effect: str, actor: Actor, at: datetime) -> Tool:
    """Say what calls of a tool may do. Raises Invalid, NotFound."""
    if effect not in Effect.values:
        raise Invalid(f"Unknown effect {effect!r}: use {', '.join(Effect.values)}.")
    tool = _locked_tools([tool_id])[0]
    before, tool.effect = tool.effect, effect
    tool.effect_confirmed_by, tool.effect_confirmed_at = actor.label[:150], at
    tool.save(update_fields=["effect", "effect_confirmed_by", "effect_confirmed_at"])
    _reviewed(tool, "effect", before, effect, actor, at)
    return tool


@transaction.atomic
def confirm_effects(
    *, tool_ids: Sequence[int], actor: Actor, at: datetime
) -> list[Tool]:
    """Confirm the proposed effect of each of these tools."""
    return [
        confirm_effect(tool_id=tool.pk, effect=tool.effect_proposed, actor=actor, at=at)
        for tool in _locked_tools(tool_ids)
    ]


@transaction.atomic
def set_environments(
    *, tool_ids: Sequence[int], environments: Sequence[str], actor: Actor, at: datetime
) -> list[Tool]:
    """Offer these tools in exactly these environments."""
    places = list(Environment.objects.filter(slug__in=environments))
    if missing := set(environments) - {place.slug for place in places}:
        raise Invalid(f"Unknown environment: {', '.join(sorted(missing))}.")
    tools = _locked_tools(tool_ids)
    for tool in tools:
        before = sorted(place.slug for place in tool.environments.all())
        tool.environments.set(places)
        _reviewed(tool, "environments", before, sorted(environments), actor, at)
    return tools


@transaction.atomic
def set_tags(*, tool_id: int, tags: Sequence[str], actor: Actor, at: datetime) -> Tool:
    """Replace a tool's tags: short lower-case words."""
    wanted = sorted({tag.strip().lower() for tag in tags if tag.strip()})
    if bad := [tag for tag in wanted if not slug_re.match(tag) or len(tag) > 100]:
        raise Invalid(
            f"{bad[0]!r} is no tag: use up to 100 letters, digits and hyphens."
        )
    tool = _locked_tools([tool_id])[0]
    before, tool.tags = tool.tags, wanted
    tool.save(update_fields=["tags"])
    _reviewed(tool, "tags", before, wanted, actor, at)
    return tool


@transaction.atomic
def set_direct(*, tool_id: int, direct: bool, actor: Actor, at: datetime) -> Tool:
    """List a tool as an ordinary MCP tool as well, or no longer."""
    script = _locked_tools([tool_id])[0].scripted
    return set_ways(tool_id=tool_id, script=script, direct=direct, actor=actor, at=at)


@transaction.atomic
def set_ways(
    *, tool_id: int, script: bool, direct: bool, actor: Actor, at: datetime
) -> Tool:
    """Let a tool be called from scripts, directly as an MCP tool, or both."""
    if not script and not direct:
        raise Invalid(
            "Choose at least one way: disable the tool in its environments if nobody "
            "is to call it."
        )
    tool = _locked_tools([tool_id])[0]
    before = tool.ways
    tool.scripted, tool.direct = script, direct
    tool.save(update_fields=["scripted", "direct"])
    _reviewed(tool, "ways", before, tool.ways, actor, at)
    return tool


@transaction.atomic
def set_approval(*, tool_id: int, needed: bool, actor: Actor, at: datetime) -> Tool:
    """Have every call of a tool wait for an approval, or no longer."""
    tool = _locked_tools([tool_id])[0]
    before, tool.needs_approval = tool.needs_approval, needed
    tool.save(update_fields=["needs_approval"])
    _reviewed(tool, "needs_approval", before, needed, actor, at)
    return tool


@transaction.atomic
def set_idempotency(
    *, tool_id: int, how: str, name: str, lookup: str, actor: Actor, at: datetime
) -> Tool:
    """Say how a tool takes the key of a step, and which tool tells of its use."""
    if how not in Idempotency.values:
        raise Invalid(f"Unknown way {how!r}: use {', '.join(Idempotency.values)}.")
    if how == Idempotency.ARGUMENT and not name:
        raise Invalid("Name the argument that takes the key.")
    if lookup and how == Idempotency.NONE:
        raise Invalid("A call is looked up by its key: say how the tool takes it.")
    if how == Idempotency.HEADER and name and not _HEADER_NAME.match(name):
        raise Invalid(f"{name!r} is no name of an HTTP header.")
    tool = _locked_tools([tool_id])[0]
    if how == Idempotency.HEADER and tool.server.transport != Server.Transport.HTTP:
        raise Invalid("This server is a command: it gets no HTTP headers. Use _meta.")
    _check_lookup(tool, lookup)
    before = [tool.idempotency, tool.idempotency_name, tool.lookup]
    tool.idempotency, tool.idempotency_name, tool.lookup = how, name, lookup
    tool.save(update_fields=["idempotency", "idempotency_name", "lookup"])
    _reviewed(tool, "idempotency", before, [how, name, lookup], actor, at)
    return tool


def _check_lookup(tool: Tool, lookup: str) -> None:
    """A look-up is called without a decision of its own: it must only read."""
    readers = tool.server.tools.filter(effect=Effect.READ, removed_at=None)
    if lookup and not readers.filter(original=lookup).exclude(pk=tool.pk).exists():
        raise Invalid(
            f"The server has no other tool {lookup!r} that only reads: confirm its "
            "effect as read first."
        )


def _reviewed(
    tool: Tool, what: str, before: object, after: object, actor: Actor, at: datetime
) -> None:
    raise_revision(Revision.CATALOG)
    record(
        events.TOOL_REVIEWED,
        actor=actor,
        at=at,
        target=tool_target(tool),
        before={what: before},
        after={what: after},
        payload={"change": f"{what} {after}"},
    )


def locked_server(server_id: int) -> Server:
    """The server's row, locked for the running transaction. Raises NotFound."""
    server = Server.objects.select_for_update().filter(pk=server_id).first()
    if server is None:
        raise NotFound("There is no such server.")
    return server


def _locked_tools(tool_ids: Sequence[int]) -> list[Tool]:
    tools = list(
        Tool.objects.select_for_update(of=("self",))
        .select_related("server")
        .filter(pk__in=tool_ids)
        .order_by("pk")
    )
    if len(tools) != len(set(tool_ids)) or not tools:
        raise NotFound("There is no such tool.")
    return tools


def server_target(server: Server) -> Target:
    """The server as the trail names it."""
    return Target("server", server.name, server.name)


def tool_target(tool: Tool) -> Target:
    """The tool as the trail names it; needs its server."""
    name = f"{tool.server.name}.{tool.name}"
    return Target("tool", name, name)
