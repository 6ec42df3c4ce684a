"""Ten attacks by a superuser, and more: each is detected, and named.

Everything is attacked in the database; the keys and the last checkpoint are outside.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, transaction

from audit.actor import SYSTEM
from audit.findings import ANCHORING, FAILED, INTEGRITY, PASSED, UNCHECKED, Report
from audit.merkle import Growing, leaf_hash
from audit.models import Checkpoint, Event, Leaf
from audit.notes import Checkpoint as Head
from audit.notes import sign, sign_text
from audit.services import verification
from audit.services.sealing import Sealer
from audit.services.verification import Basis
from audit.signing import FileSigner
from tests.builders.audit import AT, SEAL_KEY, make_event
from tests.integration.audit.trail import Trail

LATER = AT + timedelta(hours=2)
EVENTS = 520
THIEF = FileSigner(SEAL_KEY.name, Ed25519PrivateKey.from_private_bytes(bytes([7] * 32)))


@pytest.fixture
def sealed(trail: Trail) -> Trail:
    """520 events of one month, forty a transaction, sealed 130 at a time."""
    for _ in range(EVENTS // 40):
        with transaction.atomic():
            for _ in range(40):
                make_event()
    sealer = Sealer([SEAL_KEY], batch=130)
    while sealer.seal(at=AT):
        pass
    return trail


def whole(*anchors: str) -> Report:
    """What a verification of everything finds, with these checkpoints from outside."""
    basis = Basis([SEAL_KEY.key], [("the sink", note) for note in anchors])
    return verification.verify_whole(basis, at=AT)


def newest() -> Checkpoint:
    return Checkpoint.objects.order_by("-size")[0]


def event_at(index: int) -> int:
    return Leaf.objects.get(index=index).event_id


def only(report: Report, *codes: str) -> None:
    assert set(report.counts) == set(codes), report.findings


def reseal(trail: Trail, signer: FileSigner) -> None:
    """Make leaves, nodes and a checkpoint anew over what is there now."""
    rows = list(Event.objects.order_by("pk").values_list("pk", "body"))
    hashes = [leaf_hash(body.encode()) for _, body in rows]
    growing = Growing()
    nodes = growing.append(hashes)
    root = growing.root
    note = sign(Head(SEAL_KEY.name, len(rows), root), [signer])
    trail.attack(
        *("DELETE FROM audit_leaf", "DELETE FROM audit_treenode"),
        "DELETE FROM audit_checkpoint",
        *(
            f"INSERT INTO audit_leaf SELECT {index}, id, at, '\\x{one.hex()}' "  # noqa: S608
            f"FROM audit_event WHERE id = {pk}"
            for index, ((pk, _), one) in enumerate(zip(rows, hashes, strict=True))
        ),
        *(
            f"INSERT INTO audit_treenode VALUES ({node.level}, {node.index}, "  # noqa: S608
            f"'\\x{node.hash.hex()}')"
            for node in nodes
        ),
        "INSERT INTO audit_checkpoint (size, root, note, at, horizon) VALUES "  # noqa: S608
        f"({len(rows)}, '\\x{root.hex()}', '{note}', now(), 9999999)",
    )


def test_a_trail_that_nobody_touched_passes_and_says_who_signed(sealed: Trail) -> None:
    report = whole(newest().note)

    assert report.passed
    assert (report.size, report.events, report.anchors) == (EVENTS, EVENTS, 1)
    assert report.keys == [str(SEAL_KEY.key)]
    assert set(report.verdicts.values()) == {PASSED}
    assert whole().verdict(ANCHORING) == UNCHECKED


def test_1_a_changed_body(sealed: Trail) -> None:
    victim = Event.objects.get(pk=event_at(300))
    sealed.attack(
        f"UPDATE audit_event SET body = replace(body, 'agent', 'admin') WHERE id = "  # noqa: S608
        f"{victim.pk}"
    )
    report = whole()

    only(report, "changed")
    assert [(one.event, one.index) for one in report.findings] == [(victim.uid, 300)]
    assert report.verdict(INTEGRITY) == FAILED


def test_1b_a_changed_body_with_a_leaf_to_match(sealed: Trail) -> None:
    sealed.attack(
        f"UPDATE audit_event SET body = body || ' ' WHERE id = {event_at(300)}",  # noqa: S608
        "UPDATE audit_leaf SET hash = sha256('\\x00' || convert_to(body, 'UTF8')) "
        "FROM audit_event WHERE event_id = id AND index = 300",
    )
    report = whole()
    assert {"rewritten"} <= set(report.counts) <= {"rewritten", "nodes"}
    (found,) = [one for one in report.findings if one.code == "rewritten"]
    assert "leaves 260 to 389" in found.text


def test_1c_a_changed_column(sealed: Trail) -> None:
    sealed.attack(
        "UPDATE audit_event SET actor_id = 'sa:other', summary = 'all was well' "  # noqa: S608
        f"WHERE id = {event_at(5)}"
    )
    report = whole()
    only(report, "columns")
    assert "summary, actor_id is not what its body says" in report.findings[0].text


def test_1d_a_changed_time_which_moves_the_row(sealed: Trail) -> None:
    sealed.attack(
        "UPDATE audit_event SET at = at - interval '40 days' "  # noqa: S608
        f"WHERE id = {event_at(5)}"
    )
    report = whole()
    only(report, "columns")
    assert "The time of event" in report.findings[0].text


def test_2_two_swapped_rows(sealed: Trail) -> None:
    one, two = event_at(10), event_at(400)
    sealed.attack(
        "UPDATE audit_event AS a SET uid = b.uid || 'x', body = b.body "  # noqa: S608
        f"FROM audit_event AS b WHERE a.id IN ({one}, {two}) "
        f"AND b.id IN ({one}, {two}) AND a.id <> b.id"
    )
    report = whole()
    only(report, "swapped")
    assert {found.index for found in report.findings} == {10, 400}


def test_3_a_deleted_row(sealed: Trail) -> None:
    sealed.attack(f"DELETE FROM audit_event WHERE id = {event_at(77)}")  # noqa: S608
    report = whole()
    only(report, "deleted")
    assert report.findings[0].index == 77


def test_3b_a_deleted_row_with_its_leaf(sealed: Trail) -> None:
    sealed.attack(
        f"DELETE FROM audit_event WHERE id = {event_at(77)}",  # noqa: S608
        "DELETE FROM audit_leaf WHERE index = 77",
    )
    only(whole(), "gap")


def delete_tail(trail: Trail) -> str:
    """Everything after the second checkpoint, as if it had never been."""
    note = newest().note
    trail.attack(
        "DELETE FROM audit_event WHERE id IN "
        "(SELECT event_id FROM audit_leaf WHERE index >= 260)",
        "DELETE FROM audit_leaf WHERE index >= 260",
        "DELETE FROM audit_treenode WHERE (index + 1) * 256 ^ level > 260",
        "DELETE FROM audit_checkpoint WHERE size > 260",
    )
    return note


def test_4_a_deleted_tail_by_an_anchor_alone(sealed: Trail) -> None:
    note = delete_tail(sealed)
    assert whole().passed
    report = whole(note)
    only(report, "rolled_back")
    assert "at least 260 are gone" in report.findings[0].text


def test_5_an_inserted_row_under_an_old_number(sealed: Trail) -> None:
    sealed.attack(
        "INSERT INTO audit_event SELECT (jsonb_populate_record(event, "  # noqa: S608
        "jsonb_build_object('id', 900000, 'uid', 'evt_forged'))).* "
        f"FROM audit_event AS event WHERE id = {event_at(9)}"
    )
    report = whole()
    only(report, "inserted")
    assert report.findings[0].event == "evt_forged"


def test_5b_an_inserted_row_of_another_day_that_the_sealer_took(sealed: Trail) -> None:
    make_event(at=AT - timedelta(days=3))
    Sealer([SEAL_KEY]).seal(at=LATER)
    report = whole()
    only(report, "late")
    assert report.findings[0].index == EVENTS


def test_6_reordered_leaves(sealed: Trail) -> None:
    sealed.attack(
        "UPDATE audit_leaf SET index = -1 WHERE index = 140",
        "UPDATE audit_leaf SET index = 140 WHERE index = 150",
        "UPDATE audit_leaf SET index = 150 WHERE index = -1",
    )
    report = whole()
    assert {"reordered"} <= set(report.counts) <= {"reordered", "nodes"}
    (found,) = [one for one in report.findings if one.code == "reordered"]
    assert found.index == 141


def test_7_a_rollback_to_a_backup_that_then_went_on(sealed: Trail) -> None:
    note = delete_tail(sealed)
    for _ in range(3):
        with transaction.atomic():
            for _ in range(100):
                make_event()
    sealer = Sealer([SEAL_KEY])
    while sealer.seal(at=LATER):
        pass
    assert whole().passed
    report = whole(note)
    only(report, "forked")
    assert report.verdict(ANCHORING) == FAILED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("note = replace(note, E'\\n520\\n', E'\\n519\\n')", "checkpoint"),
        ("root = sha256('x')", "checkpoint"),
        ("note = 'nothing'", "checkpoint"),
    ],
)
def test_8_a_changed_checkpoint(sealed: Trail, change: str, code: str) -> None:
    sealed.attack(f"UPDATE audit_checkpoint SET {change} WHERE size = 520")  # noqa: S608
    report = whole()
    only(report, code)
    assert report.size == 390


def test_8b_a_signature_moved_to_another_checkpoint(sealed: Trail) -> None:
    root = b64encode(bytes(Checkpoint.objects.get(size=390).root)).decode()
    other = b64encode(bytes(newest().root)).decode()
    sealed.attack(
        f"UPDATE audit_checkpoint SET note = replace(note, '{other}', '{root}') "  # noqa: S608
        "WHERE size = 520"
    )
    only(whole(), "checkpoint")


def test_9_everything_made_anew_and_signed_by_another_key(sealed: Trail) -> None:
    note = newest().note
    sealed.attack(
        "UPDATE audit_event SET body = replace(body, 'agent', 'admin')",
        "UPDATE audit_event SET actor_id = replace(actor_id, 'agent', 'admin'), "
        "actor_label = replace(actor_label, 'agent', 'admin'), "
        "summary = replace(summary, 'agent', 'admin')",
    )
    reseal(sealed, THIEF)
    report = whole(note)
    assert "foreign_key" in report.counts
    assert SEAL_KEY.name in report.findings[0].text
    assert report.verdict(ANCHORING) == FAILED


def test_9b_made_anew_with_the_stolen_key_itself_by_an_anchor(sealed: Trail) -> None:
    note = newest().note
    sealed.attack("UPDATE audit_event SET body = replace(body, 'sales', 'legal')")
    sealed.attack(
        "UPDATE audit_event SET summary = replace(summary, 'Sales', 'Sales'), "
        "actor_id = replace(actor_id, 'sales', 'legal'), team = 'legal', "
        "target_id = 'legal'"
    )
    reseal(sealed, SEAL_KEY)
    assert whole().passed
    only(whole(note), "forked")


@pytest.fixture
def two_months(trail: Trail) -> Iterator[Callable[[], Report]]:
    """Events of two months, the first without rows once its partition is dropped."""
    early = datetime(2026, 12, 5, tzinfo=UTC)
    for at in (early, early + timedelta(days=31)):
        with transaction.atomic():
            for _ in range(20):
                make_event(at=at)
        Sealer([SEAL_KEY]).seal(at=at)
    yield lambda: verification.verify_whole(Basis([SEAL_KEY.key]), at=early)
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_make_partitions(24)")


def test_10_a_dropped_partition(two_months: Callable[[], Report], trail: Trail) -> None:
    assert two_months().passed
    trail.attack("DROP TABLE audit_event_p2026_12")
    report = two_months()
    only(report, "partition")
    assert "All 20 events of 2026-12" in report.findings[0].text


def test_a_month_dropped_on_record_is_no_finding_and_a_forged_record_is(
    two_months: Callable[[], Report], trail: Trail
) -> None:
    assert two_months().passed

    def drop(signer: FileSigner) -> None:
        text = "tollgate audit tombstone\nmonth 2026-12\nevents 20\nleaves sha256 ab\n"
        note = sign_text(text, [signer])
        trail.attack(
            "DELETE FROM audit_event WHERE at < '2027-01-01'",
            "DELETE FROM audit_tombstone",
            "INSERT INTO audit_tombstone (month, events, leaves, export_file, "  # noqa: S608
            "export_sha256, at, by, reason, note) VALUES ('2026-12-01', 20, 'ab', 'f', "
            f"'cd', now(), 'x', 'y', '{note}')",
        )

    drop(SEAL_KEY)
    report = two_months()
    assert report.passed
    assert report.dropped == ["2026-12"]
    drop(THIEF)
    only(two_months(), "partition")


def test_stored_nodes_that_were_changed(sealed: Trail) -> None:
    sealed.attack("UPDATE audit_treenode SET hash = sha256('x') WHERE index = 1")
    report = whole()
    only(report, "nodes")
    assert report.findings[0].index == 256


def test_leaves_that_nobody_signed(sealed: Trail) -> None:
    sealed.attack("DELETE FROM audit_checkpoint WHERE size = 520")
    report = whole()
    only(report, "unsigned")
    assert report.size == 390


def test_an_event_that_waits_for_too_long(sealed: Trail) -> None:
    event = make_event()
    basis = Basis([SEAL_KEY.key])
    assert verification.verify_whole(basis, at=AT).passed
    report = verification.verify_whole(basis, at=LATER)
    only(report, "unsealed")
    assert report.findings[0].event == event.uid


def test_an_anchor_of_somebody_else_or_no_anchor_at_all(sealed: Trail) -> None:
    stranger = sign(Head("elsewhere", 3, bytes(32)), [THIEF])
    only(whole(stranger), "anchor")
    only(whole("no checkpoint"), "anchor")
    assert whole(f"kept\n{newest().note}\nand more").passed


def test_a_stretch_and_a_single_event(sealed: Trail) -> None:
    basis = Basis([SEAL_KEY.key], [("sink", newest().note)])
    sealed.attack(
        f"UPDATE audit_event SET body = body || ' ' WHERE id = {event_at(300)}"  # noqa: S608
    )
    good, bad = (Event.objects.get(pk=event_at(index)).uid for index in (299, 300))
    assert verification.verify_event(basis, good, at=AT).passed
    only(verification.verify_event(basis, bad, at=AT), "changed")
    report = verification.verify_range(
        basis, first=AT, last=AT + timedelta(minutes=1), at=LATER
    )
    only(report, "changed")
    assert report.events == EVENTS
    day = AT + timedelta(days=1)
    assert verification.verify_range(basis, first=day, last=None, at=day).events == 0


def test_since_the_last_time_goes_on_from_a_signed_tree(sealed: Trail) -> None:
    basis = Basis([SEAL_KEY.key])
    first = verification.verify_since_last(basis, at=AT)
    verification.keep(first, actor=SYSTEM, at=AT, recorded=False)
    make_event()
    Sealer([SEAL_KEY]).seal(at=AT)
    second = verification.verify_since_last(basis, at=AT)
    assert (first.first, first.size) == (0, EVENTS)
    assert (second.first, second.size, second.events) == (EVENTS, EVENTS + 1, 1)
    # What is stored of the tree before is believed only if it makes the signed root.
    sealed.attack("UPDATE audit_treenode SET hash = sha256('x') WHERE index = 1")
    third = verification.verify_since_last(basis, at=AT)
    assert third.first == 0
    assert "nodes" in third.counts
