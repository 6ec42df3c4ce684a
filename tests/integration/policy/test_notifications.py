"""Notifications against a real mail server and a real HTTP receiver on loopback."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pytest_django.fixtures import Settings as DjangoSettings

from audit.models import Event
from core.clock import now
from core.models import Revision, revisions
from core.retries import MOST_ATTEMPTS
from policy.models import Approval, Notification, NotificationChannel
from policy.routing import Audience, Route
from policy.services import approvals, channels, deliveries, notify, votes
from policy.services.approvals import Binding
from policy.services.channels import NewChannel, Settings
from tests.builders.holds import make_group
from tests.builders.identity import ACTOR, Cast, actor_of, make_cast
from tests.integration.mailbox import Mailbox, serving_mail

pytestmark = pytest.mark.django_db
State = Notification.State
BOARD = Route(
    Audience("group", "board"),
    escalate_after_seconds=60,
    escalate_to=Audience("role", "admin"),
)
SECRET_NOTE = {"order": "o-17", "password": "[redacted]"}


@pytest.fixture
def cast(db: None) -> Cast:
    cast = make_cast()
    for user in (cast.member, cast.finance, cast.admin, cast.approver):
        user.email = f"{user.username}@example.org"
        user.save()
    make_group("board", cast.member, cast.finance)
    return cast


@dataclass
class Receiver:
    """An HTTP server that answers as it is told and keeps what it was sent."""

    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    seconds: float = 0
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                names = {name.lower(): text for name, text in self.headers.items()}
                receiver.got.append((names, body))
                time.sleep(receiver.seconds)
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                self.send_response(status)
                for name, text in receiver.headers.items():
                    self.send_header(name, text)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def receiver(settings: DjangoSettings) -> Iterator[Receiver]:
    settings.WEBHOOK_PRIVATE_HOSTS = ["127.0.0.0/8"]
    made = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), made.handler())
    made.url = f"http://127.0.0.1:{server.server_port}/hook?team=a"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def mailbox(settings: DjangoSettings) -> Iterator[Mailbox]:
    with serving_mail(settings) as box:
        yield box


def make_channel(**values: Any) -> NewChannel:
    wanted: dict[str, Any] = {
        "name": "chat",
        "kind": "webhook",
        "audience": Audience("group", "board"),
        "events": tuple(notify.EVENTS),
    }
    return channels.create_channel(
        wanted=Settings(**(wanted | values)), actor=ACTOR, at=now()
    )


def ask(
    *routes: Route, run: str = "run_1", team: str = "sales", **values: Any
) -> Approval:
    actor = values.pop("requester", ACTOR)
    return approvals.ask(
        binding=Binding(run, 1, "shop.refund", 3, "ab" * 32, _revision()),
        arguments=SECRET_NOTE,
        requester=type(actor)(actor.kind, actor.id, actor.label, team, "prod"),
        requesters=values.pop("requesters", ["sa:sales/agent"]),
        because="Refunds above 500",
        at=now(),
        routes=routes or (BOARD,),
    )


def _revision() -> int:
    return revisions().get(Revision.POLICY, 0)


def deliver(channel: NotificationChannel, *, later: float = 0) -> int:
    at = now() + timedelta(seconds=later)
    return deliveries.deliver(channel_id=channel.pk, at=at)


def test_a_webhook_is_signed_as_standard_webhooks_says(
    cast: Cast, receiver: Receiver
) -> None:
    new = make_channel(url=receiver.url)
    approval = ask()
    assert deliver(new.channel) == 1
    headers, body = receiver.got[0]
    uid, stamp = headers["webhook-id"], headers["webhook-timestamp"]
    key = base64.b64decode(new.secret.removeprefix("whsec_"))
    signed = f"{uid}.{stamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert abs(int(stamp) - time.time()) < 30
    told = json.loads(body)
    assert told["type"] == "approval.requested"
    assert told["data"]["url"].endswith(f"/approvals/{approval.uid}/")
    assert told["data"]["because"] == "Refunds above 500"
    assert "arguments" not in told["data"]
    message = Notification.objects.get()
    assert (message.state, message.uid, message.attempts) == ("delivered", uid, 1)
    assert deliver(new.channel) == 0
    assert len(receiver.got) == 1


def test_arguments_go_out_only_where_wanted_and_redacted(
    cast: Cast, receiver: Receiver
) -> None:
    new = make_channel(url=receiver.url, with_arguments=True)
    ask()
    deliver(new.channel)
    assert json.loads(receiver.got[0][1])["data"]["arguments"] == SECRET_NOTE


def test_each_step_of_a_request_is_told_once(cast: Cast, receiver: Receiver) -> None:
    new = make_channel(url=receiver.url, audience=None)
    approval = ask()
    approval.routes.update(escalate_at=now())
    approvals.escalate_due(at=now())
    approvals.escalate_due(at=now())
    deliver(new.channel)
    votes.decide(
        uid=approval.uid, approve=True, reason="ok", actor=actor_of(cast.finance),
        at=now(),
    )  # fmt: skip
    late = ask(run="run_2")
    Approval.objects.filter(pk=late.pk).update(expires_at=now())
    approvals.expire_due(at=now())
    deliver(new.channel)
    told = [json.loads(body) for _, body in receiver.got]
    assert [(one["type"], one["data"]["run"]) for one in told] == [
        ("approval.requested", "run_1"),
        ("approval.escalated", "run_1"),
        ("approval.decided", "run_1"),
        ("approval.expired", "run_2"),
    ]
    assert told[2]["data"]["decided_by"] == "Dan Example"
    # Nobody can decide on the one that expired: its request is not sent any more.
    skipped = Notification.objects.get(state="skipped")
    assert (skipped.event, skipped.approval_id) == ("approval.requested", late.pk)


def test_a_failure_is_tried_again_later_with_the_same_id(
    cast: Cast, receiver: Receiver
) -> None:
    new = make_channel(url=receiver.url)
    receiver.statuses = [500, 503]
    ask()
    assert deliver(new.channel) == 0
    message = Notification.objects.get()
    assert (message.state, message.attempts) == ("queued", 1)
    assert message.last_error == "The receiver answered 500."
    assert message.next_at > now() + timedelta(seconds=3)
    # The channel rests meanwhile, and so does everything else that waits in it.
    assert deliver(new.channel) == 0
    assert len(receiver.got) == 1
    assert deliver(new.channel, later=60) == 0
    assert deliver(new.channel, later=600) == 1
    ids = {headers["webhook-id"] for headers, _ in receiver.got}
    assert (len(receiver.got), ids) == (3, {message.uid})
    new.channel.refresh_from_db()
    assert (new.channel.failures, new.channel.busy_until) == (0, None)


def test_what_never_arrives_is_dead_on_record_and_can_be_sent_again(
    cast: Cast, receiver: Receiver
) -> None:
    new = make_channel(url=receiver.url)
    receiver.statuses = [500] * MOST_ATTEMPTS
    ask()
    for turn in range(MOST_ATTEMPTS + 2):
        deliver(new.channel, later=turn * 40_000)
    message = Notification.objects.get()
    assert (message.state, message.attempts) == ("dead", MOST_ATTEMPTS)
    assert len(receiver.got) == MOST_ATTEMPTS
    assert Event.objects.filter(name="notification.dead").count() == 1
    deliveries.send_again(message_id=message.pk, actor=ACTOR, at=now())
    assert deliver(new.channel) == 1
    message.refresh_from_db()
    assert message.state == "delivered"


def test_a_receiver_that_is_gone_is_not_asked_again(
    cast: Cast, receiver: Receiver
) -> None:
    new = make_channel(url=receiver.url)
    receiver.statuses = [410]
    ask()
    deliver(new.channel)
    assert Notification.objects.get().state == "dead"


def test_a_redirect_is_not_followed(cast: Cast, receiver: Receiver) -> None:
    new = make_channel(url=receiver.url)
    receiver.statuses = [302]
    receiver.headers = {"Location": receiver.url}
    ask()
    assert deliver(new.channel) == 0
    assert len(receiver.got) == 1
    assert Notification.objects.get().last_error == "The receiver answered 302."


def test_a_receiver_that_hangs_holds_its_sender_for_one_time_limit(
    cast: Cast, receiver: Receiver, settings: DjangoSettings
) -> None:
    settings.NOTIFY_SECONDS = 0.4
    receiver.seconds = 1.5
    new = make_channel(url=receiver.url)
    started = time.monotonic()
    for number in range(5):
        ask(run=f"run_{number}")
    assert time.monotonic() - started < 1, "asking waits for no receiver"
    started = time.monotonic()
    assert deliver(new.channel) == 0
    assert time.monotonic() - started < 1.2
    assert len(receiver.got) == 1
    errors = set(Notification.objects.values_list("last_error", flat=True))
    assert errors == {"", "The receiver took longer than 0.4 s."}


def test_two_workers_do_not_send_the_same(cast: Cast, receiver: Receiver) -> None:
    new = make_channel(url=receiver.url)
    ask()
    NotificationChannel.objects.update(busy_until=now() + timedelta(seconds=60))
    assert deliver(new.channel) == 0
    assert receiver.got == []
    # Its worker died: somebody else sends once its time is over.
    assert deliver(new.channel, later=61) == 1


def test_mail_goes_to_each_person_asked_but_to_nobody_who_asked(
    cast: Cast, mailbox: Mailbox
) -> None:
    new = make_channel(kind="email", name="mail")
    ask(requesters=["sa:sales/agent", "user:alice"])
    assert deliver(new.channel) == 1
    mail = mailbox.mails[0]
    assert mail["To"] == "dan@example.org"
    assert mail["Subject"] == "Approval wanted: shop.refund in prod"
    text = mail.get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert "Refunds above 500" in text
    assert "/approvals/apr_" in text
    assert "o-17" not in text


def test_mail_goes_to_fixed_addresses_where_some_are_given(
    cast: Cast, mailbox: Mailbox
) -> None:
    recipients = ("ops@example.org", "list@example.org")
    new = make_channel(kind="email", audience=None, recipients=recipients)
    ask(Route(Audience("role", "finance")))
    assert deliver(new.channel) == 2
    assert {mail["To"] for mail in mailbox.mails} == set(recipients)


def test_without_a_mail_server_the_message_says_what_to_set(cast: Cast) -> None:
    new = make_channel(kind="email")
    ask()
    deliver(new.channel)
    errors = Notification.objects.values_list("last_error", flat=True)
    assert "TOLLGATE_EMAIL_HOST" in " ".join(errors)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, True),
        ({"audience": None}, True),
        ({"audience": Audience("role", "finance")}, False),
        ({"team": "sales"}, True),
        ({"team": "support"}, False),
        ({"enabled": False}, False),
        ({"events": (notify.DECIDED,)}, False),
    ],
)
def test_a_channel_is_told_of_what_it_is_for(
    cast: Cast, values: dict[str, Any], told: bool
) -> None:
    make_channel(url="https://hooks.example.org/a", **values)
    ask()
    assert Notification.objects.exists() is told


def test_asking_without_a_channel_costs_one_query_more(
    cast: Cast, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    # One of them looks for channels; the others stay where nobody is to be told.
    with django_assert_max_num_queries(10):
        ask()


def test_what_was_lost_is_found(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(
        "core.jobs.current_app.send_task", lambda name, **k: sent.append((name, k))
    )
    new = make_channel(url="https://hooks.example.org/a")
    ask()
    resting = make_channel(url="https://hooks.example.org/b", name="resting")
    ask(run="run_2")
    NotificationChannel.objects.filter(pk=resting.channel.pk).update(
        busy_until=now() + timedelta(seconds=60)
    )
    assert deliveries.deliver_due(at=now()) == 1
    assert NotificationChannel.objects.get(pk=new.channel.pk).busy_until is None


def test_the_secret_is_sealed_and_its_change_is_on_record(cast: Cast) -> None:
    new = make_channel(url="https://hooks.example.org/a")
    held = NotificationChannel.objects.get()
    assert new.secret.encode() not in bytes(held.secret or b"")
    assert held.signing_secret == new.secret
    other = channels.rotate_secret(channel_id=held.pk, actor=ACTOR, at=now())
    held.refresh_from_db()
    assert held.signing_secret == other.secret != new.secret
    bodies = "".join(Event.objects.values_list("body", flat=True))
    assert new.secret not in bodies
    assert other.secret not in bodies
    assert Event.objects.filter(name="notification_channel.rotated").exists()
