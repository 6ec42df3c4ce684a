"""What helps to write a rule: names, arguments, samples, and a trial of one rule."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from core.models import Revision, revisions
from gateway.catalog import Catalog, CatalogTool, catalog_at
from gateway.models import Run, ToolCall
from policy.access import RUNS_READ, Access
from policy.cel import FIELDS, VARIABLES
from policy.compiled import CompiledRule, Names, RuleSet
from policy.decision import decide
from policy.facts import CallFacts, PrincipalFacts, RunFacts, ToolFacts
from policy.models import ApiKey, Environment, Membership, Team
from policy.rule import CALL_EFFECTS, TOOL_FIELDS, Rule

_MOST_OFFERED = 30
_MOST_TOOLS = 50
_DEEPEST = 4
_MOST_PAST = 10


@dataclass(frozen=True, slots=True)
class Offer:
    """A word that may be typed, with what it is."""

    text: str
    detail: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"text": self.text, "detail": self.detail}


def catalog() -> Catalog:
    """The catalog that is offered now; two queries, one when it has not changed."""
    return catalog_at(revisions().get(Revision.CATALOG, 0))


def names_for(field: str, word: str) -> list[Offer]:
    """Names for a field of the selector that hold ``word``, those it begins first."""
    plain = word.casefold()
    found = [offer for offer in _names(field) if plain in offer.text.casefold()]
    found.sort(key=lambda one: (not one.text.casefold().startswith(plain), one.text))
    return found[:_MOST_OFFERED]


def _names(field: str) -> Iterator[Offer]:
    if field in {"servers", "tools", "tags"}:
        seen = {
            (value, "" if field != "tools" else tool.effect)
            for tool in catalog().tools.values()
            for value in tool.facts.values(field)
        }
        yield from (Offer(*one) for one in seen)
    elif field == "effects":
        yield from map(Offer, CALL_EFFECTS)
    elif field == "roles":
        yield from (Offer(value, str(text)) for value, text in Membership.Role.choices)
    elif field == "teams":
        yield from (
            Offer(slug, name) for slug, name in Team.objects.values_list("slug", "name")
        )
    elif field == "environments":
        for slug, name in Environment.objects.values_list("slug", "name"):
            yield Offer(slug, name)
    elif field == "keys":
        rows = ApiKey.objects.filter(revoked_at=None).select_related(
            "service_account__team"
        )
        for key in rows.order_by("-pk")[:500]:
            account = key.service_account
            yield Offer(key.prefix, f"{key.name}, {account.team.slug}/{account.name}")


def condition_words(select: Mapping[str, Iterable[str]]) -> list[Offer]:
    """What a condition may name: arguments of the chosen tools, and the context."""
    offers: dict[str, Offer] = {}
    for tool in tools_taken(select, most=_MOST_TOOLS):
        for path, kind in arguments_of(tool.definition.input_schema):
            offers.setdefault(path, Offer(path, kind))
    for variable in VARIABLES:
        if variable in FIELDS:
            for name in FIELDS[variable]:
                offers[f"{variable}.{name}"] = Offer(f"{variable}.{name}")
        elif variable not in offers and variable != "args":
            offers[variable] = Offer(variable, "timestamp, UTC")
    return list(offers.values())


def tools_taken(
    select: Mapping[str, Iterable[str]], *, most: int = 1
) -> list[CatalogTool]:
    """The first tools that the selector's fields on tools take."""
    wanted = {name: Names(select[name]) for name in TOOL_FIELDS if select.get(name)}
    found = []
    for tool in catalog().tools.values():
        facts = tool.facts
        if all(names.match(facts.values(field)) for field, names in wanted.items()):
            found.append(tool)
            if len(found) == most:
                break
    return found


def arguments_of(
    schema: Mapping[str, Any], path: str = "args", depth: int = 0
) -> Iterator[tuple[str, str]]:
    """Paths of a schema's properties with their type, such as ``args.customer.id``."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or depth >= _DEEPEST:
        return
    for name, inner in properties.items():
        step = f".{name}" if str(name).isidentifier() else f"[{json.dumps(name)}]"
        kind = inner.get("type", "") if isinstance(inner, Mapping) else ""
        yield f"{path}{step}", ", ".join(kind) if isinstance(kind, list) else str(kind)
        if isinstance(inner, Mapping):
            yield from arguments_of(inner, f"{path}{step}", depth + 1)


def sample_of(schema: Any, depth: int = 0) -> Any:
    """A value that fits a schema well enough to start from."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return None
    for name in ("default", "const"):
        if name in schema:
            return schema[name]
    for name in ("examples", "enum"):
        if isinstance(schema.get(name), list) and schema[name]:
            return schema[name][0]
    for name in ("anyOf", "oneOf"):
        if isinstance(schema.get(name), list) and schema[name]:
            return sample_of(schema[name][0], depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0] if kind else "null"
    if kind == "object":
        properties = schema.get("properties")
        inside = properties if isinstance(properties, Mapping) else {}
        return {name: sample_of(inner, depth + 1) for name, inner in inside.items()}
    if kind == "array":
        return [sample_of(schema.get("items", {}), depth + 1)]
    plain = {"integer": 1, "number": 1, "boolean": True, "null": None}
    return plain.get(str(kind), "text")


def _runs(access: Access) -> QuerySet[Run]:
    return Run.objects.visible_to(access, RUNS_READ)


def past_calls(access: Access, tool: str) -> list[ToolCall]:
    """The newest calls of a tool in the runs that this person may see."""
    rows = ToolCall.objects.filter(tool=tool, run__in=_runs(access))
    return list(rows.select_related("run").order_by("-pk")[:_MOST_PAST])


def past_call(access: Access, pk: int) -> ToolCall | None:
    """One call of a run that this person may see."""
    rows = ToolCall.objects.filter(pk=pk, run__in=_runs(access))
    return rows.select_related("run").first()


@dataclass(frozen=True, slots=True)
class Trial:
    """What one rule says of one call; ``says`` is an effect, or empty."""

    says: str
    why: str
    error: bool = False
    monitored: bool = False


def try_rule(
    rule: Rule,
    *,
    tool: ToolFacts,
    principal: PrincipalFacts,
    mode: str,
    arguments: Mapping[str, Any],
    at: datetime,
) -> Trial:
    """What the rule alone says of a call that is granted, in scope and enabled."""
    rules = RuleSet((rule,), version=0)
    if not rule.enabled:
        return Trial("", "the rule is not in use")
    call = CallFacts(
        tool=tool,
        principal=principal,
        run=RunFacts(id="run_sample", mode=mode, language="python"),
        arguments=arguments,
        at=at,
        granted=True,
        enabled=True,
        scopes=("tools:*",),
    )
    verdicts = decide(rules, call).verdicts
    if not verdicts:
        return Trial("", _mismatch(rules.compiled[0], tool, principal))
    found = verdicts[0]
    watched = not rule.enforced and bool(found.says)
    return Trial(found.says, found.why, found.error, watched)


def _mismatch(one: CompiledRule, tool: ToolFacts, principal: PrincipalFacts) -> str:
    return one.mismatch(tool, principal) or "its selector leaves this call out"
