"""What is recorded, and that it cannot be changed."""

import json

import pytest
from django.db import Error, connection, transaction

from audit.actor import Actor, Target
from audit.models import Event
from core.canonical import canonical
from tests.builders.audit import AGENT, AT, make_event

pytestmark = pytest.mark.django_db


def test_the_body_holds_the_whole_event_in_canonical_bytes() -> None:
    event = make_event(
        decision="deny",
        reasons=["needs audit.read"],
        before={"limit": 1},
        after={"limit": 2},
        payload={"password": "hunter2", "rows": [1, 2]},
        tool="crm.list_orders",
        run="run_1",
        step=3,
    )
    body = json.loads(event.body)
    assert event.body.encode() == canonical(body)
    assert body["actor"]["key"] == "tg_0123abcd"
    assert body["payload"] == {"password": "[redacted]", "rows": [1, 2]}
    assert (body["before"], body["after"]) == ({"limit": 1}, {"limit": 2})
    assert body["uid"] == event.uid
    assert body["at"] == AT.isoformat()


def test_the_columns_are_a_snapshot_to_search_by() -> None:
    event = make_event(tool="crm.list_orders", run="run_1", step=3)
    stored = Event.objects.get(uid=event.uid)
    assert (stored.actor_id, stored.team) == ("sa:sales/agent", "sales")
    assert (stored.target_kind, stored.target_id) == ("team", "sales")
    assert (stored.tool, stored.run, stored.step) == ("crm.list_orders", "run_1", 3)
    assert stored.summary == "agent changed team Sales"


def test_no_name_is_too_long_for_the_trail() -> None:
    actor = Actor("user", f"user:{'u' * 150}", "L" * 500)
    target = Target("team", "t" * 300, "T" * 500)
    event = make_event(actor=actor, target=target, tool="x" * 500)
    assert Event.objects.get(uid=event.uid).actor_id == actor.id


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_hostile_text_cannot_keep_an_event_from_being_recorded(text: str) -> None:
    event = make_event(
        target=Target("tool", text, text),
        tool=text,
        reasons=[text],
        payload={text: text},
    )
    assert Event.objects.filter(uid=event.uid).exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET summary = 'nothing happened'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
    ],
)
def test_the_database_itself_refuses_every_change(statement: str) -> None:
    event = make_event()
    with (
        pytest.raises(Error, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert Event.objects.get(uid=event.uid).summary == event.summary


def test_an_event_disappears_with_the_change_that_was_rolled_back() -> None:
    with transaction.atomic():
        make_event(actor=AGENT)
        transaction.set_rollback(True)
    assert not Event.objects.exists()
