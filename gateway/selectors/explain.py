"""Why a call is allowed, denied or asked for: every rule that was considered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.catalog import CatalogTool, Held, held_by
from gateway.rule_words import asked_words
from gateway.selectors.rule_help import facts_of
from gateway.selectors.rule_sets import ShownRule
from policy import scopes
from policy.admission import in_its_way
from policy.compiled import CompiledRule, RuleSet
from policy.decision import Decision, decide
from policy.facts import CallFacts, PrincipalFacts, RunFacts
from policy.holders import holders_of
from policy.models import ApiKey, Team
from policy.quota import CALLS, Limit, covering
from policy.selectors import sandboxing_of
from policy.services.quotas import limits_of
from policy.services.rules import live_rules
from policy.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Caller:
    """Who would call: a key, or anybody of a team with every scope."""

    facts: PrincipalFacts
    team_id: int
    scopes: tuple[str, ...]
    key_id: int | None = None


@dataclass(frozen=True, slots=True)
class Considered:
    """A rule with what it says of the call; empty where it does not apply."""

    rule: ShownRule
    says: str
    why: str
    error: bool = False
    selected: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision on a call, with everything that was asked about it."""

    decision: Decision
    scope: bool
    enabled: bool
    grants: tuple[str, ...]
    considered: tuple[Considered, ...]
    asked: tuple[str, ...]
    limits: tuple[Limit, ...]


def caller_of(*, team: str, environment: str, key: str) -> Caller | None:
    """The caller by a key's prefix, else by team; None where there is none."""
    if not key:
        row = Team.objects.filter(slug=team).first()
        facts = PrincipalFacts(
            id=f"sa:{team}/any",
            kind="service_account",
            label="any key of the team",
            team=team,
            environment=environment,
        )
        return Caller(facts, row.pk, ("tools:*",)) if row else None
    found = (
        ApiKey.objects.select_related("service_account__team", "environment")
        .filter(prefix=key)
        .first()
    )
    if found is None:
        return None
    account = found.service_account
    facts = PrincipalFacts(
        id=f"sa:{account.team.slug}/{account.name}",
        kind="service_account",
        label=account.name,
        team=account.team.slug,
        environment=found.environment.slug,
        key=found.prefix,
    )
    return Caller(facts, account.team_id, tuple(found.scopes), found.pk)


def explain(
    caller: Caller,
    *,
    tool: CatalogTool,
    mode: str,
    arguments: Mapping[str, Any],
    at: datetime,
) -> Explanation:
    """What would be decided on this call now. Nothing is called or counted."""
    who, facts, rules = caller.facts, facts_of(tool), live_rules()
    held = held_by(
        holders_of(team=who.team, roles=who.roles, environment=who.environment)
    )
    call = CallFacts(
        tool=facts,
        principal=who,
        run=RunFacts(mode=mode),
        arguments=arguments,
        at=at,
        granted=held.covers(tool),
        enabled=who.environment in tool.environments,
        scopes=caller.scopes,
    )
    sandboxing = sandboxing_of(
        environment=who.environment, team_id=caller.team_id, key_id=caller.key_id
    )
    decision = in_its_way(
        decide(rules, call),
        sandboxing.rules,
        tool.ways,
        tool=tool.full_name,
        mode=mode,
    )
    limits = limits_of(team_id=caller.team_id, environment=who.environment)
    return Explanation(
        decision=decision,
        scope=scopes.covers(caller.scopes, f"tools:{tool.full_name}"),
        enabled=call.enabled,
        grants=tuple(_grants(held, tool)),
        considered=tuple(_considered(rules, decision.verdicts, call)),
        asked=tuple(asked_words(route.as_dict()) for route in decision.routes),
        limits=covering(limits, {CALLS}, key_id=caller.key_id, tool=tool.full_name),
    )


def _grants(held: Held, tool: CatalogTool) -> Iterator[str]:
    for holder in held.servers.get(tool.server_id, ()):
        yield f"{holder.label}, on the server"
    for holder in held.tools.get(tool.id, ()):
        yield f"{holder.label}, on the tool"
    for tag in tool.definition.tags:
        for holder in held.tags.get(tag, ()):
            yield f"{holder.label}, on the tag {tag}"


def _considered(
    rules: RuleSet, verdicts: tuple[Verdict, ...], call: CallFacts
) -> Iterator[Considered]:
    """Rules that apply first, then those that do not, each by its short name."""
    by_id = {one.rule.id: one for one in verdicts}
    all_of = [_one(one, by_id.get(one.rule.id), call) for one in rules.compiled]
    yield from sorted(all_of, key=lambda one: (not one.says, not one.selected))


def _one(one: CompiledRule, said: Verdict | None, call: CallFacts) -> Considered:
    shown = ShownRule(one.rule.written)
    if said is not None:
        return Considered(shown, said.says, said.why, said.error)
    why = one.mismatch(call.tool, call.principal)
    return Considered(shown, "", why, selected=False)
