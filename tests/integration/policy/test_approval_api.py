"""Approver groups and notification channels over REST: for people, never keys."""

from typing import Any

import pytest
from django.test import Client

from policy.models import ApproverGroup, NotificationChannel, User
from tests.builders.holds import make_group
from tests.builders.identity import Cast, make_account, make_key
from tests.builders.notifications import make_channel, make_message

BOARD = {"slug": "board", "name": "Board", "people": ["dan"]}
HOOK: dict[str, Any] = {
    "name": "chat",
    "kind": "webhook",
    "audience": {"group": "board"},
    "events": ["approval.requested"],
    "url": "https://hooks.example.org/a",
}


def ask(user: User, path: str, data: Any = None) -> Any:
    client = Client()
    client.force_login(user)
    if data is None:
        return client.get(f"/api/v1/policy/{path}")
    path = f"/api/v1/policy/{path}"
    return client.post(path, data, content_type="application/json")


def test_a_group_is_made_read_changed_and_removed(cast: Cast) -> None:
    made = ask(cast.admin, "approver-groups/", BOARD)
    assert (made.status_code, made.json()["people"]) == (201, ["dan"])
    listed = ask(cast.member, "approver-groups/").json()["results"]
    assert [row["slug"] for row in listed] == ["board"]
    change = {"name": "The board", "people": ["dan", "alice"]}
    changed = ask(cast.admin, "approver-groups/board/", change).json()
    assert (changed["name"], changed["people"]) == ("The board", ["alice", "dan"])
    missing = ask(
        cast.admin, "approver-groups/", BOARD | {"slug": "x", "people": ["?"]}
    )
    assert missing.status_code == 422
    removed = ask(cast.admin, "approver-groups/board/remove/", {})
    assert removed.status_code == 204
    assert not ApproverGroup.objects.exists()
    assert ask(cast.member, "approver-groups/board/").status_code == 404


def test_a_channels_secret_is_in_one_answer_only(cast: Cast) -> None:
    make_group("board")
    made = ask(cast.admin, "channels/", HOOK)
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    assert made["Cache-Control"] == "no-store"
    pk = made.json()["id"]
    shown = ask(cast.admin, f"channels/{pk}/").json()
    assert "secret" not in shown
    assert shown["audience"] == {"group": "board"}
    changed = ask(cast.admin, f"channels/{pk}/", HOOK | {"enabled": False}).json()
    assert changed["enabled"] is False
    assert ask(cast.admin, f"channels/{pk}/remove/", {}).status_code == 204
    assert not NotificationChannel.objects.exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"url": "https://169.254.169.254/"},
        {"audience": {"role": "member"}},
        {"audience": {"group": "none"}},
        {"events": ["everything"]},
        {"team": "none"},
        {"kind": "pigeon"},
    ],
)
def test_a_senseless_channel_is_a_422(cast: Cast, changed: dict[str, Any]) -> None:
    make_group("board")
    assert ask(cast.admin, "channels/", HOOK | changed).status_code == 422
    assert not NotificationChannel.objects.exists()


def test_dead_messages_are_listed_and_sent_again(cast: Cast) -> None:
    dead = make_message(make_channel(), state="dead", last_error="answered 500")
    rows = ask(cast.admin, "messages/").json()["results"]
    assert [(row["state"], row["last_error"]) for row in rows] == [
        ("dead", "answered 500")
    ]
    again = ask(cast.admin, f"messages/{dead.pk}/again/", {})
    assert again.json()["state"] == "queued"
    assert ask(cast.admin, f"messages/{dead.pk}/again/", {}).status_code == 422


def test_keys_make_neither_groups_nor_channels(cast: Cast) -> None:
    scopes = ["tools:*", "runs:*", "audit:*", "admin:*", "catalog:*", "costs:*"]
    key = make_key(make_account(cast.team), scopes=scopes)
    client = Client(headers={"Authorization": f"Bearer {key.text}"})
    for path, data in (("approver-groups/", BOARD), ("channels/", HOOK)):
        for response in (
            client.get(f"/api/v1/policy/{path}"),
            client.post(f"/api/v1/policy/{path}", data, "application/json"),
        ):
            assert response.status_code == 403
    assert not ApproverGroup.objects.exists()
    assert not NotificationChannel.objects.exists()
