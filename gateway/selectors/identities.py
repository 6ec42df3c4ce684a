"""The keys a person may run scripts as, and what each of them may call."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from core.errors import NotFound
from gateway.catalog import Usable, usable_by
from gateway.codemode.definitions import ToolDef
from gateway.codemode.stubs import first_sentence, signature
from gateway.codemode.typescript import camel_case, typescript_signature
from policy import scopes
from policy.access import RUNS_EXECUTE, Access
from policy.models import ApiKey
from policy.principal import Principal
from policy.services.keys import principal_of

# More signatures than this help nobody who writes a script: search narrows them.
MOST_TOOLS = 60


def playable_keys(access: Access, *, at: datetime) -> list[ApiKey]:
    """Usable keys of the teams this person may run for, that may execute scripts."""
    rows = ApiKey.objects.usable(at=at).select_related(
        "service_account__team", "environment", "project"
    )
    teams = access.teams_for(RUNS_EXECUTE)
    if teams is not None:
        rows = rows.filter(service_account__team__slug__in=teams)
    ordered = rows.order_by(
        "service_account__team__name", "service_account__name", "name", "pk"
    )
    return [key for key in ordered if scopes.covers(key.scopes, scopes.RUNS_EXECUTE)]


def playable_key(keys: list[ApiKey], wanted: str) -> ApiKey | None:
    """The wanted key, or the first one. Raises NotFound for any other."""
    if not wanted:
        return keys[0] if keys else None
    for key in keys:
        if str(key.pk) == wanted:
            return key
    raise NotFound(
        "This key is not one you may run scripts as: it was revoked, has expired or "
        "belongs to another team. Choose one from the list."
    )


@dataclass(frozen=True, slots=True)
class PlayTool:
    """A tool as the playground lists it."""

    name: str
    server: str
    tool: str
    summary: str
    signature: str
    typescript: str
    call: str
    typescript_call: str
    effect: str

    @property
    def import_line(self) -> str:
        """What a script starts with to call it."""
        return f"from tools import {self.server}"


@dataclass(frozen=True, slots=True)
class PlayTools:
    """Tools a key may call that match a search, out of ``total``."""

    total: int
    found: int
    tools: tuple[PlayTool, ...]


def tools_for(principal: Principal, query: str = "") -> PlayTools:
    """What scripts of ``principal`` may call, best match first, else by name."""
    usable = usable_by(principal)
    known = {name: tool for name, tool in usable.definitions.items() if tool.scripted}
    names = _search(known, query) if query.strip() else sorted(known)
    shown = tuple(_play_tool(usable, name) for name in names[:MOST_TOOLS])
    return PlayTools(len(known), len(names), shown)


def _search(definitions: Mapping[str, ToolDef], query: str) -> list[str]:
    words = query.lower().replace(".", " ").split()
    return sorted(
        name
        for name, tool in definitions.items()
        if all(word in f"{name} {tool.description}".lower() for word in words)
    )


def _play_tool(usable: Usable, name: str) -> PlayTool:
    tool = usable.catalog.tools[name]
    definition = tool.definition
    return PlayTool(
        name=name,
        server=definition.server,
        tool=definition.name,
        summary=first_sentence(definition.description),
        signature=signature(definition),
        typescript=typescript_signature(definition),
        call=_call(definition),
        typescript_call=_typescript_call(definition),
        effect=tool.effect,
    )


def _call(tool: ToolDef) -> str:
    """A call to fill in, with the arguments that are required."""
    names = [str(name) for name in tool.input_schema.get("required") or ()]
    return f"{tool.full_name}({', '.join(f'{name}=' for name in names)})"


def _typescript_call(tool: ToolDef) -> str:
    names = [str(name) for name in tool.input_schema.get("required") or ()]
    given = f"{{ {', '.join(f'{name}: ' for name in names)}}}" if names else ""
    return f"await tools.{tool.server}.{camel_case(tool.name)}({given})"


def principal_for(
    key: ApiKey, access: Access, *, address: str, request_id: str
) -> Principal:
    """The principal of a playground run: the key's, with the person's roles."""
    principal = principal_of(key).seen_from(address=address, request_id=request_id)
    return replace(principal, roles=access.roles_for(principal.team))
