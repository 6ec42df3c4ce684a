"""Creates teams, people, projects, environments and service accounts."""

from datetime import datetime

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from policy import events
from policy.models import (
    Environment,
    Membership,
    Project,
    ServiceAccount,
    Team,
    User,
)
from policy.services.people import keep_an_administrator


@transaction.atomic
def create_team(
    *, slug: str, name: str, cost_centre: str, actor: Actor, at: datetime
) -> Team:
    """A team with its permission group and a project called ``default``."""
    if Team.objects.filter(slug=slug).exists():
        raise Invalid(f"There is a team {slug} already: choose another short name.")
    team = Team.objects.create(
        slug=slug,
        name=name,
        cost_centre=cost_centre,
        group=Group.objects.create(name=f"team:{slug}"),
        created_at=at,
    )
    record(
        events.TEAM_CREATED,
        actor=actor,
        at=at,
        target=team_target(team),
        after={"name": name, "cost_centre": cost_centre},
    )
    create_project(team=team, slug="default", name="Default", actor=actor, at=at)
    return team


@transaction.atomic
def change_team(
    *, team_id: int, name: str, cost_centre: str, actor: Actor, at: datetime
) -> Team:
    """Rename a team or move it to another cost centre. Raises NotFound.

    What was metered before keeps the cost centre it was metered under.
    """
    team = Team.objects.select_for_update().filter(pk=team_id).first()
    if team is None:
        raise NotFound("There is no such team.")
    before = {"name": team.name, "cost_centre": team.cost_centre}
    after = {"name": name, "cost_centre": cost_centre}
    if before != after:
        team.name, team.cost_centre = name, cost_centre
        team.save(update_fields=["name", "cost_centre"])
        record(
            events.TEAM_CHANGED,
            actor=actor,
            at=at,
            target=team_target(team),
            before=before,
            after=after,
        )
    return team


@transaction.atomic
def create_project(
    *, team: Team, slug: str, name: str, actor: Actor, at: datetime
) -> Project:
    """A project of a team. Raises Invalid when the short name is taken."""
    project, created = Project.objects.get_or_create(
        team=team, slug=slug, defaults={"name": name}
    )
    if not created:
        raise Invalid(f"{team.name} has a project {slug} already.")
    record(
        events.PROJECT_CREATED,
        actor=actor,
        at=at,
        target=Target("project", f"{team.slug}/{slug}", name),
    )
    return project


@transaction.atomic
def create_environment(
    *, slug: str, name: str, position: int, actor: Actor, at: datetime
) -> Environment:
    """An environment such as dev, staging or prod. Raises Invalid when it exists."""
    environment, created = Environment.objects.get_or_create(
        slug=slug, defaults={"name": name, "position": position}
    )
    if not created:
        raise Invalid(f"There is an environment {slug} already.")
    record(
        events.ENVIRONMENT_CREATED,
        actor=actor,
        at=at,
        target=Target("environment", slug, name),
    )
    return environment


@transaction.atomic
def create_user(
    *,
    username: str,
    password: str,
    first_name: str,
    last_name: str,
    email: str,
    actor: Actor,
    at: datetime,
) -> User:
    """A person who can sign in, without any membership yet."""
    try:
        with transaction.atomic():
            user = User.objects.create_user(
                username=username,
                email=email,
                password=password,
                first_name=first_name,
                last_name=last_name,
            )
    except IntegrityError as error:
        raise Invalid(f"The user name {username} is taken.") from error
    record(
        events.USER_CREATED,
        actor=actor,
        at=at,
        target=Target("user", str(user.pk), username),
    )
    return user


@transaction.atomic
def add_member(
    *, team: Team, user: User, role: str, actor: Actor, at: datetime
) -> Membership:
    """Give a person a role in a team. Raises Invalid when held already."""
    if role not in Membership.Role.values:
        raise Invalid(
            f"Unknown role {role!r}: use {', '.join(Membership.Role.values)}."
        )
    membership, created = Membership.objects.get_or_create(
        team=team, user=user, role=role
    )
    if not created:
        raise Invalid(f"{user.username} is {role} of {team.name} already.")
    record(
        events.MEMBER_ADDED,
        actor=actor,
        at=at,
        target=team_target(team),
        payload={"user": user.username, "role": role},
    )
    return membership


@transaction.atomic
def remove_member(*, membership_id: int, actor: Actor, at: datetime) -> None:
    """Take a role back. Raises NotFound, Invalid for the last administrator's."""
    keep_an_administrator(without_membership=membership_id)
    membership = (
        Membership.objects.select_related("team", "user")
        .select_for_update(of=("self",))
        .filter(pk=membership_id)
        .first()
    )
    if membership is None:
        raise NotFound("There is no such membership.")
    membership.delete()
    record(
        events.MEMBER_REMOVED,
        actor=actor,
        at=at,
        target=team_target(membership.team),
        payload={"user": membership.user.username, "role": membership.role},
    )


@transaction.atomic
def create_service_account(
    *, team: Team, name: str, description: str, actor: Actor, at: datetime
) -> ServiceAccount:
    """An account for a team's agent or job. Raises Invalid when the name is taken."""
    account, created = ServiceAccount.objects.get_or_create(
        team=team, name=name, defaults={"description": description, "created_at": at}
    )
    if not created:
        raise Invalid(f"{team.name} has a service account {name} already.")
    record(
        events.ACCOUNT_CREATED,
        actor=actor,
        at=at,
        target=Target("service_account", f"{team.slug}/{name}", name),
    )
    return account


def team_target(team: Team) -> Target:
    """The team as the trail names it."""
    return Target("team", team.slug, team.name)
