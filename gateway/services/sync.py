"""Brings the catalog in step with what a server offers, and checks its health."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Protocol

import orjson
from django.db import transaction

from audit.actor import SYSTEM, Actor
from audit.registry import EventKind
from audit.services.record import record
from core.models import Revision, raise_revision
from gateway import events
from gateway.catalog import spec_of
from gateway.codemode import tokens
from gateway.codemode.definitions import fingerprint, propose_effect, safe_alias
from gateway.connectors.api import (
    Health,
    Listing,
    ServerSpec,
    UpstreamError,
    UpstreamTool,
)
from gateway.models import Server, Tool, ToolVersion
from gateway.models.catalog import Effect
from gateway.services.catalog import locked_server, server_target, tool_target


class Upstream(Protocol):
    """The part of the connection pool that this module needs."""

    def list_tools(self, spec: ServerSpec, *, timeout: float) -> Listing: ...

    def ping(self, spec: ServerSpec, *, timeout: float) -> Health: ...


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync changed: counts, what was refused and why, or the error."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    error: str = ""


def sync_server(
    *, server_id: int, upstream: Upstream, actor: Actor, at: datetime
) -> SyncReport:
    """Ask the server for its tools and record every difference.

    A server that cannot be reached stays as it is, with the error kept on it; this
    never raises for what a server does. Raises NotFound.
    """
    with transaction.atomic():
        spec = spec_of(locked_server(server_id))
    try:
        listing = upstream.list_tools(spec, timeout=spec.timeout_seconds)
    except UpstreamError as error:
        return _failed(server_id, error, actor, at)
    return _apply(server_id, listing, actor, at)


@transaction.atomic
def _failed(
    server_id: int, error: UpstreamError, actor: Actor, at: datetime
) -> SyncReport:
    server = locked_server(server_id)
    server.last_error = server.health_message = error.message
    server.health, server.health_at = Server.Health.DOWN, at
    server.save(update_fields=["last_error", "health", "health_message", "health_at"])
    record(
        events.SERVER_SYNC_FAILED,
        actor=actor,
        at=at,
        target=server_target(server),
        payload={"error": error.message, "code": error.code},
    )
    return SyncReport(error=error.message)


@transaction.atomic
def _apply(server_id: int, listing: Listing, actor: Actor, at: datetime) -> SyncReport:
    server = locked_server(server_id)
    known = {
        tool.original: tool for tool in server.tools.select_related("current", "server")
    }
    counts = {"added": 0, "changed": 0, "removed": 0, "unchanged": 0}
    taken = {tool.name for tool in known.values()}
    for offered in listing.tools:
        tool = known.pop(offered.name, None)
        kind = _keep(server, tool, offered, taken, actor, at)
        counts[kind] += 1
    for gone in known.values():
        counts["removed"] += _remove(gone, actor, at)
    refused = tuple((tool.name, tool.reason) for tool in listing.refused)
    _reached(server, listing, at)
    raise_revision(Revision.CATALOG)
    report = SyncReport(
        counts["added"],
        counts["changed"],
        counts["removed"],
        counts["unchanged"],
        refused,
    )
    record(
        events.SERVER_SYNCED,
        actor=actor,
        at=at,
        target=server_target(server),
        payload=counts | {"refused": len(refused), "names": asdict(report)["refused"]},
    )
    return report


def _reached(server: Server, listing: Listing, at: datetime) -> None:
    server.protocol = listing.protocol[:20]
    server.upstream_name = listing.server_name[:200]
    server.upstream_version = listing.server_version[:100]
    server.refused = [
        {"name": tool.name[:200], "reason": tool.reason[:500]}
        for tool in listing.refused
    ]
    server.synced_at = server.health_at = at
    server.health, server.health_message, server.last_error = Server.Health.UP, "", ""
    if server.status == Server.Status.DRAFT:
        server.status = Server.Status.ACTIVE
    server.save()


def _keep(
    server: Server,
    tool: Tool | None,
    offered: UpstreamTool,
    taken: set[str],
    actor: Actor,
    at: datetime,
) -> str:
    digest = fingerprint(
        name=offered.name,
        description=offered.description,
        input_schema=offered.input_schema,
        output_schema=offered.output_schema,
        annotations=offered.annotations,
    )
    if tool is None:
        alias = safe_alias(offered.name, taken)
        taken.add(alias)
        tool = Tool.objects.create(
            server=server,
            name=alias,
            original=offered.name,
            effect=Effect.WRITE,
            effect_proposed=propose_effect(offered.annotations),
        )
        _new_version(tool, 1, digest, offered, at)
        _tell(events.TOOL_ADDED, tool, actor, at, {"version": 1})
        return "added"
    if tool.current is not None and tool.current.fingerprint == digest:
        if tool.removed_at is None:
            return "unchanged"
        tool.removed_at = None
        tool.save(update_fields=["removed_at"])
        _tell(events.TOOL_ADDED, tool, actor, at, {"returned": True})
        return "changed"
    number = tool.versions.count() + 1
    tool.effect_proposed = propose_effect(offered.annotations)
    # A new definition has not been reviewed: it is treated as a write again.
    tool.effect = Effect.WRITE
    tool.effect_confirmed_by, tool.effect_confirmed_at = "", None
    tool.removed_at = None
    _new_version(tool, number, digest, offered, at)
    _tell(events.TOOL_CHANGED, tool, actor, at, {"version": number})
    return "changed"


def _new_version(
    tool: Tool, number: int, digest: str, offered: UpstreamTool, at: datetime
) -> None:
    tool.current = ToolVersion.objects.create(
        tool=tool,
        number=number,
        fingerprint=digest,
        title=offered.title[:200],
        description=offered.description,
        input_schema=offered.input_schema,
        output_schema=offered.output_schema,
        annotations=offered.annotations,
        definition_tokens=_definition_tokens(offered),
        created_at=at,
    )
    tool.save()


def _definition_tokens(offered: UpstreamTool) -> int:
    shown = {
        "name": offered.name,
        "description": offered.description,
        "inputSchema": offered.input_schema,
    }
    return tokens.count(orjson.dumps(shown).decode())


def _remove(tool: Tool, actor: Actor, at: datetime) -> int:
    if tool.removed_at is not None:
        return 0
    tool.removed_at = at
    tool.save(update_fields=["removed_at"])
    _tell(events.TOOL_REMOVED, tool, actor, at, {})
    return 1


def _tell(
    event: EventKind,
    tool: Tool,
    actor: Actor,
    at: datetime,
    payload: Mapping[str, object],
) -> None:
    record(event, actor=actor, at=at, target=tool_target(tool), payload=dict(payload))


def check_server(*, server_id: int, upstream: Upstream, at: datetime) -> Server:
    """Ping a server and keep what it said; a change of health is on record."""
    with transaction.atomic():
        spec = spec_of(locked_server(server_id))
    health = upstream.ping(spec, timeout=min(10.0, spec.timeout_seconds))
    with transaction.atomic():
        server = locked_server(server_id)
        before = server.health
        server.health = Server.Health.UP if health.ok else Server.Health.DOWN
        server.health_message = health.message[:500]
        server.health_seconds, server.health_at = health.seconds, at
        server.save(
            update_fields=[
                "health",
                "health_message",
                "health_seconds",
                "health_at",
            ]
        )
        if before != server.health:
            record(
                events.SERVER_STATUS,
                actor=SYSTEM,
                at=at,
                target=server_target(server),
                payload={"status": server.health, "message": health.message},
            )
    return server
