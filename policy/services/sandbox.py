"""Sets how scripts are kept apart, what they may use, and what may run at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.actor import Actor, Target
from audit.registry import EventKind
from audit.services.record import record
from core.errors import Invalid
from core.models import Revision, raise_revision
from core.reasons import reason_given
from policy import events
from policy.models import ApiKey, Environment, SandboxPolicy, Team
from policy.sandbox import (
    LANGUAGES,
    LEVELS,
    MODES,
    Rule,
    checked,
    checked_models,
    checked_names,
    explain,
)
from policy.selectors import sandboxing_of
from policy.tool_patterns import check_pattern


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose policy it is: exactly one of these."""

    environment: Environment | None = None
    team: Team | None = None
    key: ApiKey | None = None
    tool: str = ""
    """`server.tool`, `server.prefix*` or `server.*`."""

    @property
    def as_filter(self) -> dict[str, Any]:
        """The scope as a query finds its policy."""
        return {
            "environment": self.environment,
            "team": self.team,
            "key": self.key,
            "tool": self.tool,
        }

    def rules(self, environment: str = "") -> tuple[Rule, ...]:
        """All that is asked for where this scope acts; a team acts in any place."""
        team, key = self.team, self.key
        if key is not None:
            team, environment = key.service_account.team, key.environment.slug
        return sandboxing_of(
            environment=self.environment.slug if self.environment else environment,
            team_id=team.pk if team else 0,
            key_id=key.pk if key else None,
        ).rules

    @property
    def target(self) -> Target:
        """The scope as the trail names it."""
        if self.environment is not None:
            slug = self.environment.slug
            return Target("environment", slug, slug)
        if self.team is not None:
            return Target("team", self.team.slug, self.team.name)
        if self.key is not None:
            return Target("api_key", self.key.prefix, str(self.key))
        return Target("tool", self.tool, self.tool)


@transaction.atomic
def set_sandbox_policy(
    *,
    scope: Scope,
    level: str = "",
    require_gvisor: bool = False,
    limits: Mapping[str, object],
    languages: Sequence[str] = (),
    modes: Sequence[str] = (),
    models: Sequence[str] = (),
    require_model: bool = False,
    reason: str,
    actor: Actor,
    at: datetime,
) -> SandboxPolicy | None:
    """Set the policy of a scope; one that asks for nothing is removed (None).

    `limits` are named as in policy.sandbox.LIMITS; an empty list of languages, modes
    or models allows all of them. Raises Invalid.
    """
    reason = reason_given(reason)
    if sum(bool(item) for item in scope.as_filter.values()) != 1:
        raise Invalid("Choose one environment, team, key or tool.")
    rule = Rule(
        level=level,
        require_gvisor=require_gvisor,
        limits=checked(limits),
        languages=checked_names(languages, LANGUAGES, "language"),
        modes=checked_names(modes, MODES, "way of calling"),
        models=checked_models(models),
        require_model=require_model,
    )
    _check(scope, rule)
    found = SandboxPolicy.objects.select_for_update().filter(**scope.as_filter)
    before = found.first()
    if rule == Rule():
        if before is not None:
            before.delete()
            _record(events.SANDBOX_REMOVED, scope, before, None, actor, at, reason)
        return None
    if before is not None and before.rule == rule:
        return before
    policy, _ = SandboxPolicy.objects.update_or_create(
        **scope.as_filter,
        defaults={
            "level": level,
            "require_gvisor": require_gvisor,
            "limits": rule.limits,
            "languages": rule.languages,
            "modes": rule.modes,
            "allowed_models": rule.models,
            "require_model": rule.require_model,
            "changed_at": at,
        },
    )
    _record(events.SANDBOX_SET, scope, before, policy, actor, at, reason)
    return policy


def _check(scope: Scope, rule: Rule) -> None:
    if rule.level and rule.level not in LEVELS:
        raise Invalid(f"There is no level {rule.level!r}: use {' or '.join(LEVELS)}.")
    if scope.tool:
        check_pattern(scope.tool)
    if scope.tool and replace(rule, require_gvisor=False) != Rule():
        raise Invalid("A tool can only require gVisor: all else is per run.")


def _record(
    event: EventKind,
    scope: Scope,
    before: SandboxPolicy | None,
    after: SandboxPolicy | None,
    actor: Actor,
    at: datetime,
    reason: str,
) -> None:
    raise_revision(Revision.POLICY)
    record(
        event,
        actor=actor,
        at=at,
        target=scope.target,
        before=_shown(before.rule) if before else None,
        after=_shown(after.rule) if after else None,
        payload={
            "value": explain(after.rule if after else Rule()),
            "reason": reason,
        },
    )


def _shown(rule: Rule) -> dict[str, object]:
    # the trail's bodies hold no floats
    limits = {name: f"{value:.10g}" for name, value in rule.limits.items()}
    return {
        "level": rule.level,
        "require_gvisor": rule.require_gvisor,
        "limits": limits,
        "languages": list(rule.languages),
        "modes": list(rule.modes),
        "models": list(rule.models),
        "require_model": rule.require_model,
    }
