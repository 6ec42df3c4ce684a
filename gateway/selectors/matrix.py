"""The access matrix: teams and roles against servers, tools and tags."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.db.models import Count, Q, QuerySet
from guardian.models import GroupObjectPermission

from audit.web import Rights
from gateway.models import Server, Tool
from gateway.selectors.grants import role_choices
from gateway.services.access import CALL_SERVER, CALL_TAG, CALL_TOOL
from policy.access import POLICY_READ
from policy.models import Environment, Team

Key = tuple[str, str]

# Grants of single tools, counted by server in the database, since there may be a
# quarter of a million: first by tool, so that what is joined is small.
_BY_SERVER = """
WITH held AS MATERIALIZED (
  SELECT object_pk, array_agg(group_id) AS groups
  FROM guardian_groupobjectpermission
  WHERE permission_id = %s AND group_id = ANY(%s) GROUP BY object_pk
)
SELECT holder, tool.server_id, count(*)
FROM gateway_tool AS tool JOIN held ON held.object_pk = tool.id::text,
  unnest(held.groups) AS holder
WHERE tool.server_id = ANY(%s) AND tool.removed_at IS NULL
GROUP BY holder, tool.server_id
"""
_TAGS = """
SELECT DISTINCT tag FROM gateway_tool, jsonb_array_elements_text(tags) AS tag
WHERE removed_at IS NULL ORDER BY tag
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the matrix is narrowed to; ``environment`` is the tab, empty for all."""

    environment: str = ""
    team: str = ""
    server: str = ""
    tool: str = ""

    @property
    def tools(self) -> bool:
        """Whether the columns are tools."""
        return bool(self.server or self.tool)


@dataclass(frozen=True, slots=True)
class Row:
    """A team or a role; ``group`` is its group in every environment."""

    group: str
    name: str
    is_team: bool

    @property
    def key(self) -> str:
        return self.group.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Column:
    """A server, tool or tag. ``wider`` are grants that cover it too, with their names.

    ``text`` is such as ``tool:crm.list_orders``; ``tools`` is how many a server has.
    """

    text: str
    own: Key
    wider: tuple[tuple[Key, str], ...] = ()
    tools: int = 0

    @property
    def kind(self) -> str:
        return self.text.partition(":")[0]

    @property
    def name(self) -> str:
        return self.text.partition(":")[2]

    @property
    def server(self) -> str:
        return self.name.partition(".")[0]

    @property
    def tool(self) -> str:
        return self.name.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Cell:
    """``own``: granted just here. ``through``: what else covers it, in words.

    ``elsewhere``, on the tab of all environments, are the single ones it holds in;
    ``part`` is how many of a server's tools are granted one by one.
    """

    column: Column
    own: bool
    through: tuple[str, ...]
    elsewhere: tuple[str, ...]
    part: int

    @property
    def covered(self) -> bool:
        return self.own or bool(self.through)


@dataclass(frozen=True, slots=True)
class Line:
    """A row with its cells."""

    row: Row
    cells: tuple[Cell, ...]


def visible_rows(rights: Rights, asked: Asked) -> Sequence[Row]:
    """Teams this person may see, by name, then the roles; one query."""
    teams = rights.teams_for(POLICY_READ)
    found = Team.objects.order_by("name", "pk")
    if teams is not None:
        found = found.filter(slug__in=teams)
    words = asked.team.lower().split()
    for word in words:
        found = found.filter(Q(name__icontains=word) | Q(slug__icontains=word))
    rows = [
        Row(f"team:{slug}", name, True)
        for slug, name in found.values_list("slug", "name")
    ]
    roles = [Row(one.group, one.name, False) for one in role_choices()]
    return rows + [
        role
        for role in roles
        if all(word in f"{role.group} {role.name}".lower() for word in words)
    ]


def overview_columns() -> list[Column]:
    """Every server with its number of tools, then every tag; two queries."""
    servers = (
        Server.objects.annotate(n=Count("tools", filter=Q(tools__removed_at=None)))
        .order_by("name")
        .values_list("pk", "name", "n")
    )
    columns = [
        Column(f"server:{name}", (CALL_SERVER, str(pk)), tools=count)
        for pk, name, count in servers
    ]
    return columns + [Column(f"tag:{tag}", (CALL_TAG, tag)) for tag in tags_in_use()]


def tags_in_use() -> list[str]:
    """Every tag of a tool that is there, sorted; one query."""
    with connection.cursor() as cursor:
        cursor.execute(_TAGS)
        return [tag for (tag,) in cursor.fetchall()]


def tools_asked(asked: Asked) -> QuerySet[Tool]:
    """The tools whose columns are asked for, to be cut into pages."""
    found = Tool.objects.filter(removed_at=None).select_related("server")
    if asked.server:
        found = found.filter(server__name=asked.server)
    for word in asked.tool.replace(".", " ").split():
        found = found.filter(Q(name__icontains=word) | Q(server__name__icontains=word))
    return found.defer("server__secrets").order_by("server__name", "name", "pk")


def tool_column(tool: Tool) -> Column:
    """The column of a tool; needs its server."""
    server = (CALL_SERVER, str(tool.server_id)), f"server {tool.server.name}"
    tags = (((CALL_TAG, tag), f"tag {tag}") for tag in tool.tags)
    return Column(f"tool:{tool.full_name}", (CALL_TOOL, str(tool.pk)), (server, *tags))


def lines(
    rows: Sequence[Row], columns: Sequence[Column], environment: str
) -> Iterator[Line]:
    """The cells of these rows and columns; five queries whatever their number."""
    places = (
        ["", environment]
        if environment
        else ["", *Environment.objects.values_list("slug", flat=True)]
    )
    names = [_group(row, place) for row in rows for place in places]
    groups = dict(Group.objects.filter(name__in=names).values_list("pk", "name"))
    found = Permission.objects.filter(
        content_type__app_label="gateway",
        codename__in=[CALL_SERVER, CALL_TAG, CALL_TOOL],
    )
    permissions = dict(found.values_list("codename", "pk"))
    held = _held(groups, columns, permissions)
    parts = _parts(groups, columns, permissions[CALL_TOOL])
    for row in rows:
        yield Line(
            row,
            tuple(_cell(row, column, environment, held, parts) for column in columns),
        )


def _group(row: Row, place: str) -> str:
    return f"{row.group}@{place}" if place else row.group


def _cell(
    row: Row,
    column: Column,
    environment: str,
    held: Mapping[Key, set[str]],
    parts: Mapping[tuple[str, str], int],
) -> Cell:
    here, everywhere = _group(row, environment), row.group
    own = held.get(column.own, set())
    through, elsewhere = [], []
    if environment and everywhere in own:
        through.append("every environment")
    if not environment:
        elsewhere += _places(own, everywhere)
    for key, words in column.wider:
        found = held.get(key, set())
        if everywhere in found:
            through.append(words)
        elif not environment:
            elsewhere += [f"{place} by {words}" for place in _places(found, everywhere)]
        elif here in found:
            through.append(f"{words} in {environment}")
    part = parts.get((everywhere, column.own[1]), 0)
    if environment:
        part += parts.get((here, column.own[1]), 0)
    return Cell(
        column,
        here in own,
        tuple(through),
        tuple(elsewhere),
        part if column.kind == "server" else 0,
    )


def _places(groups: set[str], everywhere: str) -> list[str]:
    start = f"{everywhere}@"
    return sorted(
        group.removeprefix(start) for group in groups if group.startswith(start)
    )


def _held(
    groups: Mapping[int, str],
    columns: Sequence[Column],
    permissions: Mapping[str, int],
) -> dict[Key, set[str]]:
    if not columns:
        return {}
    keys: dict[str, set[str]] = {}
    for column in columns:
        for codename, key in (column.own, *(wider for wider, _ in column.wider)):
            keys.setdefault(codename, set()).add(key)
    # A query per permission, put together: each finds its rows by index.
    parts = [
        GroupObjectPermission.objects.filter(
            permission=permissions[codename], group__in=groups, object_pk__in=values
        ).values_list("permission_id", "object_pk", "group_id")
        for codename, values in keys.items()
    ]
    codenames = {pk: codename for codename, pk in permissions.items()}
    found: dict[Key, set[str]] = {}
    for permission, key, group in parts[0].union(*parts[1:], all=True):
        found.setdefault((codenames[permission], key), set()).add(groups[group])
    return found


def _parts(
    groups: Mapping[int, str], columns: Sequence[Column], permission: int
) -> dict[tuple[str, str], int]:
    servers = [int(column.own[1]) for column in columns if column.kind == "server"]
    if not servers or not groups:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_BY_SERVER, [permission, list(groups), servers])
        return {
            (groups[group], str(server)): count
            for group, server, count in cursor.fetchall()
        }
