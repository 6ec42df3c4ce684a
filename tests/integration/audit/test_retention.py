"""A month leaves the trail as a whole, on record, or not at all."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from audit.actor import Actor
from audit.merkle import leaf_hash
from audit.models import Event, Leaf, MonthExport, Sink, Tombstone
from audit.months import months
from audit.services.holds import lift_hold, set_hold
from audit.services.retention import drop_month, export_month
from audit.services.sealing import seal_waiting
from audit.tombstones import dropped_on_record
from core.clock import now
from core.errors import Invalid
from tests.builders.audit import make_event
from tests.integration.audit.trail import Trail

MONTH = date(2019, 3, 1)
WITHIN = datetime(2019, 3, 12, 8, tzinfo=UTC)
OLGA = Actor("system", "cli:olga", "olga at the command line")
AUDITOR = Actor("user", "user:dora", "Dora")


@pytest.fixture
def old(trail: Trail, settings: Settings, tmp_path: Path) -> Iterator[Trail]:
    """A sealed month of three events, old enough to go."""
    settings.AUDIT_EXPORT_DIR = str(tmp_path)
    settings.DATA_DIR = tmp_path
    settings.AUDIT_ANCHOR_FILE = str(tmp_path / "anchor")
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_make_partition(%s)", [MONTH])
    for hour in range(3):
        make_event(at=WITHIN + timedelta(hours=hour))
    make_event(at=now())
    seal_waiting(at=now())
    yield trail
    Sink.objects.all().delete()
    trail.attack("DROP TABLE IF EXISTS audit_event_p2019_03")


def exists() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('audit_event_p2019_03') IS NOT NULL")
        return bool(cursor.fetchone()[0])


def drop(reason: str = "seven years are over") -> int:
    return drop_month(month=MONTH, reason=reason, actor=OLGA, at=now())


def kept(why: str) -> None:
    """Dropping is refused, says why, and that is on record; nothing is gone."""
    with pytest.raises(Invalid, match=why):
        drop()
    assert exists()
    assert Event.objects.filter(at__lt=WITHIN + timedelta(days=1)).count() == 3
    assert not Tombstone.objects.exists()


def export() -> MonthExport:
    return export_month(month=MONTH, actor=OLGA, at=now())


def test_an_export_holds_every_event_and_proves_itself(old: Trail) -> None:
    made = export()
    packed = Path(made.file).read_bytes()
    assert made.sha256 == sha256(packed).hexdigest()
    lines = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    stored = Event.objects.filter(at__lt=WITHIN + timedelta(days=1)).order_by("pk")
    assert [line["body"]["uid"] for line in lines] == [one.uid for one in stored]
    hashes = [leaf_hash(one.body.encode()) for one in stored]
    assert [line["leaf"] for line in lines] == [one.hex() for one in hashes]
    assert made.leaves == sha256(b"".join(hashes)).hexdigest()
    assert (made.events, made.by) == (3, OLGA.label)
    assert Event.objects.get(name="audit.month_exported").target_id == "2019-03"
    again = export()
    assert again.sha256 == made.sha256


def test_a_month_is_dropped_as_a_whole_and_leaves_a_signed_tombstone(
    old: Trail,
) -> None:
    leaves = Leaf.objects.count()
    made = export()
    assert drop() == 3
    assert not exists()
    assert not Event.objects.filter(at__lt=WITHIN + timedelta(days=1)).exists()
    assert Leaf.objects.count() == leaves
    stone = Tombstone.objects.get()
    assert (stone.month, stone.events, stone.by) == (MONTH, 3, OLGA.label)
    assert (stone.first_index, stone.last_index) == (0, 2)
    assert (stone.leaves, stone.export_sha256) == (made.leaves, made.sha256)
    assert dropped_on_record() == ["2019-03"]
    event = Event.objects.get(name="audit.month_dropped")
    assert json.loads(event.body)["payload"]["reason"] == "seven years are over"
    (listed,) = [one for one in months(at=now()) if one.first == MONTH]
    assert (listed.why, listed.rows) == ("dropped", 3)
    with pytest.raises(Invalid, match="no partition"):
        drop()


def test_a_tombstone_that_was_forged_does_not_count(old: Trail) -> None:
    export()
    drop()
    assert dropped_on_record([]) == []
    old.attack("UPDATE audit_tombstone SET month = '2019-04-01'")
    assert dropped_on_record() == []
    old.attack("UPDATE audit_tombstone SET month = '2019-03-01', events = 4")
    assert dropped_on_record() == []
    old.attack(
        "UPDATE audit_tombstone SET note = replace(note, 'events 3', 'events 4')"
    )
    assert dropped_on_record() == []


def test_a_month_that_is_not_exported_stays(old: Trail) -> None:
    kept("not exported")


def test_a_month_that_is_not_sealed_stays(old: Trail) -> None:
    export()
    late = make_event(at=WITHIN)
    with pytest.raises(Invalid, match="1 of 4 events of 2019-03 are not sealed"):
        drop()
    refused = Event.objects.get(name="audit.drop_refused")
    assert (refused.decision, refused.target_id) == ("deny", "2019-03")
    with pytest.raises(Invalid, match="not sealed"):
        export()
    seal_waiting(at=now())
    with pytest.raises(Invalid, match="not exported as it is now"):
        drop()
    assert Event.objects.filter(uid=late.uid).exists()
    export()
    assert drop() == 4


def test_a_month_within_its_retention_stays(old: Trail, settings: Settings) -> None:
    export()
    settings.AUDIT_RETENTION_MONTHS = 12 * 50
    kept("has to be kept for 600 months")
    settings.AUDIT_RETENTION_MONTHS = 0
    kept("has to be kept for 0 months")


def test_a_month_under_a_legal_hold_stays_until_it_is_lifted(old: Trail) -> None:
    export()
    hold = set_hold(
        title="Case 12",
        reason="asked for by counsel",
        first=date(2019, 1, 31),
        last=None,
        actor=AUDITOR,
        at=now(),
    )
    kept('under the legal hold "Case 12"')
    lift_hold(hold_id=hold.pk, reason="settled", actor=AUDITOR, at=now())
    with pytest.raises(Invalid, match="lifted already, by Dora"):
        lift_hold(hold_id=hold.pk, reason="again", actor=AUDITOR, at=now())
    assert drop() == 3
    names = Event.objects.filter(target_kind="hold").order_by("pk")
    assert [one.name for one in names] == ["audit.hold_set", "audit.hold_lifted"]


def test_a_month_that_a_sink_has_not_been_given_stays(old: Trail) -> None:
    export()
    sink = Sink.objects.create(
        name="siem", kind="file", form="json", cursor=2, created_at=now()
    )
    kept("sink siem has not been given all events")
    Sink.objects.filter(pk=sink.pk).update(cursor=3)
    assert drop() == 3


def test_an_export_that_was_changed_or_is_gone_does_not_count(old: Trail) -> None:
    path = Path(export().file)
    path.write_bytes(path.read_bytes() + b"\0")
    kept("not what was written")
    path.unlink()
    kept("cannot be read")


def test_a_month_that_is_not_over_is_not_exported(old: Trail) -> None:
    with pytest.raises(Invalid, match="is not over"):
        export_month(month=now().date().replace(day=1), actor=OLGA, at=now())


def test_the_command_plans_exports_and_drops(old: Trail) -> None:
    def told(*words: str) -> str:
        out = StringIO()
        call_command("audit_retention", *words, stdout=out)
        return out.getvalue()

    assert "2019-03  3 events" in told("plan")
    assert "not exported" in told("plan")
    with pytest.raises(CommandError, match="not exported"):
        told("drop", "2019-03", "--reason", "over")
    assert "3 events in" in told("export", "2019-03")
    assert "may be dropped" in told("plan")
    assert "2019-03 was dropped: 3 events." in told(
        "drop", "2019-03", "--reason", "over"
    )
    assert "2019-03  3 events, 0.0 MiB: dropped" in told("plan")
