"""What waits for a person, and what an empty installation needs first."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet
from django.urls import reverse

from finops.models import RunFact
from finops.selectors.prices import unrated
from finops.selectors.scope import Scope
from gateway.models import Run, Server, Tool
from gateway.selectors.runs import visible_runs
from policy.access import (
    CATALOG_ADMIN,
    CATALOG_READ,
    COSTS_READ,
    IDENTITY_ADMIN,
    IDENTITY_READ,
    RUNS_READ,
    Access,
)
from policy.models import ApiKey, Quota, QuotaUse
from policy.services.quotas import window_of

# A quota is near its limit from four fifths on.
_NEAR = 0.8
_UNRATED_DAYS = 30


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that waits: how many, in words, and where to do it."""

    count: int
    text: str
    url: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A first step of a new installation; no ``url`` where the role cannot take it."""

    text: str
    url: str
    done: bool


def todo(access: Access, *, at: datetime) -> tuple[Todo, ...]:
    """What waits for this person, the urgent first; nothing that is done."""
    found: list[Todo] = []
    if access.may(CATALOG_READ):
        down = Server.objects.filter(
            status=Server.Status.ACTIVE, health=Server.Health.DOWN
        ).count()
        text = "tool server does not answer" if down == 1 else "tool servers are down"
        found.append(Todo(down, text, f"{reverse('servers')}?health=down", urgent=True))
    if access.may(RUNS_READ):
        since = at - timedelta(days=1)
        failed = visible_runs(access).filter(
            status=Run.Status.FAILED, queued_at__gte=since
        )
        url = f"{reverse('runs')}?period=24h&status=failed"
        found.append(
            Todo(failed.count(), "runs failed in the last 24 hours", url, True)
        )
    found += _quotas(access, at)
    if access.may(CATALOG_ADMIN):
        open_effects = Tool.objects.filter(removed_at=None, effect_confirmed_by="")
        url = f"{reverse('tools')}?confirmed=no"
        text = "tools wait for their effect to be confirmed; until then they are writes"
        found.append(Todo(open_effects.count(), text, url))
    if access.may(COSTS_READ):
        teams = access.teams_for(COSTS_READ)
        count = unrated(teams, since=at - timedelta(days=_UNRATED_DAYS))
        url = f"{reverse('costs')}?by=sku"
        found.append(Todo(count, "quantities of the last 30 days have no price", url))
    return tuple(item for item in found if item.count)


def _quotas(access: Access, at: datetime) -> list[Todo]:
    """Quotas of which four fifths or more are used in the running window."""
    if not access.may(IDENTITY_READ):
        return []
    running = Q()
    for window in Quota.Window.values:
        running |= Q(quota__window=window, window_start=window_of(window, at)[0])
    near = QuotaUse.objects.filter(running, used__gte=F("quota__limit") * _NEAR)
    teams = access.teams_for(IDENTITY_READ)
    if teams is not None:
        near = near.filter(quota__team__slug__in=teams)
    slugs = list(near.values_list("quota__team__slug", flat=True)[:100])
    if not slugs:
        return []
    one = len(set(slugs)) == 1
    url = reverse("team", args=[slugs[0]]) if one else reverse("teams")
    text = "quota is near its limit" if len(slugs) == 1 else "quotas near their limit"
    return [Todo(len(slugs), text, url, urgent=True)]


def first_steps(access: Access) -> tuple[Step, ...]:
    """What to do while nothing has run yet; nothing once something has."""
    teams = access.teams_for(RUNS_READ)
    seen = RunFact.objects.all()
    if teams is not None:
        seen = seen.filter(team__in=teams)
    if seen.exists() or visible_runs(access).exists():
        return ()
    catalog = access.may(CATALOG_ADMIN)
    keys = access.may(IDENTITY_ADMIN)
    return (
        Step(
            "Add a tool server, and confirm what its tools do",
            reverse("server_add") if catalog else "",
            Server.objects.exclude(status=Server.Status.DRAFT).exists(),
        ),
        Step(
            "Create a key for an agent",
            reverse("keys") if keys or access.may(IDENTITY_READ) else "",
            ApiKey.objects.filter(revoked_at=None).exists(),
        ),
        Step(
            "Connect an MCP client to /mcp with that key, and run a script", "", False
        ),
    )


def open_first_runs(scope: Scope) -> int:
    """First runs of tasks that are not over yet, whatever the period."""
    found = Run.objects.filter(
        attempt=1, status__in=(Run.Status.QUEUED, Run.Status.RUNNING)
    )
    if scope.teams is not None:
        found = found.filter(team__in=scope.teams)
    return _within(found, scope).count()


def recent_runs(access: Access, scope: Scope, *, most: int = 8) -> list[Run]:
    """The newest runs that this person may see, within the filters."""
    return list(_within(visible_runs(access), scope).order_by("-id")[:most])


def _within(runs: QuerySet[Run], scope: Scope) -> QuerySet[Run]:
    owner, _, project = scope.project.rpartition("/")
    chosen = {
        "team": scope.team,
        "environment": scope.environment,
        "mode": scope.mode,
        "project": project,
    }
    runs = runs.filter(**{name: value for name, value in chosen.items() if value})
    return runs.filter(team=owner) if owner else runs
