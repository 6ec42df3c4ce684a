"""A report that is due is sent once, however many workers look at the same time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from pytest_django.fixtures import Settings as DjangoSettings

from core.clock import now
from finops.models import ReportMail, SavedReport
from finops.services import report_mails
from policy.models import Membership, Team
from tests.builders.identity import AT, make_user
from tests.builders.reports import make_saved, make_schedule
from tests.integration.mailbox import serving_mail

_AT_ONCE = 4


@pytest.fixture
def due(committed: None) -> Iterator[None]:
    """A report of a person in finance to three addresses, due now."""
    group = Group.objects.create(name="team:rush")
    team = Team.objects.create(
        slug="rush", name="Rush", cost_centre="C", group=group, created_at=AT
    )
    person = make_user("racer", (team, Membership.Role.FINANCE))
    view = make_saved(owner="user:racer")
    to = [f"{name}@example.com" for name in ("a", "b", "c")]
    make_schedule(view, next_at=now(), recipients=to)
    try:
        yield
    finally:
        SavedReport.objects.all().delete()
        person.delete()
        team.delete()
        group.delete()


@pytest.mark.usefixtures("due")
def test_workers_at_once_send_each_mail_once(settings: DjangoSettings) -> None:
    at, start = now(), Barrier(_AT_ONCE)

    def work(_: int) -> int:
        try:
            start.wait()
            return report_mails.send_due(at=at)
        finally:
            connection.close()

    with serving_mail(settings) as box, ThreadPoolExecutor(_AT_ONCE) as pool:
        assert sum(pool.map(work, range(_AT_ONCE))) == 3
    assert sorted(str(mail["To"])[0] for mail in box.mails) == ["a", "b", "c"]
    assert set(ReportMail.objects.values_list("state", flat=True)) == {"delivered"}
