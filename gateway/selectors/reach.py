"""What a team, role or key can call, and who can call a tool: with through what."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from audit.web import Rights
from core.errors import NotFound
from core.models import Revision, revisions
from gateway.catalog import Catalog, CatalogTool, Held, catalog_at, held_by
from gateway.models import Tool
from gateway.selectors.grants import Grant, grants_on_tool, role_name
from policy import scopes
from policy.access import IDENTITY_READ
from policy.holders import ROLE, TEAM, Holder, holders_of, parse
from policy.models import ApiKey, Membership, Team
from policy.selectors import environments, visible_team
from policy.services.keys import principal_of

CALLER_COLUMNS = ("kind", "caller", "team", "environment", "through")


@dataclass(frozen=True, slots=True)
class Reachable:
    """A tool that can be called, with every grant that lets it be, in words."""

    name: str
    server: str
    tool: str
    effect: str
    through: tuple[str, ...]
    in_scope: bool = True


@dataclass(frozen=True, slots=True)
class Reach:
    """Granted tools of those that an environment offers."""

    tools: tuple[Reachable, ...]
    offered: int

    @property
    def callable(self) -> int:
        return sum(tool.in_scope for tool in self.tools)

    def named(self, words: str) -> list[Reachable]:
        """Those that have every word in their names."""
        wanted = words.lower().replace("\x00", "").split()
        return [one for one in self.tools if all(word in one.name for word in wanted)]


@dataclass(frozen=True, slots=True)
class Reached:
    """What was asked for, of whom: a key, a team or a role."""

    environment: str
    reach: Reach
    key: ApiKey | None = None
    holder: Holder | None = None
    team: Team | None = None
    role: str = ""


def reached(
    rights: Rights, *, key: str = "", holder: str = "", environment: str = ""
) -> Reached:
    """What a key (by its number) or a holder can call. Raises NotFound."""
    if key:
        found = key_visible(rights, key)
        return Reached(found.environment.slug, reach_of_key(found), key=found)
    who = parse(holder)
    if who is None or who.environment:
        raise NotFound("Ask for a team, a role or a key: start from the matrix.")
    place = place_named(environment)
    if who.kind == TEAM:
        team = visible_team(rights, who.name)
        return Reached(place, reach_of(who, place), holder=who, team=team)
    if who.name not in Membership.Role.values:
        raise NotFound(f"There is no role {who.name}.")
    role = role_name(who.name)
    return Reached(place, reach_of(who, place), holder=who, role=role)


def place_named(slug: str = "") -> str:
    """An environment, else the first one. Raises NotFound."""
    places = environments()
    found = places.filter(slug=slug.replace("\x00", "")) if slug else places
    place = found.values_list("slug", flat=True).first()
    if place is None:
        raise NotFound("There is no such environment: look under Settings.")
    return place


def reach_of(holder: Holder, environment: str) -> Reach:
    """What every key of a team, or everybody in a role, can call there."""
    found = (
        holders_of(team=holder.name, roles=(), environment=environment)
        if holder.kind == TEAM
        else (holder, Holder(ROLE, holder.name, environment))
    )
    return _reach(found, environment, None)


def reach_of_key(key: ApiKey) -> Reach:
    """What a key can call: granted to its team; its scopes decide which are left."""
    principal = principal_of(key)
    found = holders_of(team=principal.team, roles=(), environment=principal.environment)
    return _reach(found, principal.environment, principal.scopes)


def _reach(
    holders: Sequence[Holder], environment: str, held_scopes: Sequence[str] | None
) -> Reach:
    catalog, held = _catalog(), held_by(holders)
    offered = [
        (name, tool)
        for name, tool in catalog.tools.items()
        if environment in tool.environments
    ]
    return Reach(
        tuple(
            Reachable(
                name,
                tool.definition.server,
                tool.definition.name,
                tool.effect,
                tuple(through(held, tool)),
                held_scopes is None or scopes.covers(held_scopes, f"tools:{name}"),
            )
            for name, tool in offered
            if held.covers(tool)
        ),
        len(offered),
    )


def _catalog() -> Catalog:
    return catalog_at(revisions().get(Revision.CATALOG, 0))


def through(held: Held, tool: CatalogTool) -> Iterable[str]:
    """Each grant that covers a tool, in words."""
    sources = [
        (f"server {tool.definition.server}", held.servers.get(tool.server_id, ())),
        *((f"tag {tag}", held.tags.get(tag, ())) for tag in tool.definition.tags),
        ("the tool itself", held.tools.get(tool.id, ())),
    ]
    for words, holders in sources:
        for holder in holders:
            role = f" as {holder.name}" if holder.kind == ROLE else ""
            place = holder.environment or "every environment"
            yield f"{words}{role}, in {place}"


@dataclass(frozen=True, slots=True)
class Callers:
    """Who can call a tool in one environment."""

    offered: bool
    grants: tuple[Grant, ...]
    keys: tuple[ApiKey, ...]
    out_of_scope: int
    people: tuple[Membership, ...]

    def rows(self) -> Iterator[list[str]]:
        """Each grant, key and person, by ``CALLER_COLUMNS``."""
        for grant in self.grants:
            on = f"{grant.kind} {grant.key}" if grant.kind else "the tool itself"
            place = grant.holder.environment or "every environment"
            team = grant.holder.name if grant.holder.kind == TEAM else ""
            yield [f"{grant.holder.kind} grant", grant.name, team, place, on]
        for key in self.keys:
            account = key.service_account
            label = f"{account.name}: {key.name} ({key.prefix}…)"
            yield ["key", label, account.team.slug, key.environment.slug, "its team"]
        for person in self.people:
            yield ["person", person.user.username, person.team.slug, "", person.role]


def callers_of(
    tool: Tool, environment: str, *, rights: Rights, at: datetime
) -> Callers:
    """Grants on a tool, the keys they and their scopes let call it, people in roles.

    Keys are those of teams that one may see; four queries.
    """
    grants = tuple(
        grant
        for grant in grants_on_tool(tool)
        if grant.holder.environment in ("", environment)
    )
    teams = {grant.holder.name for grant in grants if grant.holder.kind == TEAM}
    roles = {grant.holder.name for grant in grants if grant.holder.kind == ROLE}
    visible = rights.teams_for(IDENTITY_READ)
    if visible is not None:
        teams &= visible
    keys = (
        ApiKey.objects.usable(at=at)
        .filter(service_account__team__slug__in=teams, environment__slug=environment)
        .select_related("service_account__team", "environment", "project")
        .order_by("service_account__team__name", "service_account__name", "name", "pk")
    )
    needed = f"tools:{tool.full_name}"
    able = tuple(key for key in keys if scopes.covers(key.scopes, needed))
    people = Membership.objects.filter(role__in=roles, user__is_active=True)
    if visible is not None:
        people = people.filter(team__slug__in=visible)
    return Callers(
        any(place.slug == environment for place in tool.environments.all()),
        grants,
        able,
        len(keys) - len(able),
        tuple(
            people.select_related("user", "team").order_by(
                "user__username", "team__name", "pk"
            )
        ),
    )


def key_visible(rights: Rights, pk: str) -> ApiKey:
    """A key of a team one may see. Raises NotFound."""
    teams = rights.teams_for(IDENTITY_READ)
    keys = ApiKey.objects.select_related(
        "service_account__team", "environment", "project"
    )
    if teams is not None:
        keys = keys.filter(service_account__team__slug__in=teams)
    number = int(pk) if pk.isascii() and pk.isdigit() and len(pk) < 19 else 0
    key = keys.filter(pk=number).first()
    if key is None:
        raise NotFound("There is no such key that you may see.")
    return key
