"""Evidence: verified by its own program in a clean process, and by ours."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from audit.evidence import bundles
from audit.models import Event
from audit.notes import Key
from audit.services.verification import Basis
from core.errors import Invalid
from tests.builders.audit import AGENT, AT, SEAL_KEY, make_event, seal_events

pytestmark = pytest.mark.django_db
BASIS = Basis([SEAL_KEY.key])


@pytest.fixture(autouse=True)
def _trusted(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.AUDIT_TRUSTED_KEYS = [str(SEAL_KEY.key)]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Evidence on seven of twenty events, one of which is not sealed yet."""
    chosen = [make_event(payload={"text": "Zürich\n≠"}) for _ in range(20)][5:11]
    seal_events(batch=6)
    chosen.append(make_event())
    path = tmp_path / "evidence.zip"
    path.write_bytes(bundles.make(chosen, about={"by": "user:dora"}, at=AT))
    return path


def unpack(archive: Path) -> Path:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(archive.parent)
    return archive.parent / "evidence"


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The bundle's own program, where nothing of ours can be imported."""
    return subprocess.run(
        [sys.executable, "-I", str(folder / "verify.py"), *arguments],
        capture_output=True,
        text=True,
        cwd="/",
        env={},
        timeout=60,
        check=False,
    )


def test_anybody_can_verify_it_without_our_code(archive: Path) -> None:
    folder = unpack(archive)
    trusting = run(folder)
    with_key = run(folder, "--key", str(SEAL_KEY.key))

    assert trusting.returncode == 0, trusting.stdout + trusting.stderr
    assert "NOTE: believing the keys" in trusting.stdout
    assert with_key.stdout.splitlines()[-1] == "ALL OF IT HOLDS"
    assert "6 events in a tree of 20" in with_key.stdout
    assert len((folder / "unsealed.jsonl").read_text().splitlines()) == 1
    assert len((folder / "consistency.jsonl").read_text().splitlines()) == 2
    assert bundles.verify(archive, BASIS, at=AT).passed


def edit(folder: Path, name: str, change: Callable[[str], str]) -> None:
    path = folder / name
    path.write_text(change(path.read_text()))


@pytest.mark.parametrize(
    ("name", "change", "codes"),
    [
        ("events.jsonl", lambda text: text.replace("agent", "admin"), {"changed"}),
        ("events.jsonl", lambda text: text[text.index("\n") + 1 :], None),
        ("proofs.jsonl", lambda text: text.replace('"index": 5', '"index": 6'), None),
        (
            "checkpoint.txt",
            lambda text: text.replace("\n20\n", "\n21\n"),
            {"checkpoint"},
        ),
        ("consistency.jsonl", lambda text: text.replace("\\n6\\n", "\\n7\\n"), None),
    ],
)
def test_whatever_is_changed_is_found_by_both(
    archive: Path, name: str, change: Callable[[str], str], codes: set[str] | None
) -> None:
    folder = unpack(archive)
    edit(folder, name, change)
    forged = shutil.make_archive(
        str(archive.parent / "forged"), "zip", archive.parent, "evidence"
    )
    found = run(folder)
    report = bundles.verify(Path(forged), BASIS, at=AT)

    assert found.returncode == 1, found.stdout + found.stderr
    assert "FAULTS FOUND" in found.stdout
    assert report.counts
    if codes:
        assert set(report.counts) == codes


def test_another_key_than_the_one_trusted_is_no_proof(archive: Path) -> None:
    other = Key(SEAL_KEY.name, bytes([3] * 32))
    assert run(unpack(archive), "--key", str(other)).returncode == 1
    assert set(bundles.verify(archive, Basis([other]), at=AT).counts) == {"foreign_key"}


def test_what_is_no_evidence_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_text("no archive")
    with pytest.raises(Invalid, match="no evidence bundle"):
        bundles.verify(path, BASIS, at=AT)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("other", "")
    path.write_bytes(packed.getvalue())
    with pytest.raises(Invalid, match="no evidence bundle"):
        bundles.verify(path, BASIS, at=AT)


def test_evidence_is_bounded_and_never_empty() -> None:
    with pytest.raises(Invalid, match="find none"):
        bundles.download(
            found=Event.objects.none(),
            name="x",
            filters={},
            actor=AGENT,
            at=AT,
        )
