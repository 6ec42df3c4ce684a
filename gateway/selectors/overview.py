"""What waits for a person, and what an empty installation needs first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.urls import reverse

from audit.selectors import denials
from finops.models import RunFact
from finops.selectors.budgets import pressing
from finops.selectors.prices import unrated
from finops.selectors.scope import Scope
from gateway.models import Run, Server, Tool
from gateway.selectors.approvals import count_waiting
from gateway.selectors.outcomes import count_open
from gateway.selectors.runs import visible_runs
from policy.access import (
    APPROVALS_DECIDE,
    AUDIT_READ,
    CATALOG_ADMIN,
    CATALOG_READ,
    COSTS_READ,
    IDENTITY_ADMIN,
    IDENTITY_READ,
    OUTCOMES_RESOLVE,
    POLICY_READ,
    RUNS_READ,
    Access,
)
from policy.models import ApiKey
from policy.quota_selectors import tight

_UNRATED_DAYS = 30
_MOST_DENIED = 1_000


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
    found = [*_decisions(access, at), *_servers(access), *_failed(access, at)]
    found += [*_quotas(access, at), *_budgets(access, at), *_denied(access, at)]
    found += [*_effects(access), *_unrated(access, at)]
    return tuple(item for item in found if item.count)


def _decisions(access: Access, at: datetime) -> Iterator[Todo]:
    if access.may(OUTCOMES_RESOLVE):
        count = count_open(access)
        text = _plural(
            count,
            "write whose outcome nobody knows stops its run",
            "writes whose outcome nobody knows stop their runs",
        )
        yield Todo(count, text, reverse("unknown_outcomes"), urgent=True)
    if access.may(APPROVALS_DECIDE):
        count = count_waiting(access, at=at)
        text = _plural(count, "call waits for approval", "calls wait for approval")
        yield Todo(count, text, reverse("approvals"), urgent=True)


def _servers(access: Access) -> Iterator[Todo]:
    if access.may(CATALOG_READ):
        down = Server.objects.filter(
            status=Server.Status.ACTIVE, health=Server.Health.DOWN
        ).count()
        text = _plural(down, "tool server does not answer", "tool servers are down")
        yield Todo(down, text, f"{reverse('servers')}?health=down", urgent=True)


def _failed(access: Access, at: datetime) -> Iterator[Todo]:
    if access.may(RUNS_READ):
        since = at - timedelta(days=1)
        runs = visible_runs(access)
        count = runs.filter(status=Run.Status.FAILED, queued_at__gte=since).count()
        text = f"{_plural(count, 'run', 'runs')} failed in the last 24 hours"
        url = f"{reverse('runs')}?period=24h&status=failed"
        yield Todo(count, text, url, urgent=True)


def _quotas(access: Access, at: datetime) -> Iterator[Todo]:
    """Quotas of which four fifths or more are used in the running window."""
    if access.may(POLICY_READ):
        count = tight(access, at=at)
        text = _plural(count, "quota is near its limit", "quotas near their limit")
        yield Todo(count, text, f"{reverse('quotas')}?state=near", urgent=True)


def _budgets(access: Access, at: datetime) -> Iterator[Todo]:
    """Budgets that are stopped, used up or near it in their present window."""
    if access.may(COSTS_READ):
        count = pressing(access, at=at)
        text = _plural(count, "budget needs a look", "budgets need a look")
        yield Todo(count, text, f"{reverse('budgets')}?state=pressing", urgent=True)


def _denied(access: Access, at: datetime) -> Iterator[Todo]:
    """What was refused in a day, for people who read the trail; counted up to 1,000."""
    if access.may(AUDIT_READ):
        since = at - timedelta(days=1)
        count = denials(access, since=since, most=_MOST_DENIED)
        more = " or more" if count == _MOST_DENIED else ""
        text = f"{_plural(count, 'refusal', 'refusals')}{more} in the last 24 hours"
        yield Todo(count, text, f"{reverse('audit')}?q=decision%3Adeny&period=24h")


def _effects(access: Access) -> Iterator[Todo]:
    if access.may(CATALOG_ADMIN):
        count = Tool.objects.filter(removed_at=None, effect_confirmed_by="").count()
        text = _plural(
            count,
            "tool's effect is to be confirmed; until then it is a write",
            "tools' effects are to be confirmed; until then they are writes",
        )
        yield Todo(count, text, f"{reverse('tools')}?confirmed=no")


def _unrated(access: Access, at: datetime) -> Iterator[Todo]:
    if access.may(COSTS_READ):
        since = at - timedelta(days=_UNRATED_DAYS)
        count = unrated(access.teams_for(COSTS_READ), since=since)
        text = _plural(count, "quantity", "quantities")
        url = reverse("unrated")
        yield Todo(count, f"{text} of the last 30 days without a price", url)


def _plural(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


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
    found = Run.objects.filter(attempt=1).exclude(status__in=Run.ENDED)
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
