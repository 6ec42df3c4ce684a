"""Lets a team call a server or a tool, and takes it back."""

from datetime import datetime

from audit.actor import Actor
from gateway.models import Server, Tool
from gateway.services.catalog import server_target, tool_target
from policy.models import Team
from policy.services import grants

CALL_SERVER = "gateway.call_server"
CALL_TOOL = "gateway.call_tool"


def grant_server(*, team: Team, server: Server, actor: Actor, at: datetime) -> None:
    """Let ``team`` call every tool of ``server``, present and future."""
    grants.grant(
        team=team,
        permission=CALL_SERVER,
        obj=server,
        target=server_target(server),
        actor=actor,
        at=at,
    )


def revoke_server(*, team: Team, server: Server, actor: Actor, at: datetime) -> None:
    """Take back the grant on a server."""
    grants.revoke(
        team=team,
        permission=CALL_SERVER,
        obj=server,
        target=server_target(server),
        actor=actor,
        at=at,
    )


def grant_tool(*, team: Team, tool: Tool, actor: Actor, at: datetime) -> None:
    """Let ``team`` call one tool."""
    grants.grant(
        team=team,
        permission=CALL_TOOL,
        obj=tool,
        target=tool_target(tool),
        actor=actor,
        at=at,
    )


def revoke_tool(*, team: Team, tool: Tool, actor: Actor, at: datetime) -> None:
    """Take back the grant on one tool."""
    grants.revoke(
        team=team,
        permission=CALL_TOOL,
        obj=tool,
        target=tool_target(tool),
        actor=actor,
        at=at,
    )
