"""Teams, people, service accounts and keys for tests, made by the real services."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from audit.actor import Actor
from core.clock import now
from policy.models import Environment, Membership, Project, ServiceAccount, Team, User
from policy.services import keys, personal_keys, teams
from policy.services.keys import NewKey
from policy.services.personal_keys import NewPersonalKey

AT = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
ACTOR = Actor("user", "user:setup", "Set-up")
PASSWORD = "correct-horse-battery-staple"
Role = Membership.Role


def make_team(
    slug: str = "sales", *, name: str = "", cost_centre: str = "CC-100"
) -> Team:
    """A team with its ``default`` project; the one that exists, if it does."""
    return Team.objects.filter(slug=slug).first() or teams.create_team(
        slug=slug,
        name=name or slug.title(),
        cost_centre=cost_centre,
        actor=ACTOR,
        at=AT,
    )


def make_user(username: str, *roles: tuple[Team, str], password: str = "") -> User:
    """A person with roles: ``make_user("alice", (sales, "member"))``.

    Without ``password`` none is set: tests sign in with ``client.force_login``, since
    a real password hash takes a third of a second.
    """
    user = User(username=username, first_name=username.title(), last_name="Example")
    if password:
        user.set_password(password)
    else:
        user.set_unusable_password()
    user.save()
    for team, role in roles:
        Membership.objects.create(user=user, team=team, role=role)
    return user


def actor_of(user: User) -> Actor:
    """A person as the trail keeps them."""
    return Actor("user", f"user:{user.username}", user.get_full_name())


def make_environment(slug: str = "dev", *, position: int = 0) -> Environment:
    """An environment; the one that exists, if it does."""
    environment, _ = Environment.objects.get_or_create(
        slug=slug, defaults={"name": slug.title(), "position": position}
    )
    return environment


def make_project(team: Team, slug: str = "default") -> Project:
    """A project of the team; the one that exists, if it does."""
    project, _ = Project.objects.get_or_create(
        team=team, slug=slug, defaults={"name": slug.title()}
    )
    return project


def make_account(team: Team | None = None, name: str = "agent") -> ServiceAccount:
    """A service account; the one that exists, if it does."""
    account, _ = ServiceAccount.objects.get_or_create(
        team=team or make_team(), name=name, defaults={"created_at": AT}
    )
    return account


def make_key(
    account: ServiceAccount | None = None,
    *,
    name: str = "test key",
    scopes: Sequence[str] = ("tools:*", "runs:execute", "runs:read", "catalog:read"),
    environment: str = "dev",
    project: str = "default",
    expires_at: datetime | None = None,
    at: datetime = AT,
) -> NewKey:
    """A key and its text (``.text``, as an Authorization bearer)."""
    account = account or make_account()
    return keys.create_key(
        service_account=account,
        name=name,
        environment=make_environment(environment),
        project=make_project(account.team, project),
        granted=scopes,
        actor=ACTOR,
        at=at,
        expires_at=expires_at,
    )


def make_personal_key(
    user: User, *, days: int = 30, at: datetime | None = None
) -> NewPersonalKey:
    """A person's own key and its text."""
    actor = Actor("user", f"user:{user.username}", user.get_full_name())
    return personal_keys.create(
        user=user, name="my laptop", days=days, actor=actor, at=at or now()
    )


@dataclass(frozen=True, slots=True)
class Cast:
    """One person a role. All but the outsider belong to sales; mallory to support."""

    team: Team
    other_team: Team
    member: User
    approver: User
    auditor: User
    finance: User
    admin: User
    outsider: User


def make_cast() -> Cast:
    """The people that pages are tried with.

    ``outsider`` is a member of another team, so that what is scoped by team shows.
    """
    sales, support = make_team("sales"), make_team("support", cost_centre="CC-200")
    return Cast(
        team=sales,
        other_team=support,
        member=make_user("alice", (sales, Role.MEMBER)),
        approver=make_user("bob", (sales, Role.APPROVER)),
        auditor=make_user("carol", (sales, Role.AUDITOR)),
        finance=make_user("dan", (sales, Role.FINANCE)),
        admin=make_user("erin", (sales, Role.ADMIN)),
        outsider=make_user("mallory", (support, Role.MEMBER)),
    )
