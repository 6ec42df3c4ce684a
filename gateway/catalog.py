"""The catalog in memory: one immutable snapshot a revision, and what each may use."""

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from threading import Lock

from core.models import Revision, revisions
from finops.budgeting.terms import Cover
from finops.services.budgets import BUDGETS, budgets_of
from gateway.codemode.definitions import ToolDef
from gateway.codemode.search import Index
from gateway.connectors.api import ServerSpec
from gateway.models import Server, Tool
from policy import scopes
from policy.admission import Ways
from policy.compiled import NO_RULES, RuleSet
from policy.facts import ToolFacts
from policy.holders import Holder, holders_of
from policy.principal import Principal
from policy.quota import CALLS, Limit, covering
from policy.sandbox import Sandboxing
from policy.selectors import sandboxing_of
from policy.services.grants import granted_to
from policy.services.quotas import limits_of
from policy.services.rules import live_rules


@dataclass(frozen=True, slots=True)
class CatalogTool:
    """A tool as the way of a call needs it: definition, review and address."""

    id: int
    server_id: int
    definition: ToolDef
    effect: str
    direct: bool
    environments: frozenset[str]
    definition_tokens: int
    needs_approval: bool = False
    idempotency: str = ""
    idempotency_name: str = ""
    lookup: str = ""

    @property
    def ways(self) -> Ways:
        """The ways in which it may be called."""
        return Ways(script=self.definition.scripted, direct=self.direct)

    @property
    def full_name(self) -> str:
        return self.definition.full_name

    @property
    def facts(self) -> ToolFacts:
        """The tool as rules know it."""
        told = self.definition
        return ToolFacts(told.full_name, told.server, self.effect, told.tags)


@dataclass(frozen=True)
class Catalog:
    """Every tool that is offered, at one revision. ``specs`` is keyed by server id."""

    revision: int
    tools: Mapping[str, CatalogTool]
    specs: Mapping[int, ServerSpec] = field(repr=False)

    @cached_property
    def index(self) -> Index:
        """The search index over all tools; built at the first search."""
        return Index([tool.definition for tool in self.tools.values()])


@dataclass(frozen=True, slots=True)
class Held:
    """Grants in force: on servers and tools by id, on tags by word, and whose."""

    servers: Mapping[int, Sequence[Holder]]
    tools: Mapping[int, Sequence[Holder]]
    tags: Mapping[str, Sequence[Holder]]

    def covers(self, tool: CatalogTool) -> bool:
        """Whether one of the grants lets the tool be called."""
        return (
            tool.server_id in self.servers
            or tool.id in self.tools
            or any(tag in self.tags for tag in tool.definition.tags)
        )


@dataclass(frozen=True, slots=True)
class Usable:
    """What one principal may see and call, at fixed revisions."""

    catalog: Catalog
    policy_revision: int
    names: frozenset[str]
    held: Held
    definition_tokens: int
    limits: tuple[Limit, ...]
    rules: RuleSet = NO_RULES
    budgets: tuple[Cover, ...] = ()

    def granted(self, tool: CatalogTool) -> bool:
        """Whether a grant covers the tool: on itself, its server or one of its tags."""
        return self.held.covers(tool)

    def limits_of_call(self, key_id: int | None, tool: str) -> tuple[Limit, ...]:
        """The quotas that count a call of this tool with this key."""
        return covering(self.limits, {CALLS}, key_id=key_id, tool=tool)

    @property
    def definitions(self) -> dict[str, ToolDef]:
        """The callable tools by full name."""
        return {name: self.catalog.tools[name].definition for name in self.names}


_lock = Lock()
_catalogs: "OrderedDict[int, Catalog]" = OrderedDict()
_usable: "OrderedDict[tuple[object, ...], Usable]" = OrderedDict()
_KEPT_CATALOGS = 2
_KEPT_USABLE = 500
_FRESH_SECONDS = 1.0
# When this process last read the revisions, and what they were.
_seen: tuple[float, Mapping[str, int]] = (float("-inf"), {})


def usable_by(principal: Principal) -> Usable:
    """The tools this principal may use: enabled, in scope and granted.

    One query when nothing has changed since the last call in this process.
    """
    global _seen
    _seen = (time.monotonic(), revisions())
    return _usable_at(principal, _seen[1])


def usable_now(principal: Principal) -> Usable:
    """As ``usable_by``, by revisions that this process read a second ago at most."""
    read_at, numbers = _seen
    if time.monotonic() - read_at > _FRESH_SECONDS:
        return usable_by(principal)
    return _usable_at(principal, numbers)


def _usable_at(principal: Principal, numbers: Mapping[str, int]) -> Usable:
    policy_revision = numbers.get(Revision.POLICY, 0)
    catalog = catalog_at(numbers.get(Revision.CATALOG, 0))
    key = (
        catalog.revision,
        policy_revision,
        numbers.get(BUDGETS, 0),
        principal.team_id,
        principal.environment,
        principal.scopes,
        principal.roles,
    )
    with _lock:
        if found := _usable.get(key):
            return found
    made = _work_out(principal, catalog, policy_revision)
    with _lock:
        _usable[key] = made
        while len(_usable) > _KEPT_USABLE:
            _usable.popitem(last=False)
    return made


def _work_out(principal: Principal, catalog: Catalog, policy_revision: int) -> Usable:
    held = held_by(
        holders_of(
            team=principal.team,
            roles=principal.roles,
            environment=principal.environment,
        )
    )
    names = frozenset(
        name
        for name, tool in catalog.tools.items()
        if principal.environment in tool.environments
        and held.covers(tool)
        and scopes.covers(principal.scopes, f"tools:{name}")
    )
    return Usable(
        catalog,
        policy_revision,
        names,
        held,
        sum(catalog.tools[name].definition_tokens for name in names),
        limits_of(team_id=principal.team_id, environment=principal.environment),
        live_rules(),
        budgets_of(team=principal.team),
    )


def held_by(holders: Iterable[Holder]) -> Held:
    """What these teams and roles are granted; one query."""
    found = granted_to(holders)
    return Held(
        {int(key): of for key, of in found.get("call_server", {}).items()},
        {int(key): of for key, of in found.get("call_tool", {}).items()},
        found.get("call_tag", {}),
    )


def catalog_at(revision: int) -> Catalog:
    """The catalog of this revision, loaded once in this process."""
    with _lock:
        if found := _catalogs.get(revision):
            return found
        loaded = _load(revision)
        _catalogs[revision] = loaded
        while len(_catalogs) > _KEPT_CATALOGS:
            _catalogs.popitem(last=False)
        return loaded


def sandboxing_for(principal: Principal, policy_revision: int) -> Sandboxing:
    """Isolation and limits of this principal's runs; read once a revision."""
    return _sandboxing(
        policy_revision,
        principal.environment,
        principal.team_id,
        principal.key_id,
    )


@lru_cache(maxsize=_KEPT_USABLE)
def _sandboxing(
    _revision: int, environment: str, team_id: int, key_id: int | None
) -> Sandboxing:
    return sandboxing_of(environment=environment, team_id=team_id, key_id=key_id)


def forget() -> None:
    """Drop every snapshot, as after a restore of the database from a backup."""
    global _seen
    _seen = (float("-inf"), {})
    _sandboxing.cache_clear()
    with _lock:
        _catalogs.clear()
        _usable.clear()


def _load(revision: int) -> Catalog:
    servers = {
        server.pk: server
        for server in Server.objects.filter(status=Server.Status.ACTIVE)
    }
    rows = (
        Tool.objects.filter(server__in=servers, removed_at=None)
        .exclude(current=None)
        .select_related("server", "current")
        .prefetch_related("environments")
        .order_by("server__name", "name")
    )
    tools = {tool.full_name: tool for tool in map(_from_row, rows)}
    specs = {server.pk: spec_of(server) for server in servers.values()}
    return Catalog(revision, tools, specs)


def _from_row(row: Tool) -> CatalogTool:
    version = row.current
    assert version is not None  # noqa: S101 - the query leaves out tools without one
    return CatalogTool(
        id=row.pk,
        server_id=row.server_id,
        definition=definition_of(row),
        effect=row.effect,
        direct=row.direct,
        environments=frozenset(place.slug for place in row.environments.all()),
        definition_tokens=version.definition_tokens,
        needs_approval=row.needs_approval,
        idempotency=row.idempotency,
        idempotency_name=row.idempotency_name,
        lookup=row.lookup,
    )


def definition_of(row: Tool) -> ToolDef:
    """The current version of a tool as agents see it; needs server and current."""
    version = row.current
    assert version is not None  # noqa: S101 - callers filter on it
    return ToolDef(
        server=row.server.name,
        name=row.name,
        original=row.original,
        title=version.title,
        description=version.description,
        input_schema=version.input_schema,
        output_schema=version.output_schema,
        tags=tuple(row.tags),
        effect=row.effect,
        version=version.number,
        fingerprint=version.fingerprint,
        scripted=row.scripted,
    )


def spec_of(server: Server) -> ServerSpec:
    """How to reach a server; holds its secrets in clear text."""
    values = server.secret_values()
    http = server.transport == Server.Transport.HTTP
    return ServerSpec(
        key=f"{server.pk}:{server.revision}",
        name=server.name,
        transport="http" if http else "stdio",
        url=server.url,
        command=tuple(server.command),
        env={} if http else values,
        headers=values if http else {},
        timeout_seconds=server.timeout_seconds,
    )
