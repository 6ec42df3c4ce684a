"""Rows that several connections must see."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Group
from pytest_django.plugin import DjangoDbBlocker

from policy.models import (
    ApiKey,
    Environment,
    Project,
    Quota,
    QuotaHold,
    ServiceAccount,
    Team,
)
from tests.builders.identity import AT


@dataclass(frozen=True, slots=True)
class Nest:
    """A key within a team within the organization, in an environment."""

    team: Team
    key: ApiKey
    environment: Environment

    def quota(self, limit: int, level: str, metric: str = "calls") -> Quota:
        """A committed quota: ``key``, ``team``, ``tool``, ``environment`` or all."""
        scopes: dict[str, dict[str, object]] = {
            "organization": {},
            "key": {"key": self.key},
            "team": {"team": self.team},
            "tool": {"tool": "crm.*"},
            "environment": {"environment": self.environment},
            "combined": {
                "team": self.team,
                "tool": "crm.*",
                "environment": self.environment,
            },
        }
        window = "" if metric == "concurrent_runs" else "hour"
        return Quota.objects.create(
            metric=metric, window=window, limit=limit, **scopes[level]
        )


@pytest.fixture
def nest(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Nest]:
    """Committed rows, removed again by hand.

    The usual transactional test would TRUNCATE every table afterwards, which the
    append-only ones refuse.
    """
    with django_db_blocker.unblock():
        group = Group.objects.create(name="team:busy")
        team = Team.objects.create(
            slug="busy", name="Busy", cost_centre="C", group=group, created_at=AT
        )
        place = Environment.objects.create(slug="busy", name="Busy")
        account = ServiceAccount.objects.create(team=team, name="a", created_at=AT)
        key = ApiKey.objects.create(
            service_account=account,
            prefix="tg_busybusy",
            secret_hash="",
            name="k",
            environment=place,
            project=Project.objects.create(team=team, slug="p", name="P"),
            created_at=AT,
            created_by="",
        )
        try:
            yield Nest(team, key, place)
        finally:
            QuotaHold.objects.all().delete()
            Quota.objects.all().delete()
            key.delete()
            account.delete()
            team.delete()
            place.delete()
            group.delete()
