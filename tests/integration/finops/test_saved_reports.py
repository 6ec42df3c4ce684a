"""Saved reports: kept, shared, and sent through a real mail server, by rights."""

import csv
import io
import json
import re
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.message import Message
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings as DjangoSettings

from audit.models import Event
from core.clock import now
from core.retries import MOST_ATTEMPTS
from finops.models import ReportMail, ReportSchedule, SavedReport
from finops.services import report_mails
from policy.models import Membership, User
from tests.builders.finops import make_usage
from tests.builders.identity import Cast, make_cast
from tests.builders.reports import make_saved, make_schedule
from tests.integration.mailbox import Mailbox, serving_mail

pytestmark = pytest.mark.django_db
PAGE = "/reports/schedules/"


@pytest.fixture
def cast() -> Cast:
    cast = make_cast()
    User.objects.filter(pk=cast.member.pk).update(email="alice@example.org")
    cast.member.refresh_from_db()
    return cast


@pytest.fixture
def mailbox(settings: DjangoSettings) -> Iterator[Mailbox]:
    settings.PUBLIC_URL = "https://tollgate.example.org"
    with serving_mail(settings) as box:
        yield box


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _save(client: Client, **data: str) -> Any:
    form = {"name": "Sales by tool", "page": "costs", "query": "by=tool&export=csv"}
    return client.post("/reports/save/", form | data)


def _part(mail: Message, kind: str) -> str:
    for part in mail.walk():
        if part.get_content_type() == kind:
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            return content.decode()
    raise AssertionError(f"no {kind} in the mail")


def _due(cast: Cast, **fields: Any) -> ReportSchedule:
    view = make_saved(owner=f"user:{cast.member.username}", query="by=team&period=7d")
    return make_schedule(
        view,
        next_at=now().replace(minute=0),
        recipients=["alice@example.org"],
        **fields,
    )


def _tell(at: datetime | None = None) -> int:
    return report_mails.send_due(at=at or now())


def test_a_report_is_kept_with_its_filters_alone(cast: Cast) -> None:
    client = _client(cast.member)
    response = _save(client, team="sales")
    assert response["Location"] == "/costs/?by=tool"
    view = SavedReport.objects.get()
    assert (view.owner, view.query, view.team) == (
        f"user:{cast.member.username}", "by=tool", "sales",
    )  # fmt: skip
    assert Event.objects.filter(name="report_view.saved").count() == 1
    assert _save(client, query="by=model", team="sales").status_code == 302
    assert SavedReport.objects.get().query == "by=model"
    assert "Sales by tool" in _client(cast.finance).get(PAGE).content.decode()
    assert "Sales by tool" not in _client(cast.outsider).get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"name": " "}, 422),
        ({"name": "n" * 61}, 422),
        ({"page": "secrets"}, 422),
        ({"team": "support"}, 404),
        ({"query": f"tool={'x' * 2_100}"}, 422),
    ],
)
def test_what_cannot_be_kept_is_refused(
    cast: Cast, data: dict[str, str], status: int
) -> None:
    assert _save(_client(cast.member), **data).status_code == status
    assert not SavedReport.objects.exists()


def test_one_removes_ones_own_alone(cast: Cast) -> None:
    view = make_saved(owner=f"user:{cast.member.username}", team="sales")
    path = f"/reports/saved/{view.uid}/remove/"
    assert _client(cast.finance).post(path).status_code == 404
    assert _client(cast.member).post(path).status_code == 302
    assert not SavedReport.objects.exists()


def _wish(report: SavedReport, **data: str) -> dict[str, str]:
    return {
        "view": report.uid,
        "every": "week",
        "weekday": "0",
        "day": "1",
        "hour": "7",
        "zone": "Europe/Berlin",
        "recipients": "alice@example.org",
        **data,
    }


def test_a_schedule_begins_at_its_next_time(cast: Cast) -> None:
    view = make_saved(owner=f"user:{cast.member.username}")
    response = _client(cast.member).post(PAGE, _wish(view))
    assert response.status_code == 302
    made = ReportSchedule.objects.get()
    assert made.next_at > now()
    assert (made.next_at.weekday(), made.next_at.hour) in {(0, 6), (0, 5)}
    event = Event.objects.get(name="report_schedule.created")
    assert "every Monday at 07:00 Europe/Berlin" in event.summary
    page = _client(cast.member).get(PAGE).content.decode()
    assert "Every Monday at 07:00 Europe/Berlin" in page


@pytest.mark.parametrize(
    "data",
    [
        {"recipients": ""},
        {"recipients": "nobody"},
        {"recipients": "stranger@example.com"},
        {"recipients": ", ".join(f"a{n}@example.org" for n in range(21))},
        {"hour": "24"},
        {"day": "0"},
        {"zone": "Mars/Olympus"},
        {"every": "minute"},
        {"view": "view_none"},
    ],
)
def test_a_schedule_that_cannot_be_is_marked(cast: Cast, data: dict[str, str]) -> None:
    view = make_saved(owner=f"user:{cast.member.username}")
    response = _client(cast.member).post(PAGE, _wish(view, **data))
    assert response.status_code == 422
    assert not ReportSchedule.objects.exists()


def test_finance_may_name_anybody(cast: Cast) -> None:
    view = make_saved(owner=f"user:{cast.finance.username}")
    wish = _wish(view, recipients="cfo@example.com; board@example.com")
    assert _client(cast.finance).post(PAGE, wish).status_code == 302
    assert ReportSchedule.objects.get().recipients == [
        "cfo@example.com", "board@example.com",
    ]  # fmt: skip


def test_a_mail_has_the_table_and_the_file_and_comes_once(
    cast: Cast, mailbox: Mailbox
) -> None:
    at = now()
    make_usage(cost="1.5", team="sales", at=at - timedelta(hours=30))
    make_usage(cost="9.25", team="support", at=at - timedelta(hours=30))
    found = _due(cast)
    assert (_tell(), _tell()) == (1, 0)
    report_mails.issue(schedule_id=found.pk, at=at)
    mail = mailbox.mails[0]
    assert len(mailbox.mails) == 1
    assert str(mail["Subject"]).replace("\n", "").startswith("Weekly costs: Cost: 1.50")
    text, html = _part(mail, "text/plain"), _part(mail, "text/html")
    for body in (text, html):
        assert "sales" in body
        assert "support" not in body
        assert "https://tollgate.example.org/costs/?by=team&" in body.replace(
            "&amp;", "&"
        )
    rows = list(csv.DictReader(io.StringIO(_part(mail, "text/csv"))))
    assert [(row["team"], row["cost"]) for row in rows] == [("sales", "1.500000000000")]
    found.refresh_from_db()
    assert found.next_at > at
    kept = ReportMail.objects.get()
    assert (kept.state, kept.csv) == ("delivered", "")
    assert Event.objects.filter(name="report.sent").count() == 1


def test_the_link_stops_it_without_signing_in(cast: Cast, mailbox: Mailbox) -> None:
    found = _due(cast)
    _tell()
    mail = mailbox.mails[0]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = re.sub(r"\s", "", str(mail["List-Unsubscribe"])).strip("<>")
    path = link.removeprefix("https://tollgate.example.org")
    anyone = Client(enforce_csrf_checks=True)
    assert "alice@example.org" in anyone.get(path).content.decode()
    found.refresh_from_db()
    assert found.recipients == ["alice@example.org"]
    one_click = {"List-Unsubscribe": "One-Click"}
    assert anyone.post(path, one_click).status_code == 200
    assert anyone.post(path, one_click).status_code == 200
    found.refresh_from_db()
    assert (found.recipients, bool(found.paused_because)) == ([], True)
    events = Event.objects.filter(name="report_schedule.unsubscribed")
    assert events.count() == 1
    assert anyone.get(path[:-3] + "xx/").status_code == 404


@pytest.mark.parametrize("loss", ["gone", "no role", "no longer shared"])
def test_without_the_owners_right_it_is_paused_and_told(
    cast: Cast, mailbox: Mailbox, loss: str
) -> None:
    make_usage(cost="1.5", team="sales", at=now() - timedelta(hours=30))
    found = _due(cast)
    if loss == "gone":
        User.objects.filter(pk=cast.member.pk).update(is_active=False)
    elif loss == "no role":
        Membership.objects.filter(user=cast.member).delete()
    else:
        SavedReport.objects.update(owner="user:other", team="support")
    assert _tell() == 1
    text = _part(mailbox.mails[0], "text/plain")
    assert cast.member.username in text
    assert "1.5" not in text
    found.refresh_from_db()
    assert found.paused_because
    assert Event.objects.filter(name="report_schedule.paused").count() == 1
    assert _tell(now() + timedelta(days=9)) == 0


def test_each_reader_is_sent_what_they_may_see(cast: Cast, mailbox: Mailbox) -> None:
    at = now() - timedelta(hours=30)
    make_usage(cost="1.5", team="sales", at=at)
    make_usage(cost="9.25", team="support", at=at)
    User.objects.filter(pk=cast.finance.pk).update(email="Dave@Example.org")
    User.objects.filter(pk=cast.auditor.pk).update(email="carol@example.org")
    Membership.objects.filter(user=cast.auditor).delete()
    view = make_saved(owner=f"user:{cast.finance.username}", query="by=team")
    to = [
        "dave@example.org",
        "alice@example.org",
        "carol@example.org",
        "cfo@example.com",
    ]
    schedule = make_schedule(view, next_at=now(), recipients=to)
    assert _tell() == 3
    seen = {str(mail["To"]): _part(mail, "text/plain") for mail in mailbox.mails}
    assert {to for to, text in seen.items() if "support" in text} == {
        "dave@example.org", "cfo@example.com",
    }  # fmt: skip
    assert "sales" in seen["alice@example.org"]
    body = json.loads(Event.objects.get(name="report.sent").body)["payload"]
    assert (body["recipients"], body["withheld"]) == (3, 1)
    Membership.objects.filter(user=cast.finance).update(role="member")
    ReportSchedule.objects.filter(pk=schedule.pk).update(next_at=now())
    _tell(now() + timedelta(minutes=1))
    later = {str(mail["To"]) for mail in mailbox.mails[3:]}
    assert "cfo@example.com" not in later


def test_a_mail_that_waits_is_not_sent_to_who_lost_the_right(
    cast: Cast, mailbox: Mailbox
) -> None:
    found = _due(cast)
    report_mails.issue(schedule_id=found.pk, at=now())
    Membership.objects.filter(user=cast.member).delete()
    report_mails.deliver(at=now())
    mail = ReportMail.objects.get()
    assert (mail.state, mail.html, mail.csv) == ("dead", "", "")
    assert mailbox.mails == []


def test_a_paused_report_rests(cast: Cast, mailbox: Mailbox) -> None:
    found = _due(cast)
    client = _client(cast.member)
    for _ in range(2):
        assert client.post(f"{PAGE}{found.uid}/pause/").status_code == 302
    assert Event.objects.filter(name="report_schedule.paused").count() == 1
    assert "paused it" in client.get(PAGE).content.decode()
    assert _tell() == 0
    assert mailbox.mails == []


def test_it_goes_on_from_its_next_time(cast: Cast, mailbox: Mailbox) -> None:
    found = _due(cast, paused_because="The owner was away.")
    assert _tell() == 0
    client = _client(cast.member)
    path = f"{PAGE}{found.uid}/resume/"
    assert client.post(path).status_code == 302
    assert client.post(path).status_code == 422
    found.refresh_from_db()
    assert found.next_at > now()
    assert client.post(f"{PAGE}{found.uid}/remove/").status_code == 302
    assert not ReportSchedule.objects.exists()


def test_a_server_that_is_away_is_tried_again_until_the_mail_is_dead(
    cast: Cast, settings: DjangoSettings
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = nobody.getsockname()
        _due(cast, every="month")
        at = now()
        for _ in range(MOST_ATTEMPTS):
            assert _tell(at) == 0
            at += timedelta(hours=6)
    mail = ReportMail.objects.get()
    assert mail.attempts == MOST_ATTEMPTS
    assert mail.state == "dead"
    assert "did not take it" in mail.last_error
    assert Event.objects.filter(name="report.dead").count() == 1
    assert "could not be delivered" in _client(cast.member).get(PAGE).content.decode()


@pytest.mark.parametrize(
    "page", ["movers", "first-try", "tokens", "time", "cost-per-action", "context"]
)
def test_every_report_can_be_sent(cast: Cast, mailbox: Mailbox, page: str) -> None:
    make_usage(
        "tool/crm.x", "1", cost="1", team="sales", at=now() - timedelta(hours=30)
    )
    view = make_saved(owner=f"user:{cast.finance.username}", page=page, query="by=team")
    make_schedule(view, next_at=now())
    assert _tell() == 1
    assert "Exact" in _part(mailbox.mails[0], "text/plain")
