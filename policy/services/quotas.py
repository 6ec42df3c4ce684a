"""Quotas: reserved before the act, atomically, and counted per window."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from audit.actor import Actor
from audit.services.record import record
from core.errors import Invalid, NotFound, QuotaExceeded
from core.models import Revision, raise_revision
from core.prepared import prepared_cursor
from policy import events
from policy.models import Quota, Team
from policy.services.teams import team_target

# One statement takes the row lock, compares and counts, so that however many ask
# at once, no more than the limit get through.
_RESERVE = """
INSERT INTO policy_quotause AS held (quota_id, window_start, used)
SELECT %(quota)s::bigint, %(start)s::timestamptz, %(amount)s::bigint
WHERE %(amount)s::bigint <= %(limit)s::bigint
ON CONFLICT (quota_id, window_start) DO UPDATE SET used = held.used + excluded.used
WHERE held.used + excluded.used <= %(limit)s::bigint
RETURNING used
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota as the decision point holds it in memory."""

    id: int
    metric: str
    window: str
    limit: int


def limits_of(team_id: int) -> tuple[Limit, ...]:
    """The team's quotas, ordered so that every caller locks them alike."""
    rows = Quota.objects.filter(team_id=team_id).order_by("pk")
    return tuple(Limit(row.pk, row.metric, row.window, row.limit) for row in rows)


def window_of(window: str, at: datetime) -> tuple[datetime, datetime]:
    """Start and end (UTC) of the window that ``at`` lies in."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    hour = at.replace(minute=0, second=0, microsecond=0)
    minute = at.replace(second=0, microsecond=0)
    if window == Quota.Window.MINUTE:
        return minute, minute + timedelta(minutes=1)
    if window == Quota.Window.HOUR:
        return hour, hour + timedelta(hours=1)
    if window == Quota.Window.DAY:
        return day, day + timedelta(days=1)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def reserve(
    *, limits: Sequence[Limit], metric: str, at: datetime, amount: int = 1
) -> None:
    """Count ``amount`` against every limit of ``metric``, or against none.

    Runs inside the caller's transaction. Raises QuotaExceeded, whose details hold
    ``limit``, ``window``, ``remaining`` and ``resets_at``.
    """
    for limit in limits:
        if limit.metric != metric:
            continue
        start, end = window_of(limit.window, at)
        with prepared_cursor() as cursor:
            cursor.execute(
                _RESERVE,
                {
                    "quota": limit.id,
                    "start": start,
                    "amount": amount,
                    "limit": limit.limit,
                },
            )
            if cursor.fetchone() is None:
                raise QuotaExceeded(
                    f"The quota of {limit.limit:,} {metric} a {limit.window} is used "
                    f"up; it resets at {end:%Y-%m-%d %H:%M} UTC. Wait, or ask an "
                    "administrator to raise it.",
                    details={
                        "metric": metric,
                        "limit": limit.limit,
                        "window": limit.window,
                        "resets_at": end.isoformat(),
                    },
                )


@transaction.atomic
def set_quota(
    *, team: Team, metric: str, window: str, limit: int, actor: Actor, at: datetime
) -> Quota:
    """Set a team's quota, new or changed. Raises Invalid."""
    if metric not in Quota.Metric.values or window not in Quota.Window.values:
        raise Invalid("Choose a metric (runs or calls) and a window from the list.")
    if limit < 0:
        raise Invalid("A quota cannot be negative: use 0 to allow nothing.")
    before = Quota.objects.filter(team=team, metric=metric, window=window).first()
    quota, _ = Quota.objects.update_or_create(
        team=team, metric=metric, window=window, defaults={"limit": limit}
    )
    raise_revision(Revision.POLICY)
    record(
        events.QUOTA_SET,
        actor=actor,
        at=at,
        target=team_target(team),
        before={"value": str(before)} if before else None,
        after={"value": str(quota)},
        payload={"value": str(quota)},
    )
    return quota


@transaction.atomic
def remove_quota(*, quota_id: int, actor: Actor, at: datetime) -> None:
    """Take a quota away. Raises NotFound."""
    quota = Quota.objects.select_related("team").filter(pk=quota_id).first()
    if quota is None:
        raise NotFound("There is no such quota.")
    raise_revision(Revision.POLICY)
    record(
        events.QUOTA_REMOVED,
        actor=actor,
        at=at,
        target=team_target(quota.team),
        payload={"value": str(quota)},
    )
    quota.delete()
