"""A sink gets every sealed event at least once, whatever happens to it meanwhile."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from audit.formats import jsonl
from audit.models import Checkpoint, DeadLetter, Event, Leaf, Sink
from audit.notes import check
from audit.services.dead_letters import ask_again
from audit.services.deliverer import Deliverer, deliver_all
from audit.services.delivery import pause, take_turn
from audit.services.sinks import Wanted, create_sink
from audit.sink_states import sink_state
from core.clock import now
from core.errors import Invalid
from tests.builders.audit import AGENT, SEAL_KEY, make_event, seal_events
from tests.builders.sinks import make_sink
from tests.integration.audit.sinks.certificates import Pair
from tests.integration.audit.sinks.receivers import (
    TOKEN,
    Answer,
    Hec,
    Receiver,
    Rsyslog,
    otlp,
    running,
    until,
    webhook,
)

pytestmark = pytest.mark.usefixtures("trail")
SIGNING = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def make_events(number: int, **details: Any) -> list[str]:
    """Sealed events; their uids."""
    with transaction.atomic():
        made = [make_event(**details).uid for _ in range(number)]
    seal_events()
    return made


def make_webhook(receiver: Receiver) -> Sink:
    return make_sink("webhook", secrets={"signing": SIGNING}, url=receiver.url)


def forced(sink: Sink) -> None:
    """A turn now, whatever pause holds."""
    Sink.objects.filter(pk=sink.pk).update(retry_at=None)
    take_turn(sink.pk)
    sink.refresh_from_db()


def uids(kept: list[dict[str, Any]]) -> list[str]:
    return [one["body"]["uid"] for one in kept if one["kind"] == "event"]


def everything() -> list[str]:
    """Every sealed event, in order."""
    rows = Leaf.objects.order_by("index").values_list("event_id", flat=True)
    known = dict(Event.objects.values_list("pk", "uid"))
    return [known[pk] for pk in rows]


@contextmanager
def delivering() -> Iterator[Deliverer]:
    deliverer = Deliverer()
    thread = threading.Thread(target=deliverer.run)
    thread.start()
    try:
        yield deliverer
    finally:
        deliverer.stop(seconds=10)
        thread.join()


def test_each_event_comes_in_order_with_the_checkpoints_that_cover_it() -> None:
    with running(Receiver(webhook)) as receiver:
        sink = make_webhook(receiver)
        make_events(3)
        take_turn(sink.pk)
        make_events(2)
        take_turn(sink.pk)
        sink.refresh_from_db()
    assert uids(receiver.kept) == everything()
    kinds = [one["kind"][0] for one in receiver.kept]
    assert "".join(kinds) == "eeee" + "c" + "ee" + "c"
    assert (sink.cursor, sink.anchored, sink.delivered) == (6, 6, 8)
    notes = [one["note"] for one in receiver.kept if one["kind"] == "checkpoint"]
    assert notes == list(
        Checkpoint.objects.order_by("size").values_list("note", flat=True)
    )
    assert all(check(note, [SEAL_KEY.key]) for note in notes)


def test_what_is_not_sealed_yet_is_not_delivered() -> None:
    with running(Receiver(webhook)) as receiver:
        sink = make_webhook(receiver)
        make_event()
        assert take_turn(sink.pk).idle
        assert receiver.kept == []


def test_a_sink_may_begin_with_what_is_new(settings: Settings) -> None:
    make_events(3)
    wanted = Wanted(name="n", kind="file", form="json", options={"file": "n.jsonl"})
    sink = create_sink(wanted=wanted, actor=AGENT, at=now(), from_start=False)
    assert (sink.cursor, sink.anchored) == (3, 3)


def test_a_receiver_that_was_away_has_everything_afterwards() -> None:
    receiver = Receiver(webhook)
    receiver.start()
    sink = make_webhook(receiver)
    make_events(20)
    take_turn(sink.pk)
    receiver.stop()
    make_events(30)
    for _ in range(4):
        forced(sink)
    assert (sink.failures, sink.failed) == (4, 4)
    assert "failed" in sink.last_error
    assert sink.retry_at is not None
    assert sink_state(sink.pk, at=now()).state == "failing"
    assert take_turn(sink.pk).idle, "a pause holds"
    with running(receiver):
        seal_events()
        forced(sink)
        seal_events()
        forced(sink)
    assert uids(receiver.kept) == everything()
    news = Event.objects.filter(name__startswith="sink.").order_by("pk")
    assert list(news.values_list("name", flat=True)) == [
        "sink.created",
        "sink.failing",
        "sink.recovered",
    ]
    assert sink_state(sink.pk, at=now()).state == "delivering"


def test_an_answer_that_is_lost_makes_duplicates_and_no_loss() -> None:
    lost: list[bytes] = []

    def lose_the_first(body: bytes) -> Answer | None:
        lost.append(body)
        if len(lost) == 1:
            receiver.kept += json.loads(body)["data"]["events"]
            return 502, {}
        return None

    with running(Receiver(webhook, behave=lose_the_first)) as receiver:
        sink = make_webhook(receiver)
        make_events(10)
        forced(sink)
        forced(sink)
    found = uids(receiver.kept)
    assert set(found) == set(everything())
    assert (len(found), len(everything())) == (22, 11)
    first, second = receiver.headers
    assert first["webhook-id"] == second["webhook-id"]


def test_a_refused_event_is_kept_and_can_be_sent_again() -> None:
    poison = "§poison§"

    def refuse_poison(body: bytes) -> Answer | None:
        return (400, {}) if poison in body.decode() else None

    with running(Receiver(webhook, behave=refuse_poison)) as receiver:
        sink = make_webhook(receiver)
        make_events(10)
        (bad,) = make_events(1, payload={"text": poison})
        make_events(10)
        forced(sink)
        assert set(everything()) - set(uids(receiver.kept)) == {bad}
        letter = DeadLetter.objects.get()
        assert (letter.uid, letter.state) == (bad, "waiting")
        assert "400" in letter.error
        assert sink.failures == 0
        seal_events()
        forced(sink)
        refused = Event.objects.get(name="sink.refused_events")
        assert refused.uid in uids(receiver.kept)

        assert ask_again(sink_id=sink.pk, letters=None, actor=AGENT, at=now()) == 1
        forced(sink)
        letter.refresh_from_db()
        assert (letter.state, letter.attempts) == ("waiting", 2)

        receiver.behave = lambda _: None
        ask_again(sink_id=sink.pk, letters=[letter.pk], actor=AGENT, at=now())
        forced(sink)
        letter.refresh_from_db()
        assert letter.state == "delivered"
        assert bad in uids(receiver.kept)
        with pytest.raises(Invalid, match="No dead letter"):
            ask_again(sink_id=sink.pk, letters=None, actor=AGENT, at=now())


def test_a_receiver_that_refuses_all_is_at_fault_and_buries_nothing() -> None:
    with running(Receiver(webhook, behave=lambda _: (400, {}))) as receiver:
        sink = make_webhook(receiver)
        make_events(6)
        for _ in range(3):
            forced(sink)
        assert (sink.cursor, sink.failures) == (0, 3)
        assert DeadLetter.objects.count() == 0
        receiver.behave = lambda _: None
        forced(sink)
    assert set(everything()) <= set(uids(receiver.kept)) | {
        Event.objects.get(name="sink.failing").uid
    }


def test_an_event_that_was_dropped_meanwhile_is_not_passed_over_in_silence(
    trail: Any,
) -> None:
    with running(Receiver(webhook)) as receiver:
        sink = make_webhook(receiver)
        made = make_events(3)
        trail.attack(f"DELETE FROM audit_event WHERE uid = '{made[1]}'")  # noqa: S608
        forced(sink)
    found = uids(receiver.kept)
    assert [one for one in found if one.startswith("gone_")] == ["gone_2"]
    assert len(found) == 4


def test_a_hanging_sink_holds_up_nobody() -> None:
    with running(Receiver(webhook)) as good, running(Receiver(otlp)) as bad:
        bad.hanging.set()
        fast = make_webhook(good)
        make_sink("otlp", url=f"{bad.url}/v1/logs")
        with delivering():
            began = time.monotonic()
            for _ in range(10):
                make_events(5)
                time.sleep(0.02)
            sealing = time.monotonic() - began
            until(lambda: len(uids(good.kept)) >= 52, 10)
            behind = Sink.objects.get(kind="otlp")
            assert behind.cursor == 0
            fast.refresh_from_db()
            assert fast.failures == 0
            bad.hanging.clear()
            until(lambda: len(bad.kept) >= 52, 20)
    assert sealing < 8


def test_a_paused_sink_gets_nothing_and_loses_nothing() -> None:
    with running(Receiver(webhook)) as receiver:
        sink = make_webhook(receiver)
        Sink.objects.filter(pk=sink.pk).update(enabled=False)
        make_events(3)
        assert deliver_all() == 0
        Sink.objects.filter(pk=sink.pk).update(enabled=True)
        assert deliver_all() == 5
    assert uids(receiver.kept) == everything()


def test_one_sink_is_served_by_one_process_at_a_time(trail: Any) -> None:
    with running(Receiver(webhook)) as receiver:
        sink = make_webhook(receiver)
        make_events(3)
        with trail.connect() as other:
            other.execute("SELECT pg_advisory_lock(%s, %s)", [0x5111, sink.pk])
            with delivering():
                time.sleep(1.5)
                assert receiver.kept == []
                other.execute("SELECT pg_advisory_unlock_all()")
                until(lambda: len(receiver.kept) == 5)


def test_pauses_grow_to_a_minute_and_differ() -> None:
    assert 0.7 < pause(1) < 1.3
    assert 40 < pause(50) < 76
    assert len({pause(5) for _ in range(20)}) > 10


def test_a_trail_that_is_behind_its_sink_is_said_so() -> None:
    make_events(2)
    sink = make_sink("file", file="x.jsonl")
    Sink.objects.filter(pk=sink.pk).update(cursor=50)
    assert sink_state(sink.pk, at=now()).state == "ahead"


def test_rsyslog_loses_nothing_while_it_is_away(
    rsyslog: Rsyslog, client_pair: Pair
) -> None:
    sink = make_sink(
        "syslog",
        form="ocsf",
        secrets={"key": client_pair.key},
        host="localhost",
        port=rsyslog.port,
        authority=rsyslog.authority.certificate,
        certificate=client_pair.certificate,
    )
    with delivering():
        make_events(40)
        until(lambda: len(rsyslog.lines) >= 41)
        rsyslog.stop()
        made = make_events(40)
        until(lambda: Sink.objects.get(pk=sink.pk).failures > 0)
        rsyslog.start()
        until(lambda: any(made[-1] in line for line in rsyslog.lines), 30)
    expected = {Event.objects.get(pk=leaf.event_id).uid for leaf in Leaf.objects.all()}
    counts = {uid: sum(uid in line for line in rsyslog.lines) for uid in expected}
    assert min(counts.values()) >= 1
    duplicates = sum(counts.values()) - len(expected)
    print(f"rsyslog: {len(expected)} events, {duplicates} duplicates")  # noqa: T201
    assert duplicates <= 41


def test_splunk_and_a_collector_lose_nothing_while_they_are_away() -> None:
    splunk, collector = Receiver(Hec()), Receiver(otlp)
    splunk.start()
    collector.start()
    secrets = {"token": TOKEN}
    make_sink("splunk", secrets=secrets, url=splunk.url)
    make_sink("otlp", url=f"{collector.url}/v1/logs")
    with delivering():
        for away in (splunk, collector, splunk):
            make_events(25)
            away.stop()
            make_events(25)
            until(lambda: Sink.objects.filter(failures__gt=0).exists())
            away.start()
            until(lambda: not Sink.objects.filter(failures__gt=0).exists(), 30)
        whole = set(everything())
        until(
            lambda: (
                whole
                <= {
                    one["event"].get("body", {}).get("uid") for one in list(splunk.kept)
                }
            )
        )
        until(lambda: len(collector.kept) >= len(whole))
    splunk.stop()
    collector.stop()
    taken = [json.loads(one.body.string_value) for one in collector.kept]
    assert whole <= set(uids(taken))
    assert all(jsonl.note_in(json.dumps(one)) for one in taken if "note" in one)


def test_a_killed_database_connection_is_survived(trail: Any) -> None:
    with running(Receiver(webhook)) as receiver:
        make_webhook(receiver)
        make_events(5)
        with delivering():
            until(lambda: len(uids(receiver.kept)) >= 6)
            trail.attack(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "  # noqa: S608
                f"datname = current_database() AND pid <> {_own_pid()} "
                "AND pid <> pg_backend_pid()"
            )
            make_events(5)
            until(lambda: set(everything()) <= set(uids(receiver.kept)), 30)


def _own_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])
