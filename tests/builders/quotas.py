"""Quotas for tests, made by the real service."""

from policy.models import ApiKey, Environment, Quota, Team
from policy.services.quota_changes import Scope, set_quota
from tests.builders.identity import ACTOR, AT


def make_quota(
    limit: int,
    *,
    metric: str = "calls",
    window: str = "hour",
    team: Team | None = None,
    key: ApiKey | None = None,
    environment: Environment | None = None,
    tool: str = "",
) -> Quota:
    """A quota; of the whole organization unless a scope is given."""
    return set_quota(
        scope=Scope(team=team, key=key, environment=environment, tool=tool),
        metric=metric,
        window="" if metric == "concurrent_runs" else window,
        limit=limit,
        reason="a test",
        actor=ACTOR,
        at=AT,
    )
