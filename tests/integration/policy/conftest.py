"""Rows that several connections must see."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group
from pytest_django.plugin import DjangoDbBlocker

from policy.models import Quota, Team
from tests.builders.identity import AT


@pytest.fixture
def committed_quota(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Quota]:
    """A committed quota of 25 calls an hour, removed again by hand.

    The usual transactional test would TRUNCATE every table afterwards, which the
    append-only ones refuse.
    """
    with django_db_blocker.unblock():
        group = Group.objects.create(name="team:busy")
        team = Team.objects.create(
            slug="busy", name="Busy", cost_centre="C", group=group, created_at=AT
        )
        yield Quota.objects.create(team=team, metric="calls", window="hour", limit=25)
        team.delete()
        group.delete()
