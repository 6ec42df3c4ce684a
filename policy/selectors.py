"""Reads for the pages and the API of identity, grants and quotas."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from guardian.models import GroupObjectPermission

from audit.web import Rights
from core.errors import NotFound
from policy.access import IDENTITY_READ
from policy.holders import TEAM, Holder, parse
from policy.models import (
    ApiKey,
    Environment,
    Membership,
    SandboxPolicy,
    ServiceAccount,
    Team,
    User,
)
from policy.sandbox import Rule, Sandboxing, explain, merge


@dataclass(frozen=True, slots=True)
class TeamRow:
    """A team as the list shows it."""

    slug: str
    name: str
    cost_centre: str
    people: int
    accounts: int
    active_keys: int


@dataclass(frozen=True, slots=True)
class GrantRow:
    """What a team may call: ``kind`` is ``server``, ``tool`` or ``tag``."""

    kind: str
    name: str
    holder: Holder

    @property
    def label(self) -> str:
        return {"server": f"{self.name}.*", "tag": f"tag {self.name}"}.get(
            self.kind, self.name
        )

    @property
    def server(self) -> str:
        return self.name.partition(".")[0]

    @property
    def tool(self) -> str:
        return self.name.partition(".")[2]


def visible_teams(access: Rights) -> QuerySet[Team]:
    """Teams whose people, keys and quotas this person may see."""
    teams = access.teams_for(IDENTITY_READ)
    return Team.objects.all() if teams is None else Team.objects.filter(slug__in=teams)


def team_rows(access: Rights, *, at: datetime) -> list[TeamRow]:
    """The visible teams with what they hold, by name; one query."""
    keys = (
        ApiKey.objects.usable(at=at)
        .filter(service_account__team=OuterRef("pk"))
        .order_by()
        .values("service_account__team")
        .annotate(number=Count("pk"))
        .values("number")
    )
    rows = (
        visible_teams(access)
        .annotate(
            people_count=Count("memberships__user", distinct=True),
            account_count=Count("service_accounts", distinct=True),
            key_count=Coalesce(Subquery(keys), 0),
        )
        .order_by("name", "pk")
    )
    return [
        TeamRow(
            row.slug,
            row.name,
            row.cost_centre,
            row.people_count,
            row.account_count,
            row.key_count,
        )
        for row in rows
    ]


def visible_team(access: Rights, slug: str) -> Team:
    """The team, if this person may see it. Raises NotFound."""
    team = visible_teams(access).select_related("group").filter(slug=slug).first()
    if team is None:
        raise NotFound(f"There is no team {slug} that you may see.")
    return team


def members_of(team: Team) -> QuerySet[Membership]:
    """The team's people and roles, by name."""
    return (
        Membership.objects.filter(team=team)
        .select_related("user")
        .order_by("user__username", "role", "pk")
    )


def accounts_of(team: Team, *, at: datetime) -> QuerySet[ServiceAccount]:
    """The team's service accounts with ``active_keys``, by name."""
    active = Q(keys__revoked_at=None) & (
        Q(keys__expires_at=None) | Q(keys__expires_at__gt=at)
    )
    return (
        ServiceAccount.objects.filter(team=team)
        .annotate(active_keys=Count("keys", filter=active))
        .order_by("name", "pk")
    )


def grants_of(team: Team) -> list[GrantRow]:
    """What the team may call in any environment, by name.

    The granted objects belong to an app above this one: they are read through their
    content type and known by ``full_name``, else by their text.
    """
    group = Holder(TEAM, team.slug).group
    found: dict[int, dict[str, list[Holder]]] = {}
    for content_type, key, name in GroupObjectPermission.objects.filter(
        Q(group__name=group) | Q(group__name__startswith=f"{group}@")
    ).values_list("content_type", "object_pk", "group__name"):
        if holder := parse(name):
            found.setdefault(content_type, {}).setdefault(key, []).append(holder)
    grants = []
    for content_type, keys in found.items():
        model = ContentType.objects.get_for_id(content_type).model_class()
        if model is not None:
            grants += [
                GrantRow(model._meta.model_name or "", _name(row), holder)
                for row in model._default_manager.filter(pk__in=keys).select_related()
                for holder in keys[str(row.pk)]
            ]
    return sorted(grants, key=lambda one: (one.name, one.kind, one.holder))


def _name(row: Model) -> str:
    return str(getattr(row, "full_name", row))


def visible_keys(access: Rights) -> QuerySet[ApiKey]:
    """Keys of the teams this person may see, newest first."""
    teams = access.teams_for(IDENTITY_READ)
    keys = ApiKey.objects.select_related(
        "service_account__team", "environment", "project"
    ).order_by("-pk")
    return keys if teams is None else keys.filter(service_account__team__slug__in=teams)


def key_cells(key: ApiKey, *, at: datetime) -> list[object]:
    """A key as a row of an export; never its secret."""
    return [
        key.name,
        key.prefix,
        key.service_account.team.slug,
        key.service_account.name,
        key.environment.slug,
        key.project.slug,
        " ".join(key.scopes),
        key.state(at=at),
        key.created_at,
        key.created_by,
        key.expires_at,
        key.last_used_at,
        key.revoked_at,
    ]


def people(words: str = "") -> QuerySet[User]:
    """Everybody who can sign in, with their memberships, by user name."""
    users = User.objects.prefetch_related("memberships__team")
    for word in words.split():
        users = users.filter(
            Q(username__icontains=word)
            | Q(first_name__icontains=word)
            | Q(last_name__icontains=word)
        )
    return users.order_by("username", "pk")


def environments() -> QuerySet[Environment]:
    """All environments in their order."""
    return Environment.objects.order_by("position", "slug")


@dataclass(frozen=True, slots=True)
class EnvironmentRow:
    """An environment as the list shows it."""

    slug: str
    name: str
    position: int
    sandboxing: str
    """Isolation and limits in one line."""


def environment_rows() -> list[EnvironmentRow]:
    """All environments with their isolation and limits; two queries."""
    rules = {
        row.environment_id: explain(row.rule)
        for row in SandboxPolicy.objects.exclude(environment=None).select_related(
            "environment"
        )
    }
    return [
        EnvironmentRow(
            row.slug, row.name, row.position, rules.get(row.pk) or explain(Rule())
        )
        for row in environments()
    ]


def sandbox_policy_of(scope: Mapping[str, object]) -> SandboxPolicy | None:
    """What one environment, team or key asks for, by the columns that name it."""
    policies = SandboxPolicy.objects.select_related("environment", "team", "key")
    return policies.filter(**scope).first()


def sandboxing_line(scope: Mapping[str, object]) -> str:
    """The same in one line."""
    policy = sandbox_policy_of(scope)
    return explain(policy.rule if policy else Rule())


def gvisor_tools() -> QuerySet[SandboxPolicy]:
    """Patterns of tools that only scripts in gVisor may call."""
    return SandboxPolicy.objects.exclude(tool="").order_by("tool", "pk")


def sandboxing_of(*, environment: str, team_id: int, key_id: int | None) -> Sandboxing:
    """Isolation and limits of a run by this principal; one query."""
    scope = Q(environment__slug=environment) | Q(team=team_id) | ~Q(tool="")
    if key_id is not None:
        scope |= Q(key=key_id)
    rows = list(
        SandboxPolicy.objects.filter(scope)
        .select_related("environment", "team", "key")
        .order_by("pk")
    )
    return merge(
        (row.rule for row in rows if not row.tool),
        (row.tool for row in rows if row.tool and row.require_gvisor),
    )
