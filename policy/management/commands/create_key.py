"""Makes an API key at the command line."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.clock import now
from core.errors import TollgateError
from policy import scopes, selectors
from policy.models import Environment, Project, Team
from policy.services import keys
from policy.services.cli import operator


class Command(BaseCommand):
    help = "Make an API key; its text stands alone on the last line of the output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--team", required=True, help="the team's short name")
        parser.add_argument("--name", required=True, help="what will use the key")
        parser.add_argument(
            "--scopes",
            default=" ".join(scopes.DEFAULT),
            help="scopes with spaces or commas between (default: %(default)s)",
        )
        parser.add_argument(
            "--environment", help="short name (default: the first environment)"
        )
        parser.add_argument("--project", default="default", help="short name")
        parser.add_argument(
            "--account",
            default="agent",
            help="service account; made if missing (default: %(default)s)",
        )
        parser.add_argument("--days", type=int, help="expire after so many days")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._make(**options)
        except TollgateError as error:
            raise CommandError(error.message) from error

    def _make(self, **options: Any) -> None:
        at = now()
        team = _team(options["team"])
        days = options["days"]
        new = keys.create_key_for(
            team=team,
            account=team.service_accounts.filter(name=options["account"]).first(),
            new_account=options["account"],
            name=options["name"],
            environment=_environment(options["environment"]),
            project=_project(team, options["project"]),
            granted=scopes.parse(options["scopes"]),
            actor=operator(),
            at=at,
            expires_at=None if days is None else at + timedelta(days=days),
        )
        self.stderr.write(
            f"Key {new.key.name} of {team.slug}, {new.key.environment.slug}, with "
            f"{' '.join(new.key.scopes)}. It is shown this once:"
        )
        self.stdout.write(new.text)


def _team(slug: str) -> Team:
    team = Team.objects.filter(slug=slug).first()
    if team is None:
        known = ", ".join(Team.objects.order_by("slug").values_list("slug", flat=True))
        raise CommandError(
            f"There is no team {slug}; teams are: {known or 'none yet'}."
        )
    return team


def _environment(slug: str | None) -> Environment:
    found = selectors.environments()
    environment = found.filter(slug=slug).first() if slug else found.first()
    if environment is None:
        known = ", ".join(found.values_list("slug", flat=True))
        raise CommandError(
            f"There is no environment {slug or 'yet'}; environments are: "
            f"{known or 'none, create one under Settings'}."
        )
    return environment


def _project(team: Team, slug: str) -> Project:
    project = team.projects.filter(slug=slug).first()
    if project is None:
        known = ", ".join(team.projects.order_by("slug").values_list("slug", flat=True))
        raise CommandError(f"{team.slug} has no project {slug}; it has: {known}.")
    return project
