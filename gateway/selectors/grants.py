"""Which teams may call a server or a tool."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Model
from guardian.models import GroupObjectPermission

from gateway.models import Server, Tool
from policy.models import Team


@dataclass(frozen=True, slots=True)
class Grant:
    """A team's right; ``through`` names the server when the tool has it from there."""

    team: Team
    through: str = ""


def _teams(codename: str, obj: Model) -> list[Team]:
    groups = GroupObjectPermission.objects.filter(
        permission__codename=codename,
        permission__content_type__app_label="gateway",
        object_pk=str(obj.pk),
    ).values("group_id")
    return list(Team.objects.filter(group__in=groups).order_by("name", "pk"))


def grants_on_server(server: Server) -> tuple[Grant, ...]:
    """Teams that may call every tool of this server."""
    return tuple(Grant(team) for team in _teams("call_server", server))


def grants_on_tool(tool: Tool) -> tuple[Grant, ...]:
    """Teams that may call this tool, by a grant of its own or of its server's."""
    own = [Grant(team) for team in _teams("call_tool", tool)]
    inherited = [
        Grant(team, through=tool.server.name)
        for team in _teams("call_server", tool.server)
    ]
    return (*inherited, *own)


def teams_without(grants: Iterable[Grant]) -> list[Team]:
    """Teams that none of these grants names, for the form that gives one."""
    held = [grant.team.pk for grant in grants]
    return list(Team.objects.exclude(pk__in=held).order_by("name", "pk"))


def team_with(slug: str) -> Team | None:
    """A team by its short name."""
    return Team.objects.filter(slug=slug).first()
