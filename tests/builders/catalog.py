"""Servers, tools and their versions, as the catalog holds them once synced."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.models import ModelServer, Server, Tool, ToolVersion
from gateway.services import access
from gateway.services.access import Grantable
from policy.holders import TEAM, Holder
from policy.models import Environment, Team
from tests.builders.identity import ACTOR

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

ORDERS_INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "since": {"type": "string", "format": "date", "description": "First day."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    },
    "required": ["since"],
    "additionalProperties": False,
}
ORDERS_OUTPUT: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"id": {"type": "string"}, "total": {"type": "number"}},
        "required": ["id", "total"],
    },
}


def make_server(
    *,
    name: str = "crm",
    transport: str = Server.Transport.HTTP,
    url: str = "http://127.0.0.1:9901/mcp",
    command: Sequence[str] = (),
    status: str = Server.Status.ACTIVE,
    health: str = Server.Health.UP,
    refused: Sequence[Mapping[str, str]] = (),
    last_error: str = "",
    description: str = "Customers and their orders.",
) -> Server:
    """A server that was synced, unless its status is ``draft``."""
    synced = status != Server.Status.DRAFT
    return Server.objects.create(
        name=name,
        description=description,
        transport=transport,
        url=url if transport == Server.Transport.HTTP else "",
        command=list(command),
        status=status,
        health=health if synced else Server.Health.UNKNOWN,
        health_seconds=0.012 if synced else None,
        health_at=AT if synced else None,
        protocol="2026-07-28" if synced else "",
        upstream_name=f"{name}-server" if synced else "",
        upstream_version="1.4.0" if synced else "",
        last_error=last_error,
        refused=[dict(one) for one in refused],
        synced_at=AT if synced else None,
        created_at=AT,
    )


def make_tool(
    server: Server,
    *,
    name: str = "list_orders",
    effect: str = "read",
    confirmed_by: str = "Ada Admin",
    environments: Sequence[Environment] = (),
    tags: Sequence[str] = (),
    direct: bool = False,
    description: str = "Orders since a day, newest first.",
    input_schema: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | None = None,
    at: datetime = AT,
) -> Tool:
    """A tool with one version. Without ``confirmed_by`` its effect is a proposal."""
    tool = Tool.objects.create(
        server=server,
        name=name,
        original=name,
        tags=list(tags),
        effect=effect if confirmed_by else "write",
        effect_proposed=effect,
        effect_confirmed_by=confirmed_by,
        effect_confirmed_at=at if confirmed_by else None,
        direct=direct,
    )
    tool.environments.set(environments)
    make_version(
        tool,
        description=description,
        input_schema=input_schema,
        output_schema=output_schema,
        at=at,
    )
    return tool


def make_version(
    tool: Tool,
    *,
    description: str = "Orders since a day, newest first.",
    input_schema: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | None = None,
    at: datetime = AT,
) -> ToolVersion:
    """The tool's next version, made the current one."""
    number = tool.versions.count() + 1
    version = ToolVersion.objects.create(
        tool=tool,
        number=number,
        fingerprint=f"{tool.pk:x}".rjust(56, "0") + f"{number:08x}",
        title=tool.name.replace("_", " ").capitalize(),
        description=description,
        input_schema=dict(ORDERS_INPUT if input_schema is None else input_schema),
        output_schema=dict(ORDERS_OUTPUT if output_schema is None else output_schema),
        annotations={"readOnlyHint": tool.effect_proposed == "read"},
        definition_tokens=140,
        created_at=at,
    )
    tool.current = version
    tool.save(update_fields=["current"])
    return version


def make_grant(
    team: Team, subject: Grantable, *, environment: str = "", at: datetime = AT
) -> None:
    """Let a team call a server, a tool or a tag."""
    access.give(
        subjects=[subject],
        holders=[Holder(TEAM, team.slug, environment)],
        reason="set-up",
        actor=ACTOR,
        at=at,
    )


def make_model_server(name: str = "gpu", **fields: Any) -> ModelServer:
    """A model server that is enabled and was never asked."""
    values: dict[str, Any] = {
        "name": name,
        "url": "https://llm.example.net/v1",
        "provider": "acme",
        "offered": {"orchid": "orchid-large"},
        "created_at": AT,
    }
    return ModelServer.objects.create(**(values | fields))
