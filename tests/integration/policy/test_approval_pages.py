"""Settings pages of approver groups and of notification channels."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from core.clock import now
from core.errors import Invalid
from policy.models import ApproverGroup, Notification, NotificationChannel
from policy.routing import Audience, Route
from policy.services import approver_groups, drafts
from tests.builders.holds import make_approval, make_group
from tests.builders.identity import ACTOR, Cast
from tests.builders.notifications import make_channel, make_message
from tests.integration.gateway.pages.conftest import queries_of


@pytest.fixture
def admin(client: Client, cast: Cast) -> Client:
    client.force_login(cast.admin)
    return client


BOARD = {
    "name": "Refund board",
    "slug": "refund-board",
    "description": "Refunds above 500",
    "people": "dan, alice\nmallory",
}


def test_a_group_is_made_changed_and_removed_on_record(admin: Client) -> None:
    assert admin.post(reverse("approver_group_add"), BOARD).status_code == 302
    group = ApproverGroup.objects.get(slug="refund-board")
    names = group.people.order_by("username").values_list("username", flat=True)
    assert list(names) == ["alice", "dan", "mallory"]
    url = reverse("approver_group", args=["refund-board"])
    assert 'value="Refund board"' in admin.get(url).content.decode()
    admin.post(url, {"name": "Board", "description": "", "people": "dan"})
    html = admin.get(reverse("approver_groups")).content.decode()
    assert "Dan Example" in html
    assert "Alice Example" not in html
    admin.post(reverse("approver_group_remove", args=["refund-board"]))
    assert not ApproverGroup.objects.exists()
    trail = Event.objects.filter(target_kind="approver_group").order_by("pk")
    assert [event.name for event in trail] == [
        "approver_group.created",
        "approver_group.changed",
        "approver_group.removed",
    ]
    assert '"people":["alice","dan","mallory"]' in trail[1].body
    assert '"people":["dan"]' in trail[1].body


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"people": "dan nobody"}, "There is nobody called nobody"),
        ({"slug": "Refund_Board"}, "no name of a group"),
        ({"slug": "taken"}, "an approver group taken already"),
        ({"slug": "add"}, "This word is taken"),
        ({"name": ""}, "This field is required"),
    ],
)
def test_a_senseless_group_is_a_422(
    admin: Client, changed: dict[str, str], says: str
) -> None:
    make_group("taken")
    response = admin.post(reverse("approver_group_add"), BOARD | changed)
    assert response.status_code == 422
    assert says in response.content.decode()
    assert ApproverGroup.objects.count() == 1


def test_a_group_that_is_asked_or_told_cannot_be_removed(cast: Cast) -> None:
    for slug in ("board", "directors", "told"):
        make_group(slug)
    route = Route(
        Audience("group", "board"),
        escalate_after_seconds=60,
        escalate_to=Audience("group", "directors"),
    )
    make_approval(routes=[route])
    make_channel(audience=Audience("group", "told"))
    for slug, says in (
        ("board", "1 open requests"),
        ("directors", "1 open requests"),
        ("told", "The channel chat tells this group"),
    ):
        with pytest.raises(Invalid, match=says):
            approver_groups.remove_group(slug=slug, actor=ACTOR, at=now())
    assert ApproverGroup.objects.count() == 3


def test_a_group_that_rules_in_force_ask_cannot_be_removed(
    cast: Cast, admin: Client
) -> None:
    def publish(**asks: Any) -> None:
        rules = [{"id": "big", "effect": "require_approval", **asks}]
        drafts.put_live(name="n", rules=rules, reason="r", actor=ACTOR, at=now())

    escalates = {"role": "admin", "escalate_after_seconds": 60}
    by_board = {"approve": escalates | {"escalate_to": {"group": "board"}}}
    with pytest.raises(Invalid, match="There is no approver group board") as missing:
        publish(**by_board)
    assert missing.value.details == {"groups": ["board"]}
    make_group("board")
    publish(**by_board)
    page = admin.post(reverse("approver_group_remove", args=["board"]), follow=True)
    assert "big: these rules in force ask this group" in page.content.decode()
    assert ApproverGroup.objects.count() == 1
    # A rule that is switched off asks nobody.
    publish(**by_board, enabled=False)
    approver_groups.remove_group(slug="board", actor=ACTOR, at=now())
    assert ApproverGroup.objects.count() == 0


def test_who_is_in_a_group_sees_the_inbox(cast: Cast, client: Client) -> None:
    client.force_login(cast.outsider)
    assert client.get(reverse("approvals")).status_code == 403
    make_group("board", cast.outsider)
    theirs = make_approval(routes=[Route(Audience("group", "board"))])
    other = make_approval()
    html = client.get(reverse("approvals")).content.decode()
    assert theirs.uid in html
    assert other.uid not in html
    assert client.get(reverse("approval", args=[other.uid])).status_code == 404
    assert client.get(reverse("unknown_outcomes")).status_code == 403


HOOK: dict[str, Any] = {
    "name": "Refund chat",
    "kind": "webhook",
    "audience": "role:finance",
    "team": "sales",
    "url": "https://hooks.example.org/tollgate",
    "events": ["approval.requested", "approval.decided"],
    "enabled": "on",
}


def test_a_webhooks_secret_is_shown_once(admin: Client) -> None:
    response = admin.post(reverse("notification_add"), HOOK)
    assert response["Location"] == reverse("notification_secret")
    channel = NotificationChannel.objects.get()
    page = admin.get(response["Location"])
    assert channel.signing_secret in page.content.decode()
    assert page["Cache-Control"].startswith("max-age=0")
    assert admin.get(reverse("notification_secret")).status_code == 302
    html = admin.get(reverse("notification_channel", args=[channel.pk]))
    assert channel.signing_secret not in html.content.decode()
    assert (str(channel.audience), channel.events) == (
        "role finance",
        ["approval.requested", "approval.decided"],
    )


def test_a_channel_is_changed_switched_off_and_removed(admin: Client) -> None:
    channel = make_channel()
    url = reverse("notification_channel", args=[channel.pk])
    off = HOOK | {"name": "renamed"}
    del off["enabled"]
    assert admin.post(url, off).status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.enabled, channel.kind) == (
        "renamed", False, "webhook",
    )  # fmt: skip
    html = admin.get(url).content.decode()
    assert "This channel is off" in html
    admin.post(reverse("notification_remove", args=[channel.pk]))
    assert not NotificationChannel.objects.exists()
    names = Event.objects.filter(target_kind="notification_channel").order_by("pk")
    assert [event.name.partition(".")[2] for event in names] == [
        "created",
        "changed",
        "removed",
    ]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"url": "http://10.0.0.1/"}, "Use https://"),
        ({"url": "https://10.0.0.1/"}, "private network"),
        ({"url": ""}, "whole address"),
        ({"events": []}, "This field is required"),
        ({"audience": "role:member"}, "Select a valid choice"),
        ({"kind": "email", "recipients": "nobody"}, "no e-mail address"),
        ({"name": "chat"}, "a channel chat already"),
    ],
)
def test_a_senseless_channel_is_a_422(
    admin: Client, changed: dict[str, Any], says: str
) -> None:
    make_channel("chat")
    response = admin.post(reverse("notification_add"), HOOK | changed)
    assert response.status_code == 422
    assert says in response.content.decode()
    assert NotificationChannel.objects.count() == 1


def test_dead_messages_are_seen_and_sent_again(admin: Client) -> None:
    channel = make_channel()
    dead = make_message(channel, state="dead", attempts=9, last_error="answered 500")
    listed = admin.get(reverse("notifications")).content.decode()
    assert "tg-badge-bad" in listed
    url = reverse("notification_channel", args=[channel.pk])
    assert "answered 500" in admin.get(url).content.decode()
    admin.post(reverse("notification_again", args=[dead.pk]))
    dead.refresh_from_db()
    assert (dead.state, dead.attempts) == ("queued", 0)
    again = admin.post(reverse("notification_again", args=[dead.pk]))
    assert again.status_code == 422


def test_a_test_needs_a_receiver(admin: Client) -> None:
    hook, mail = make_channel(), make_channel("mail", kind="email")
    assert admin.post(reverse("notification_test", args=[hook.pk])).status_code == 302
    assert Notification.objects.get().event == "test"
    assert admin.post(reverse("notification_test", args=[mail.pk])).status_code == 422


def test_more_rows_cost_no_more_queries(admin: Client, cast: Cast) -> None:
    channel = make_channel("first")
    paths = (
        reverse("approver_groups"),
        reverse("notifications"),
        reverse("notification_channel", args=[channel.pk]),
        reverse("api_approver_groups"),
        reverse("api_channels"),
        reverse("api_messages"),
    )
    counts = []
    for start, end in ((0, 3), (3, 30)):
        for number in range(start, end):
            make_group(f"board-{number}", cast.finance, cast.member)
            make_channel(f"chat-{number}")
            make_message(channel, approval=make_approval())
        counts.append([queries_of(admin, path) for path in paths])
    assert counts[0] == counts[1]
