"""The page Verify, proofs on events, evidence downloads, and their REST twins."""

import json
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from audit import tasks, tree
from audit.actor import SYSTEM
from audit.findings import Finding, Report
from audit.merkle import extends, includes, leaf_hash
from audit.models import Checkpoint, Event, Verification
from audit.notes import check
from audit.services import verification
from core.clock import now
from tests.builders.audit import AT, SEAL_KEY, make_event, seal_events

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.AUDIT_ANCHOR_FILE = str(tmp_path / "last-checkpoint")
    settings.AUDIT_TRUSTED_KEYS = [str(SEAL_KEY.key)]


def keep(*findings: Finding) -> None:
    report = Report(verification.WHOLE, AT, size=3, events=3, sealed_at=AT)
    report.keys = [str(SEAL_KEY.key)]
    report.extend(findings)
    verification.keep(report, actor=SYSTEM, at=AT, recorded=True)


def test_it_says_up_to_where_when_and_by_which_key(auditor: Client) -> None:
    assert b"Not verified yet" in auditor.get("/audit/verify/").content
    keep()
    page = auditor.get("/audit/verify/").content.decode()
    assert "Verified up to event 3" in page
    assert SEAL_KEY.key.id.hex() in page
    assert "unchecked" in page


def test_findings_are_named_with_their_event(auditor: Client) -> None:
    event = make_event()
    keep(Finding("changed", "The body of it is not the one", event.uid, 1))
    page = auditor.get("/audit/verify/").content.decode()
    assert "found 1 thing" in page
    assert f'href="/audit/{event.uid}/"' in page
    assert "The event&#x27;s body is not what was sealed" in page
    recorded = Event.objects.get(name="audit.verified")
    assert json.loads(recorded.body)["payload"]["findings"] == {"changed": 1}


def test_sealing_that_is_behind_is_said(auditor: Client) -> None:
    make_event(at=now() - timedelta(minutes=5))
    assert b"Sealing is behind" in auditor.get("/audit/verify/").content
    seal_events()
    assert b"Sealing is behind" not in auditor.get("/audit/verify/").content


def test_the_list_of_runs_costs_the_same_however_long(
    auditor: Client,
    django_assert_max_num_queries: Callable[[int], AbstractContextManager[object]],
) -> None:
    for _ in range(30):
        keep()
    with django_assert_max_num_queries(12):
        auditor.get("/audit/verify/")


def test_run_now_is_on_record_and_the_tasks_keep_what_they_find(
    auditor: Client,
) -> None:
    assert auditor.post("/audit/verify/run/").status_code == 302
    assert Event.objects.filter(name="audit.verification_asked").count() == 1
    seal_events()
    tasks.verify(whole=True)
    tasks.verify()
    whole, since = Verification.objects.order_by("pk")
    assert (whole.kind, since.kind) == ("whole", "incremental")
    assert whole.passed
    assert whole.size == since.first
    # Only the whole one is worth an event of its own.
    assert Event.objects.filter(name="audit.verified").count() == 1


def test_an_event_shows_its_proof(auditor: Client) -> None:
    event = make_event()
    assert b"Not sealed yet" in auditor.get(f"/audit/{event.uid}/").content
    seal_events()
    page = auditor.get(f"/audit/{event.uid}/").content.decode()
    assert leaf_hash(event.body.encode()).hex() in page
    assert "is what was sealed" in page


@pytest.mark.parametrize(
    "address",
    ["/audit/?period=all&run=run_1&export=evidence", "/audit/{uid}/?export=evidence"],
)
def test_evidence_of_a_run_and_of_an_event_is_on_record(
    auditor: Client, address: str
) -> None:
    event = make_event(run="run_1")
    make_event(run="run_2")
    seal_events()
    response = auditor.get(address.format(uid=event.uid))

    with zipfile.ZipFile(BytesIO(response.content)) as archive:
        assert archive.read("evidence/events.jsonl").decode() == event.body + "\n"
    recorded = json.loads(Event.objects.get(name="audit.evidence").body)
    assert recorded["payload"]["events"] == 1
    assert recorded["actor"]["id"] == "user:carol"


def test_evidence_on_nothing_is_refused(auditor: Client) -> None:
    response = auditor.get("/audit/?period=all&run=nowhere&export=evidence")
    assert response.status_code == 422
    assert not Event.objects.filter(name="audit.evidence").exists()


def test_proofs_and_checkpoints_over_rest(auditor: Client) -> None:
    event = make_event()
    seal_events()
    make_event()
    seal_events()
    sizes = sorted(Checkpoint.objects.values_list("size", flat=True))
    listed = auditor.get("/api/v1/audit/checkpoints/").json()["results"]
    proof = auditor.get(f"/api/v1/audit/events/{event.uid}/proof/").json()
    heads = [check(one["note"], [SEAL_KEY.key])[0] for one in listed]
    new, old = heads

    assert [head.size for head in heads] == sizes[::-1]
    assert includes(
        index=proof["index"],
        size=new.size,
        leaf=leaf_hash(event.body.encode()),
        proof=[bytes.fromhex(one) for one in proof["path"]],
        root=new.root,
    )
    address = f"/api/v1/audit/consistency/?first={old.size}&second={new.size}"
    path = auditor.get(address).json()["path"]
    assert extends(
        first=old.size,
        second=new.size,
        first_root=old.root,
        second_root=new.root,
        proof=[bytes.fromhex(one) for one in path],
    )
    assert auditor.get(address.replace("first=", "first=9")).status_code == 404
    assert auditor.get(address.replace("first=", "first=x")).status_code == 422
    bundle = auditor.get("/api/v1/audit/evidence/?period=all")
    assert bundle["Content-Type"] == "application/zip"
    assert tree.latest() is not None
