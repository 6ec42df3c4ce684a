"""Sets, changes and removes quotas, and forgets their old history."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from audit.actor import Actor, Target
from audit.registry import EventKind
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.models import Revision, raise_revision
from core.reasons import reason_given
from policy import events
from policy.models import (
    ApiKey,
    Environment,
    Quota,
    QuotaHold,
    QuotaRefusal,
    QuotaUse,
    Team,
)
from policy.quota import AT_ONCE, CALLS, CONCURRENT, METRICS, WINDOWS, Limit
from policy.tool_patterns import check_pattern

MOST = 10**15
KEPT_DAYS = {"minute": 2, "hour": 62, "day": 400, "month": 1830}
"""For how many days past windows are shown."""
REFUSALS_KEPT_DAYS = 62


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose acts count: those that match everything given; nothing given: all."""

    team: Team | None = None
    key: ApiKey | None = None
    environment: Environment | None = None
    tool: str = ""
    """`server.tool`, `server.prefix*` or `server.*`."""


@transaction.atomic
def set_quota(
    *,
    scope: Scope,
    metric: str,
    window: str,
    limit: int,
    reason: str,
    actor: Actor,
    at: datetime,
) -> Quota:
    """Set the quota of a scope, new or changed. Raises Invalid."""
    _check(scope, metric, window, limit, reason)
    same = (
        Quota.objects.live()
        .select_for_update()
        .filter(
            team=scope.team,
            key=scope.key,
            environment=scope.environment,
            tool=scope.tool,
            metric=metric,
            window=window,
        )
    )
    before = same.first()
    if before is not None:
        return _change(before, limit, reason, actor, at)
    quota = Quota.objects.create(
        team=scope.team,
        key=scope.key,
        environment=scope.environment,
        tool=scope.tool,
        metric=metric,
        window=window,
        limit=limit,
        changed_at=at,
    )
    _record(events.QUOTA_SET, quota, None, shown(quota), reason, actor, at)
    return quota


@transaction.atomic
def change_quota(
    *, quota_id: int, limit: int, reason: str, actor: Actor, at: datetime
) -> Quota:
    """Give a quota another limit, in force at once. Raises NotFound, Invalid."""
    quota = _locked(quota_id)
    _check_limit(limit, reason)
    return _change(quota, limit, reason, actor, at)


@transaction.atomic
def remove_quota(*, quota_id: int, reason: str, actor: Actor, at: datetime) -> None:
    """Take a quota away; its history stays for a while. Raises NotFound, Invalid."""
    quota = _locked(quota_id)
    reason_given(reason)
    quota.removed_at = at
    quota.save(update_fields=["removed_at"])
    _record(events.QUOTA_REMOVED, quota, shown(quota), None, reason, actor, at)


def target_of(quota: Quota) -> Target:
    """The quota as the trail names it."""
    limit = quota.as_limit()
    return Target("quota", str(quota.pk), f"{limit} ({limit.scope})"[:200])


def shown(quota: Quota) -> dict[str, Any]:
    """The quota as the trail and the API hold it."""
    limit: Limit = quota.as_limit()
    return {
        "value": str(limit),
        "metric": limit.metric,
        "window": limit.window,
        "limit": limit.limit,
        "team": limit.team,
        "key": limit.key,
        "tool": limit.tool,
        "environment": limit.environment,
    }


def _locked(quota_id: int) -> Quota:
    quota = Quota.objects.live().select_for_update().filter(pk=quota_id).first()
    if quota is None:
        raise NotFound("There is no such quota: it may be gone already.")
    return quota


def _change(quota: Quota, limit: int, reason: str, actor: Actor, at: datetime) -> Quota:
    before = shown(quota)
    quota.limit, quota.changed_at = limit, at
    quota.save(update_fields=["limit", "changed_at"])
    _record(events.QUOTA_SET, quota, before, shown(quota), reason, actor, at)
    return quota


def _check(scope: Scope, metric: str, window: str, limit: int, reason: str) -> None:
    if metric not in METRICS:
        raise Invalid(f"There is no metric {metric!r}: use {', '.join(METRICS)}.")
    if metric == CONCURRENT and window != AT_ONCE:
        raise Invalid("Runs at once have no window: leave it empty.")
    if metric != CONCURRENT and window not in WINDOWS:
        raise Invalid(f"Choose a window: {', '.join(WINDOWS)}.")
    if scope.tool and metric != CALLS:
        raise Invalid(
            "Only tool calls can be limited for a tool: a run may call many tools."
        )
    if scope.tool:
        check_pattern(scope.tool)
    if scope.key and scope.team and scope.key.service_account.team != scope.team:
        raise Invalid(f"The key {scope.key} is not one of team {scope.team}.")
    _check_limit(limit, reason)


def _check_limit(limit: int, reason: str) -> None:
    if not 0 <= limit <= MOST:
        raise Invalid(f"A limit is a number from 0, which allows nothing, to {MOST:,}.")
    reason_given(reason)


def _record(
    event: EventKind,
    quota: Quota,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
    actor: Actor,
    at: datetime,
) -> None:
    raise_revision(Revision.POLICY)
    record(
        event,
        actor=actor,
        at=at,
        target=target_of(quota),
        before=before,
        after=after,
        payload={
            "value": str(quota),
            "scope": quota.as_limit().scope,
            "reason": reason.strip()[:400],
        },
    )


def forget_history(*, at: datetime, limit: int = 20_000) -> int:
    """Drop windows and refusals whose time is up; returns how many rows.

    A window in which a run still holds something stays.
    """
    gone = 0
    for window, days in KEPT_DAYS.items():
        old = (
            QuotaUse.objects.filter(
                quota__window=window, window_start__lt=at - timedelta(days=days)
            )
            .exclude(
                quota__in=QuotaHold.objects.values("quota"),
                window_start__in=QuotaHold.objects.values("window_start"),
            )
            .order_by("pk")
            .values("pk")[:limit]
        )
        gone += QuotaUse.objects.filter(pk__in=old).delete()[0]
    since = at - timedelta(days=REFUSALS_KEPT_DAYS)
    refusals = QuotaRefusal.objects.filter(at__lt=since).order_by("pk").values("pk")
    gone += QuotaRefusal.objects.filter(pk__in=refusals[:limit]).delete()[0]
    removed = Quota.objects.filter(
        removed_at__lt=since, uses=None, holds=None, refusals=None
    )
    gone += removed.delete()[0]
    return gone
