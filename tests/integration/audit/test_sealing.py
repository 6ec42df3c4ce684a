"""Sealing: every event once, in an order that no late commit breaks, and signed."""

import threading
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pymerkle import InmemoryTree
from pytest_django.fixtures import Settings

from audit import tree
from audit.anchors import AnchorFile
from audit.merkle import includes, leaf_hash
from audit.models import Checkpoint, Event, Leaf
from audit.notes import check
from audit.services import sealing
from audit.services.sealing import Sealer, TrailRolledBack
from core.errors import NotFound
from tests.builders.audit import AT, SEAL_KEY, make_event, seal_events
from tests.integration.audit.trail import Trail

pytestmark = pytest.mark.usefixtures("trail")


def make_events(number: int) -> list[Event]:
    with transaction.atomic():
        return [make_event() for _ in range(number)]


def insert_by(other: "psycopg.Connection[tuple[object, ...]]", event: Event) -> None:
    """A copy of an event, written by another connection."""
    other.execute(
        "INSERT INTO audit_event SELECT (jsonb_populate_record(event, "
        "jsonb_build_object('id', nextval(pg_get_serial_sequence('audit_event', 'id')),"
        " 'uid', uid || 'x', 'xid', pg_current_xact_id()::text))).*"
        " FROM audit_event AS event WHERE id = %s",
        [event.pk],
    )


def test_the_root_is_the_one_pymerkle_finds_over_the_bodies() -> None:
    made = make_events(7)
    assert seal_events(batch=3) == 7

    reference = InmemoryTree(algorithm="sha256")
    for leaf in Leaf.objects.order_by("index"):
        reference.append_entry(Event.objects.get(pk=leaf.event_id).body.encode())
    sizes = []
    for checkpoint in Checkpoint.objects.order_by("size"):
        said, keys = check(checkpoint.note, [SEAL_KEY.key])
        assert keys == [SEAL_KEY.key]
        assert said.root == bytes(checkpoint.root)
        assert said.root == reference.get_root(checkpoint.size)
        sizes.append(said.size)
    assert sizes == [3, 6, 7]
    assert [leaf.event_id for leaf in Leaf.objects.order_by("index")] == [
        event.pk for event in made
    ]


def test_it_goes_on_where_another_sealer_stopped() -> None:
    make_events(300)
    seal_events(batch=100)
    make_events(300)
    assert seal_events() == 300
    assert seal_events() == 0

    assert list(Leaf.objects.order_by("index").values_list("index", flat=True)) == [
        *range(600)
    ]
    newest = tree.latest()
    assert newest is not None
    assert tree.stored(600).root() == bytes(newest.root)


def test_events_wait_for_older_transactions_and_none_is_passed_over(
    trail: Trail,
) -> None:
    first = make_event()
    sealer = Sealer([SEAL_KEY])
    assert sealer.seal(at=AT) == 1
    with trail.connect() as late:
        insert_by(late, first)
        make_events(2)
        # The open transaction is older than these two.
        assert sealer.seal(at=AT) == 0
        assert tree.state().waiting == 2
        late.commit()
    assert sealer.seal(at=AT) == 3
    assert tree.state().waiting == 0
    ordered = list(Leaf.objects.order_by("index").values_list("event_id", flat=True))
    assert ordered == sorted(ordered)


def test_what_was_rolled_back_leaves_no_gap() -> None:
    make_event()
    with transaction.atomic():
        make_event()
        transaction.set_rollback(True)
    make_event()
    assert seal_events() == 2
    assert list(Leaf.objects.order_by("index").values_list("index", flat=True)) == [
        0,
        1,
    ]


def test_an_event_behind_the_horizon_is_found_at_the_next_start() -> None:
    make_events(2)
    seal_events()
    with connection.cursor() as cursor:
        # As a restore does: rows that bear numbers of another cluster's transactions.
        for xid in ("3", "999999999999"):
            cursor.execute(
                "INSERT INTO audit_event SELECT (jsonb_populate_record(event, "
                "jsonb_build_object('id', nextval(pg_get_serial_sequence("
                "'audit_event', 'id')), 'uid', uid || %s, 'xid', %s))).* "
                "FROM audit_event AS event ORDER BY id LIMIT 1",
                [xid, xid],
            )
    make_event()
    assert seal_events(batch=2) == 3
    assert Leaf.objects.count() == Event.objects.count() == 5


def test_two_sealers_at_once_make_one_tree() -> None:
    make_events(200)

    def run() -> None:
        try:
            seal_events(batch=7)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seal_events()
    assert Leaf.objects.count() == 200
    newest = tree.latest()
    assert newest is not None
    assert tree.stored(200).root() == bytes(newest.root)


def test_a_proof_for_each_event_against_each_checkpoint() -> None:
    made = make_events(600)
    seal_events(batch=250)
    for checkpoint in Checkpoint.objects.order_by("size"):
        said, _ = check(checkpoint.note, [SEAL_KEY.key])
        proofs = tree.proofs(made, checkpoint=checkpoint)
        for event, proof in zip(made, proofs, strict=True):
            if proof is None:
                continue
            assert includes(
                index=proof.index,
                size=said.size,
                leaf=leaf_hash(event.body.encode()),
                proof=proof.path,
                root=said.root,
            )
        assert sum(proof is not None for proof in proofs) == said.size


def test_a_proof_takes_few_queries_whatever_the_size(
    django_assert_max_num_queries: object,
) -> None:
    made = make_events(600)
    seal_events()
    with django_assert_max_num_queries(7):  # type: ignore[operator]
        tree.prove(made[300])


def test_an_event_that_is_not_sealed_has_no_proof_yet() -> None:
    event = make_event()
    with pytest.raises(NotFound, match="not sealed yet"):
        tree.prove(event)


@pytest.mark.parametrize("table", ["leaf", "treenode", "checkpoint", "verification"])
def test_the_database_refuses_to_change_the_tree(table: str, trail: Trail) -> None:
    make_events(256)
    seal_events()
    acts = [f"TRUNCATE audit_{table}"]
    if table != "verification":
        acts.append(f"DELETE FROM audit_{table}")  # noqa: S608 - of the list above
    for act in acts:
        with (
            trail.connect() as other,
            pytest.raises(psycopg.Error, match="append-only"),
        ):
            other.execute(act.encode())


def test_a_trail_that_was_rolled_back_is_not_sealed_on(
    trail: Trail, tmp_path: Path
) -> None:
    anchor = AnchorFile(tmp_path / "last")
    make_events(3)
    assert Sealer([SEAL_KEY], anchor).seal(at=AT) == 3
    note = anchor.load()
    trail.attack("DELETE FROM audit_checkpoint", "DELETE FROM audit_leaf")
    make_event()
    with pytest.raises(TrailRolledBack, match="signed here is of 3 events"):
        Sealer([SEAL_KEY], anchor).seal(at=AT)
    assert not Leaf.objects.exists()

    kept = sealing.accept_restore(reason="disk died", anchor=anchor, at=AT)
    assert kept is not None
    assert kept.read_text() == note
    assert Sealer([SEAL_KEY], anchor).seal(at=AT) == 5
    recorded = Event.objects.get(name="audit.restored")
    assert "disk died" in recorded.summary
    assert note.split("\n")[2] in recorded.body


def test_a_running_sealer_notices_a_rollback_as_well(
    trail: Trail, tmp_path: Path
) -> None:
    sealer = Sealer([SEAL_KEY], AnchorFile(tmp_path / "last"))
    make_events(3)
    sealer.seal(at=AT)
    trail.attack("DELETE FROM audit_checkpoint", "DELETE FROM audit_leaf")
    with pytest.raises(TrailRolledBack):
        sealer.seal(at=AT)


def test_a_tree_that_was_changed_is_not_sealed_on(trail: Trail) -> None:
    make_events(3)
    seal_events()
    trail.attack("UPDATE audit_leaf SET hash = sha256('x') WHERE index = 1")
    with pytest.raises(TrailRolledBack, match="it was changed"):
        seal_events()


def test_the_command_seals_once_and_shows_its_keys(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DATA_DIR = tmp_path
    settings.AUDIT_ANCHOR_FILE = str(tmp_path / "last")
    make_events(2)
    call_command("seal_audit", "--once")
    call_command("seal_audit", "--public")
    call_command("seal_audit", "--new-key", str(tmp_path / "new"))
    lines = capsys.readouterr().out.splitlines()

    assert lines[0] == "sealed 2 events"
    assert lines[2] == (tmp_path / "new.pub").read_text().strip()
    newest = tree.latest()
    assert newest is not None
    assert (tmp_path / "last").read_text() == newest.note
    with pytest.raises(CommandError, match="was not made"):
        call_command("seal_audit", "--new-key", str(tmp_path / "new"))
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="TOLLGATE_AUDIT_KEY_FILE"):
        call_command("seal_audit", "--once")
