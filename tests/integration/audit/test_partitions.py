"""The trail's months: where events go, and that no way leads around the refusal."""

from datetime import UTC, datetime

import pytest
from django.db import Error, connection, transaction

from audit.actor import Actor
from audit.models import Event
from audit.services.partitions import MONTHS_AHEAD, make_ahead, rows_outside
from audit.tasks import make_partitions
from core.clock import now
from tests.builders.audit import AGENT, make_event

pytestmark = pytest.mark.django_db
LONG_AGO = datetime(2019, 2, 3, tzinfo=UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def partition_of(event: Event) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM audit_event WHERE uid = %s",
            [event.uid],
        )
        return str(cursor.fetchone()[0])


def partitions() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'audit_event'::regclass ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def refused(statement: str) -> None:
    with (
        pytest.raises(Error, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_an_event_lies_in_the_partition_of_its_month() -> None:
    at = now()
    assert partition_of(make_event(at=at)) == f"audit_event_p{at:%Y_%m}"
    assert rows_outside() == 0


def test_an_event_of_a_month_that_was_never_made_is_kept_too() -> None:
    event = make_event(at=LONG_AGO)
    assert partition_of(event) == "audit_event_default"
    assert rows_outside() == 1
    assert Event.objects.get(uid=event.uid).at == LONG_AGO


def test_the_months_to_come_are_there_and_are_made_once() -> None:
    assert len(partitions()) >= MONTHS_AHEAD + 2
    assert make_ahead() == 0


def test_a_month_that_is_missing_is_made_by_the_task() -> None:
    last = partitions()[-1]
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {last}")
    make_partitions()
    assert partitions()[-1] == last
    refused(f"TRUNCATE {last}")


def test_a_month_whose_events_came_too_early_stays_as_it_is() -> None:
    last = partitions()[-1]
    at = datetime(*map(int, last[-7:].split("_")), 2, tzinfo=UTC)  # type: ignore[misc,arg-type]
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {last}")
    event = make_event(at=at)
    assert make_ahead() == 0
    assert partition_of(event) == "audit_event_default"


@pytest.mark.parametrize("at", [None, LONG_AGO])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET summary = ''",
        "UPDATE {} SET at = at + interval '1 month'",
        "DELETE FROM {}",
        "TRUNCATE {}",
    ],
)
def test_a_partition_by_itself_refuses_every_change(
    statement: str, at: datetime | None
) -> None:
    event = make_event(at=at or now())
    refused(statement.format(partition_of(event)))
    assert Event.objects.filter(uid=event.uid).exists()


def test_a_uid_stands_for_one_event() -> None:
    event = make_event()
    with pytest.raises(Error, match="uid"), transaction.atomic():
        Event.objects.bulk_create([Event(uid=event.uid, at=event.at, body="{}")])


def test_what_people_search_by_stands_in_columns_and_in_the_body() -> None:
    actor = Actor(
        AGENT.kind,
        AGENT.id,
        AGENT.label,
        key="tg_0123abcd",
        address="192.0.2.7",
        trace_id=TRACE,
    )
    event = make_event(actor=actor, policy_version=7)
    stored = Event.objects.get(uid=event.uid)
    assert (stored.key, stored.client_address) == ("tg_0123abcd", "192.0.2.7")
    assert (stored.trace_id, stored.policy_version) == (TRACE, 7)
    assert f'"trace_id":"{TRACE}"' in stored.body
    assert '"policy_version":7' in stored.body


def test_each_event_knows_the_transaction_that_wrote_it() -> None:
    event = make_event()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xid = pg_current_xact_id() FROM audit_event WHERE uid = %s",
            [event.uid],
        )
        assert cursor.fetchone() == (True,)
