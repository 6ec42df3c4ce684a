"""Who may call a server or a tool, and through what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from guardian.models import GroupObjectPermission

from audit.web import Rights
from core.errors import NotFound
from gateway.models import Server, Tag, Tool
from gateway.selectors.servers import server_named
from gateway.selectors.tools import tool_named
from gateway.services.access import CALL_SERVER, CALL_TAG, CALL_TOOL, Grantable
from policy.access import POLICY_READ
from policy.holders import TEAM, Holder, parse
from policy.models import Membership, Team


@dataclass(frozen=True, slots=True)
class Grant:
    """A holder's right. ``kind`` and ``key`` say on what it is: itself when empty."""

    holder: Holder
    name: str
    kind: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A team or a role that can be granted something; ``group`` is what is posted."""

    group: str
    name: str


def grants_on_server(server: Server) -> tuple[Grant, ...]:
    """Who may call every tool of this server."""
    return _grants({CALL_SERVER: {str(server.pk): ("", "")}})


def grants_on_tool(tool: Tool) -> tuple[Grant, ...]:
    """Who may call this tool: by its server, by a tag, or by a grant of its own."""
    return _grants(
        {
            CALL_SERVER: {str(tool.server_id): ("server", tool.server.name)},
            CALL_TAG: {tag: ("tag", tag) for tag in tool.tags},
            CALL_TOOL: {str(tool.pk): ("", "")},
        }
    )


def _grants(sources: Mapping[str, Mapping[str, tuple[str, str]]]) -> tuple[Grant, ...]:
    wanted = Q(pk=None)
    for codename, keys in sources.items():
        wanted |= Q(permission__codename=codename, object_pk__in=list(keys))
    rows = (
        GroupObjectPermission.objects.filter(wanted)
        .filter(permission__content_type__app_label="gateway")
        .values_list("permission__codename", "object_pk", "group__name")
    )
    found = [
        (parse(group), *sources[codename][key])
        for codename, key, group in rows
        if parse(group)
    ]
    names = holder_names(holder for holder, _, _ in found if holder)
    order = {"server": 0, "tag": 1, "": 2}
    return tuple(
        sorted(
            (
                Grant(holder, names[holder.kind, holder.name], kind, key)
                for holder, kind, key in found
                if holder
            ),
            key=lambda one: (order[one.kind], one.key, one.name, one.holder),
        )
    )


@dataclass(frozen=True, slots=True)
class Listed:
    """A grant in texts that can be sent back to give or take it."""

    holder: str
    environment: str
    subject: str


def visible_grants(rights: Rights) -> QuerySet[GroupObjectPermission]:
    """Grants of roles, and of the teams this caller may see."""
    teams = rights.teams_for(POLICY_READ)
    known = Q(group__name__startswith="role:")
    if teams is None:
        known |= Q(group__name__startswith="team:")
    else:
        for team in teams:
            group = Holder(TEAM, team).group
            known |= Q(group__name=group) | Q(group__name__startswith=f"{group}@")
    return GroupObjectPermission.objects.filter(
        known, permission__content_type__app_label="gateway"
    ).select_related("group", "permission")


def listed(rows: Iterable[GroupObjectPermission]) -> list[Listed]:
    """These grants by name; two queries. What is gone from the catalog is left out."""
    rows = list(rows)
    keys: dict[str, set[str]] = {CALL_SERVER: set(), CALL_TOOL: set(), CALL_TAG: set()}
    for row in rows:
        keys[row.permission.codename].add(row.object_pk)
    servers = Server.objects.filter(pk__in=keys[CALL_SERVER])
    tools = Tool.objects.filter(pk__in=keys[CALL_TOOL]).values_list(
        "pk", "server__name", "name"
    )
    names = {(CALL_TAG, tag): f"tag:{tag}" for tag in keys[CALL_TAG]}
    for pk, name in servers.values_list("pk", "name"):
        names[CALL_SERVER, str(pk)] = f"server:{name}"
    for pk, server, name in tools:
        names[CALL_TOOL, str(pk)] = f"tool:{server}.{name}"
    return [
        Listed(f"{holder.kind}:{holder.name}", holder.environment, subject)
        for row in rows
        if (holder := parse(row.group.name))
        and (subject := names.get((row.permission.codename, row.object_pk)))
    ]


def holder_names(holders: Iterable[Holder]) -> dict[tuple[str, str], str]:
    """What people call each team and role; one query."""
    wanted = {(holder.kind, holder.name) for holder in holders}
    slugs = [name for kind, name in wanted if kind == TEAM]
    names = dict(Team.objects.filter(slug__in=slugs).values_list("slug", "name"))
    return {
        (kind, name): names.get(name, name) if kind == TEAM else role_name(name)
        for kind, name in wanted
    }


def role_name(role: str) -> str:
    """A role as people call it."""
    known = dict(Membership.Role.choices)
    return f"{known.get(role, role)}s" if role != "finance" else "Finance"


def role_choices() -> list[Choice]:
    """Every role a grant can go to."""
    return [Choice(f"role:{role}", role_name(role)) for role in Membership.Role.values]


def team_choices() -> list[Choice]:
    """Every team a grant can go to, by name; one query."""
    rows = Team.objects.order_by("name", "pk").values_list("slug", "name")
    return [Choice(f"team:{slug}", name) for slug, name in rows]


def subject_named(text: str) -> Grantable:
    """``server:crm``, ``tool:crm.list_orders`` or ``tag:billing``. Raises NotFound."""
    kind, _, name = text.partition(":")
    server, _, tool = name.partition(".")
    if kind == "server":
        return server_named(name)
    if kind == "tool":
        return tool_named(server, tool)
    if kind == "tag" and _is_tag(name):
        return Tag(name=name)
    raise NotFound(
        f"There is no {text[:100]} to grant: name server:NAME, tool:SERVER.TOOL or "
        "tag:WORD with a tag in use."
    )


def _is_tag(name: str) -> bool:
    in_use = Tool.objects.filter(tags__contains=[name])
    return in_use.exists() or Tag.objects.filter(pk=name).exists()


def subject_text(one: Grantable) -> str:
    """The same the other way round; a tool needs its server."""
    if isinstance(one, Server):
        return f"server:{one.name}"
    return f"tool:{one.full_name}" if isinstance(one, Tool) else f"tag:{one.name}"
